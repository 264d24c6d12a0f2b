/**
 * Long runs of the simulated cluster (`bun run sim:long`); the normal tests run a slice of them.
 *
 *   --seed 1000       the first seed             --seeds 1000    how many
 *   --nodes 5         --racks 1                  --clients 5     --duration 12s
 *   --faults crash,pause                         only these kinds; `none`; what the seed draws where it is left out
 *   --changes join,leave                         only these changes; `none`; what the seed draws where it is left out
 *   --words 30        lines of the logs that come with a violation
 *   --keep-going      does not stop at the first violation
 */
import { parseArgs } from "node:util";
import "../src/bun/native-kernels.ts";
import { parseDurationMs } from "../src/config/knob-kinds.ts";
import { type DrawOptions, drawPlan } from "../src/simulator/draw-plan.ts";
import { CHANGE_KINDS, FAULT_KINDS } from "../src/simulator/plan.ts";
import { runPlan } from "../src/simulator/run.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1000" },
    seeds: { type: "string", default: "1000" },
    nodes: { type: "string" },
    racks: { type: "string" },
    clients: { type: "string" },
    duration: { type: "string" },
    words: { type: "string" },
    faults: { type: "string" },
    changes: { type: "string" },
    "keep-going": { type: "boolean", default: false },
  },
});

function kindsOf<Kind extends string>(text: string, known: readonly Kind[]): Kind[] {
  if (text === "all") return [...known];
  const wanted = text === "none" || text === "" ? [] : text.split(",");
  const unknown = wanted.filter((kind) => !(known as readonly string[]).includes(kind));
  if (unknown.length > 0) throw new Error(`Cannot cause "${unknown.join()}": want ${known.join()}`);
  return wanted as Kind[]; // just checked
}

const options: DrawOptions = {
  ...(values.nodes !== undefined && { nodes: Number(values.nodes) }),
  ...(values.racks !== undefined && { racks: Number(values.racks) }),
  ...(values.clients !== undefined && { clients: Number(values.clients) }),
  ...(values.duration !== undefined && { durationMs: parseDurationMs(values.duration) ?? 0 }),
  ...(values.faults !== undefined && { faults: kindsOf(values.faults, FAULT_KINDS) }),
  ...(values.changes !== undefined && { changes: kindsOf(values.changes, CHANGE_KINDS) }),
};
const words = Number(values.words ?? 30);
const totals: { [what: string]: number } = {};
const add = (what: string, count: number): void => {
  totals[what] = (totals[what] ?? 0) + count;
};
const started = performance.now();
const broken: number[] = [];

for (let seed = Number(values.seed); seed < Number(values.seed) + Number(values.seeds); seed++) {
  add("seeds", 1);
  const verdict = runPlan(drawPlan(seed, options), { words });
  const { operations, ok, failed, unknown, dots, events, virtualMs, recoveries } = verdict.figures;
  for (const [what, count] of Object.entries({ operations, ok, failed, unknown, dots, events }))
    add(what, count);
  add("virtual seconds", Math.round(virtualMs / 1000));
  add("recoveries after kills", recoveries.kills);
  add("recoveries after power losses", recoveries.powerLosses);
  for (const [kind, count] of Object.entries(verdict.faults)) add(`fault: ${kind}`, count);
  if (verdict.violations.length === 0) continue;
  broken.push(seed);
  process.stderr.write(`seed ${seed}: ${verdict.told.join("\n  ")}\n${verdict.story}\n`);
  if (!values["keep-going"]) break;
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
