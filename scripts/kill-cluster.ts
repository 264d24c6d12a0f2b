/**
 * Kills, stops and isolates the nodes of a real cluster under load, again and again (`bun scripts/kill-cluster.ts`); the normal tests do each once.
 *
 *   --nodes 5    --rounds 20    --how kill|stop|both|isolate    --seed 1
 *   --writers 8  --pause-ms 20  between two requests of one client
 *   --away-ms 1000   how long the load goes on without the node
 *   --victims 1      hit at once
 *   --preset local   of the nodes
 *
 * Each round hits the next nodes, in turn. Exits with 1 at the first acknowledged write that is gone, old value that is read, request that is refused, or copy
 * that stays different; answers 504 are counted and told. Where several nodes are hit at once a refusal is no failure: a key may have lost two of its
 * three owners.
 */
import { parseArgs } from "node:util";
import { type ClusterProcess, withCluster } from "../test/e2e/node-process.ts";
import { type Blow, drill, unequalKeys } from "../test/support/cluster-drill.ts";
import { nameOf } from "../test/support/cluster-eyes.ts";
import { ClusterLoad, type Unusual } from "../test/support/cluster-load.ts";
import { PeerRelay } from "../test/support/peer-relay.ts";

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "5" },
    rounds: { type: "string", default: "20" },
    how: { type: "string", default: "both" },
    seed: { type: "string", default: "1" },
    writers: { type: "string", default: "8" },
    "pause-ms": { type: "string", default: "20" },
    "away-ms": { type: "string", default: "1000" },
    victims: { type: "string", default: "1" },
    preset: { type: "string", default: "local" },
  },
});

const nodeCount = Number(values.nodes);
const every = Array.from({ length: nodeCount }, (_, index) => index);

interface Row {
  readonly round: number;
  readonly nodes: string;
  readonly how: string;
  readonly acknowledged: number;
  readonly reads: number;
  readonly "indeterminate (504)": number;
  readonly "refused (503)": number;
  readonly "seen after ms": number;
  readonly "slowest write ms": number;
  readonly siblings: number;
}

const isIndeterminate = ({ what }: Unusual): boolean => / 504 /.test(what);

/** What no fault excuses. */
async function brokenPromises(
  cluster: ClusterProcess,
  load: ClusterLoad,
): Promise<readonly string[]> {
  const unusual = [...load.unusualWrites, ...load.unusualReads].filter(
    (each) => !isIndeterminate(each) && Number(values.victims) === 1,
  );
  return [
    ...unusual.map(({ atMs, what }) => `${atMs} ms: ${what}`),
    ...(await load.checkAll(every)),
    ...load.violations,
    ...(await unequalKeys(cluster, load)),
  ];
}

function blowOf(number: number): Blow {
  const { how } = values;
  if (how === "both") return Math.floor(number / nodeCount) % 2 === 0 ? "kill" : "stop";
  if (how === "kill" || how === "stop" || how === "isolate") return how;
  throw new Error(`--how ${how}: want kill, stop, both or isolate`);
}

async function round(cluster: ClusterProcess, number: number): Promise<Row> {
  const load = new ClusterLoad(cluster, {
    seed: `${values.seed}/${number}`,
    writers: Number(values.writers),
    pauseMs: Number(values["pause-ms"]),
    bucket: `round-${number}`,
    through: every,
  });
  const victims = every.slice(0, Number(values.victims)).map((each) => (number + each) % nodeCount);
  const nodes = victims.map(nameOf).join(" ");
  const how = blowOf(number);
  const awayMs = Number(values["away-ms"]);
  const result = await drill({ cluster, load, victims, how, awayMs, ...(relay && { relay }) });
  const broken = await brokenPromises(cluster, load);
  const unusual = [...load.unusualWrites, ...load.unusualReads];
  for (const each of unusual)
    process.stderr.write(`round ${number}, hit at ${result.hitMs}: ${each.atMs} ${each.what}\n`);
  if (broken.length > 0)
    throw new Error(
      `round ${number}, ${nodes}, ${how}, seed ${values.seed}:\n${broken.join("\n")}`,
    );
  return {
    round: number,
    nodes,
    how,
    acknowledged: load.acknowledged,
    reads: load.reads,
    "indeterminate (504)": unusual.filter(isIndeterminate).length,
    "refused (503)": unusual.filter(({ what }) => / 503 /.test(what)).length,
    "seen after ms": result.seenDownMs - result.hitMs,
    "slowest write ms": load.slowestWriteMs,
    siblings: load.siblings,
  };
}

const rows: Row[] = [];
const relay = values.how === "isolate" ? await PeerRelay.start(nodeCount) : undefined;
await withCluster(
  nodeCount,
  async (cluster) => {
    for (let number = 0; number < Number(values.rounds); number++) {
      rows.push(await round(cluster, number));
      process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
    }
  },
  { args: ["--preset", values.preset], argsOf: (index) => relay?.argsOf(index) ?? [] },
);
relay?.stop();
console.log(Bun.inspect.table(rows, { colors: false }));
