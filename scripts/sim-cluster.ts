/**
 * Long runs of the simulated cluster (`bun run sim:long`); the normal tests run a slice of them.
 *
 *   --seed 1000       the first seed             --seeds 1000    how many
 *   --nodes 5         --racks 1                  --clients 5     --duration 12s
 *   --faults crash,pause                         only these kinds; all that the seed draws where it is left out; `none`
 *   --keep-going      does not stop at the first violation
 *
 * A violation prints the seed, the plan, and everything that happened to its key; the exit code is 1 then. At the end: what was done, as a table.
 */
import { parseArgs } from "node:util";
import "../src/bun/native-kernels.ts";
import { messageOf } from "../src/base/errors.ts";
import { parseDurationMs } from "../src/config/knob-kinds.ts";
import { FAULT_KINDS, type FaultKind } from "../test/support/cluster-faults.ts";
import { type ClusterRunOptions, clusterRun } from "../test/support/cluster-run.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1000" },
    seeds: { type: "string", default: "1000" },
    nodes: { type: "string", default: "5" },
    racks: { type: "string", default: "1" },
    clients: { type: "string", default: "5" },
    duration: { type: "string", default: "12s" },
    faults: { type: "string" },
    "keep-going": { type: "boolean", default: false },
  },
});

function kindsOf(text: string): FaultKind[] {
  const wanted = text === "none" ? [] : text.split(",");
  const unknown = wanted.filter((kind) => !(FAULT_KINDS as readonly string[]).includes(kind));
  if (unknown.length > 0)
    throw new Error(`Cannot cause "${unknown.join()}": want ${FAULT_KINDS.join()}`);
  return wanted as FaultKind[]; // just checked
}

const options: Omit<ClusterRunOptions, "seed"> = {
  nodes: Number(values.nodes),
  racks: Number(values.racks),
  clients: Number(values.clients),
  durationMs: parseDurationMs(values.duration) ?? 12_000,
  ...(values.faults !== undefined && { kinds: kindsOf(values.faults) }),
};
const totals: { [what: string]: number } = {};
const add = (what: string, count: number): void => {
  totals[what] = (totals[what] ?? 0) + count;
};
const started = performance.now();
const broken: number[] = [];

for (let seed = Number(values.seed); seed < Number(values.seed) + Number(values.seeds); seed++) {
  add("seeds", 1);
  try {
    const { operations, ok, failed, unknown, dots, events, virtualMs, faults } = clusterRun({
      ...options,
      seed,
    });
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
