/**
 * Long runs of the simulated cluster (`bun run sim:long`); the normal tests run a slice of them.
 *
 *   --seed 1000       the first seed             --seeds 1000    how many
 *   --nodes 5         --racks 1                  --clients 5     --duration 12s
 *   --faults crash,pause                         only these kinds; all that the seed draws where it is left out; `none`
 *   --faults elasticity                          the cluster itself changes: nodes join, leave, are removed and replaced, lose disks (`elastic-run.ts`)
 *   --faults elasticity:join,leave               only these changes, and nothing else goes wrong; `elasticity:join,leave+crash,torn` names that, too
 *   --words 30        lines of the logs that come with a violation
 *   --keep-going      does not stop at the first violation
 *
 * A violation prints the seed, the plan, and everything that happened to its key; the exit code is 1 then. At the end: what was done, as a table.
 */
import { parseArgs } from "node:util";
import "../src/bun/native-kernels.ts";
import { messageOf } from "../src/base/errors.ts";
import { parseDurationMs } from "../src/config/knob-kinds.ts";
import { FAULT_KINDS, type FaultKind } from "../src/simulator/cluster-faults.ts";
import { type ClusterRunResult, clusterRun } from "../src/simulator/cluster-run.ts";
import { CHANGES, STRIKES } from "../src/simulator/elastic-plan.ts";
import { elasticRun } from "../src/simulator/elastic-run.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1000" },
    seeds: { type: "string", default: "1000" },
    nodes: { type: "string" },
    racks: { type: "string", default: "1" },
    clients: { type: "string" },
    duration: { type: "string" },
    words: { type: "string" },
    faults: { type: "string" },
    "keep-going": { type: "boolean", default: false },
  },
});

function kindsOf<Kind extends string>(text: string, known: readonly Kind[]): Kind[] {
  const wanted = text === "none" || text === "" ? [] : text.split(",");
  const unknown = wanted.filter((kind) => !(known as readonly string[]).includes(kind));
  if (unknown.length > 0) throw new Error(`Cannot cause "${unknown.join()}": want ${known.join()}`);
  return wanted as Kind[]; // just checked
}

const common = {
  ...(values.nodes !== undefined && { nodes: Number(values.nodes) }),
  ...(values.words !== undefined && { words: Number(values.words) }),
  ...(values.clients !== undefined && { clients: Number(values.clients) }),
  ...(values.duration !== undefined && { durationMs: parseDurationMs(values.duration) ?? 0 }),
};

function runner(): (seed: number) => ClusterRunResult {
  const { faults, racks } = values;
  const [family, detail] = (faults ?? "").split(":");
  if (family !== "elasticity") {
    const kinds = faults === undefined ? {} : { kinds: kindsOf<FaultKind>(faults, FAULT_KINDS) };
    return (seed) => clusterRun({ ...common, ...kinds, racks: Number(racks), seed });
  }
  if (detail === undefined) return (seed) => elasticRun({ ...common, seed });
  const [changes = "", strikes = ""] = detail.split("+");
  const chosen = { changes: kindsOf(changes, CHANGES), strikes: kindsOf(strikes, STRIKES) };
  return (seed) => elasticRun({ ...common, ...chosen, seed });
}

const run = runner();
const totals: { [what: string]: number } = {};
const add = (what: string, count: number): void => {
  totals[what] = (totals[what] ?? 0) + count;
};
const started = performance.now();
const broken: number[] = [];

for (let seed = Number(values.seed); seed < Number(values.seed) + Number(values.seeds); seed++) {
  add("seeds", 1);
  try {
    const { operations, ok, failed, unknown, dots, events, virtualMs, faults } = run(seed);
    for (const [what, count] of Object.entries({ operations, ok, failed, unknown, dots, events }))
      add(what, count);
    add("virtual seconds", Math.round(virtualMs / 1000));
    for (const [kind, count] of Object.entries(faults)) add(`fault: ${kind}`, count);
  } catch (thrown) {
    broken.push(seed);
    process.stderr.write(`${messageOf(thrown)}\n`);
    if (!values["keep-going"]) break;
  }
}

add("violations", broken.length);
add("seconds", Math.round((performance.now() - started) / 1000));
const share = (totals["ok"] ?? 0) / (totals["operations"] ?? 1);
const rows = Object.entries({ ...totals, "share of ok": share.toFixed(2) });
console.log(
  Bun.inspect.table(
    rows.map(([what, count]) => ({ what, count })),
    { colors: false },
  ),
);
if (broken.length > 0) process.stderr.write(`broken seeds: ${broken.join(" ")}\n`);
process.exitCode = broken.length > 0 ? 1 : 0;
