/**
 * Kills, stops and isolates the nodes of a real cluster under load, again and again (`bun scripts/kill-cluster.ts`); the normal tests do each once.
 *
 *   --nodes 5    --rounds 20    --seed 1    --preset local   of the nodes
 *   --how both           kill and stop in turn; or kill, stop, isolate, network
 *   --victims 1          hit at once: the next nodes in turn
 *   --away-ms 1000       how long the load goes on without them
 *   --writers 8  --pause-ms 20  between two requests of one client
 *
 * `network` cuts the network in all ways, one after the other, under requests to owners only (row 111).
 *
 * Exits with 1 at the first acknowledged write that is gone, old value that is read, copy that stays different, or request that is refused where one
 * node was killed or stopped; answers 504 are counted and told. Where more is broken a refusal is no failure: a key may have lost two of its
 * three owners.
 */
import { parseArgs } from "node:util";
import { Prng } from "../src/base/prng.ts";
import { type ClusterProcess, withCluster } from "../test/e2e/node-process.ts";
import { type Blow, drill, unequalKeys } from "../test/support/cluster-drill.ts";
import { nameOf, untilAllUp, untilNoHints } from "../test/support/cluster-eyes.ts";
import { ClusterLoad, type Unusual } from "../test/support/cluster-load.ts";
import { NETWORK_FAULTS, networkFault } from "../test/support/network-faults.ts";
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
const victimCount = Number(values.victims);
const awayMs = Number(values["away-ms"]);
const every = Array.from({ length: nodeCount }, (_, index) => index);
const isNetwork = values.how === "network";
const relay = isNetwork || values.how === "isolate" ? await PeerRelay.start(nodeCount) : undefined;

interface Row {
  readonly round: number;
  readonly what: string;
  readonly acknowledged: number;
  readonly reads: number;
  readonly "indeterminate (504)": number;
  readonly "refused (503)": number;
  readonly "slowest write ms": number;
  readonly siblings: number;
}

function blowOf(number: number): Blow {
  const { how } = values;
  if (how === "both") return Math.floor(number / nodeCount) % 2 === 0 ? "kill" : "stop";
  if (how === "kill" || how === "stop" || how === "isolate") return how;
  throw new Error(`--how ${how}: want kill, stop, both, isolate or network`);
}

function loadOf(number: number): ClusterLoad {
  return new ClusterLoad(cluster, {
    seed: `${values.seed}/${number}`,
    writers: Number(values.writers),
    pauseMs: Number(values["pause-ms"]),
    bucket: `round-${number}`,
    through: every,
    ...(isNetwork && { level: "r=2, w=2, sloppy=?0" }),
  });
}

/** Returns what was done. */
async function hitNodes(load: ClusterLoad, number: number): Promise<string> {
  const victims = every.slice(0, victimCount).map((each) => (number + each) % nodeCount);
  const how = blowOf(number);
  const result = await drill({ cluster, load, victims, how, awayMs, ...(relay && { relay }) });
  const seenMs = result.seenDownMs - result.hitMs;
  return `${how} ${victims.map(nameOf).join(" ")} at ${result.hitMs} ms, seen after ${seenMs}`;
}

async function hitNetwork(load: ClusterLoad, number: number): Promise<string> {
  const prng = new Prng(`kill-cluster/${values.seed}/${number}`);
  load.start();
  const done: string[] = [];
  for (const fault of NETWORK_FAULTS)
    done.push(await networkFault(relay!, nodeCount, fault, prng, prng.between(200, 4 * awayMs)));
  await untilAllUp(cluster);
  await load.stop();
  await untilNoHints(cluster, 0);
  return done.join("; ");
}

const isCode = (code: number) => (each: Unusual) => each.what.includes(` ${code} `);

async function round(number: number): Promise<Row> {
  const load = loadOf(number);
  const what = await (isNetwork ? hitNetwork(load, number) : hitNodes(load, number));
  const unusual = [...load.unusualWrites, ...load.unusualReads];
  for (const each of unusual) process.stderr.write(`  ${each.atMs} ms: ${each.what}\n`);
  const mayRefuse = relay !== undefined || victimCount > 1;
  const broken = [
    ...(mayRefuse ? [] : unusual.filter((each) => !isCode(504)(each)).map((each) => each.what)),
    ...(await load.checkAll(every)),
    ...load.violations,
    ...(await unequalKeys(cluster, load)),
  ];
  if (broken.length > 0)
    throw new Error(`round ${number}, seed ${values.seed}, ${what}:\n${broken.join("\n")}`);
  return {
    round: number,
    what,
    acknowledged: load.acknowledged,
    reads: load.reads,
    "indeterminate (504)": unusual.filter(isCode(504)).length,
    "refused (503)": unusual.filter(isCode(503)).length,
    "slowest write ms": load.slowestWriteMs,
    siblings: load.siblings,
  };
}

const rows: Row[] = [];
let cluster: ClusterProcess;
await withCluster(
  nodeCount,
  async (started) => {
    cluster = started;
    for (let number = 0; number < Number(values.rounds); number++) {
      rows.push(await round(number));
      process.stderr.write(`${JSON.stringify(rows.at(-1))}\n`);
    }
  },
  { args: ["--preset", values.preset], argsOf: (index) => relay?.argsOf(index) ?? [] },
);
relay?.stop();
console.log(Bun.inspect.table(rows, { colors: false }));
