/**
 * Damaged input for every decoder, for as long as wanted (`bun run fuzz`); the normal tests run a slice of it (`test/fuzz`).
 *
 *   --minutes 5       how long                    --seed 1        where it begins; each round over all decoders takes the next
 *   --only "hello"    only these rows of the table of decoders, separated by commas
 *   --input HEX [--from HEX --with HEX]           tries this one input, made of these two valid ones: what a finding prints
 *
 *   --http            damaged requests instead: to whole nodes in virtual time, and as bytes to the real server
 *   --metamorphic     the same operations against all variants of the system instead; `--only` names one variant
 *   --seeds 10        of these two, as many seeds, whatever the minutes
 *
 * Decoders run in a worker; this side watches. One that does not come back from an input is a finding, too, and that input is printed. At the end: inputs,
 * accepted, refused and the slowest of each decoder. The exit code is 1 where anything was found.
 */
import { parseArgs } from "node:util";
import { messageOf } from "../src/base/errors.ts";
import { DECODERS } from "../test/fuzz/decoders.ts";
import { type FuzzTotals, noTotals, trySealed } from "../test/fuzz/run.ts";
import { compareVariants, fuzzRequests } from "./fuzz-clients.ts";
import { inputIn, type FuzzReport, type FuzzTask, WATCH_BYTES } from "./fuzz-worker.ts";

/** No decoder works this long on one input, whatever else the machine does. */
const HANG_MS = 60_000;
const LOOK_EVERY_MS = 1000;
const MINUTE_MS = 60_000;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    input: { type: "string" },
    from: { type: "string" },
    with: { type: "string" },
    http: { type: "boolean", default: false },
    metamorphic: { type: "boolean", default: false },
    seeds: { type: "string" },
  },
});

function namesOf(only: string | undefined): string[] {
  const all = DECODERS.map(({ name }) => name);
  const wanted = only === undefined ? all : only.split(",");
  const unknown = wanted.filter((name) => !all.includes(name));
  if (unknown.length > 0)
    throw new Error(`no decoder is called "${unknown.join()}"; there are ${all.join(", ")}`);
  return wanted;
}

/** One input, by hand. */
function tryOne(name: string, input: string): void {
  const decoder = DECODERS.find((row) => row.name === name)!; // `namesOf` has found it
  const origins = [values.from ?? input, values.with ?? input] as const;
  const totals = noTotals();
  trySealed(
    decoder,
    Uint8Array.fromHex(input),
    [Uint8Array.fromHex(origins[0]), Uint8Array.fromHex(origins[1])],
    totals,
  );
  console.log(`${name}: ${totals.accepted > 0 ? "accepted" : "refused"}, as it should be`);
}

class FuzzRun {
  readonly totals = new Map<string, FuzzTotals>();
  readonly findings: string[] = [];
  private readonly watch = new SharedArrayBuffer(WATCH_BYTES);
  private readonly worker = new Worker(new URL("fuzz-worker.ts", import.meta.url));

  async run(task: Omit<FuzzTask, "watch">): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const looking = setInterval(() => {
      const hanging = this.hangingInput();
      if (hanging === undefined) return;
      this.findings.push(hanging);
      resolve();
    }, LOOK_EVERY_MS);
    this.worker.onerror = (event) => reject(new Error(event.message));
    this.worker.onmessage = ({ data }: MessageEvent<FuzzReport | "ready" | "done">) => {
      if (data === "ready") this.worker.postMessage({ ...task, watch: this.watch });
      else if (data === "done") resolve();
      else this.take(data);
    };
    await promise;
    clearInterval(looking);
    this.worker.terminate();
  }

  private take({ name, totals, finding }: FuzzReport): void {
    const sum = this.totals.get(name) ?? noTotals();
    this.totals.set(name, {
      inputs: sum.inputs + totals.inputs,
      accepted: sum.accepted + totals.accepted,
      refused: sum.refused + totals.refused,
      slowestMs: Math.max(sum.slowestMs, totals.slowestMs),
    });
    if (finding === undefined) return;
    this.findings.push(finding);
    process.stderr.write(`${finding}\n`);
  }

  private lastCount = -1;
  private sinceMs = 0;

  /** What the worker has been working on for too long. */
  private hangingInput(): string | undefined {
    const { count, decoder, input } = inputIn(this.watch);
    if (count !== this.lastCount) {
      this.lastCount = count;
      this.sinceMs = performance.now();
    }
    if (performance.now() - this.sinceMs < HANG_MS) return undefined;
    const { name } = DECODERS[decoder]!;
    return `${name}: does not come back\n  again: bun run fuzz --only "${name}" --input ${input.toHex()}`;
  }

  print(seconds: number): void {
    const rows = [...this.totals].map(([decoder, totals]) => ({
      decoder,
      ...totals,
      slowestMs: totals.slowestMs.toFixed(1),
    }));
    const inputs = [...this.totals.values()].reduce((sum, totals) => sum + totals.inputs, 0);
    console.log(Bun.inspect.table(rows, { colors: false }));
    console.log(`${inputs} inputs in ${seconds.toFixed(0)} s, ${this.findings.length} findings`);
    for (const finding of this.findings) console.log(finding);
  }
}

/** True where nothing was found. */
async function runClients(): Promise<boolean> {
  const seeds = values.seeds === undefined ? undefined : Number(values.seeds);
  const forMs = seeds === undefined ? Number(values.minutes) * MINUTE_MS : Infinity;
  const range = { first: Number(values.seed), count: seeds, forMs };
  const { counts, findings } = values.http
    ? await fuzzRequests(range)
    : await compareVariants(range, values.only);
  const rows = Object.entries(counts).sort(([a], [b]) => (a < b ? -1 : 1));
  const table = rows.map(([what, count]) => ({ what, count }));
  console.log(Bun.inspect.table(table, { colors: false }));
  console.log(`${findings.length} findings`);
  return findings.length === 0;
}

async function runDecoders(): Promise<boolean> {
  const names = namesOf(values.only);
  if (values.input !== undefined) {
    tryOne(names[0]!, values.input);
    return true;
  }
  const startMs = performance.now();
  const run = new FuzzRun();
  await run.run({ names, seed: Number(values.seed), forMs: Number(values.minutes) * MINUTE_MS });
  run.print((performance.now() - startMs) / 1000);
  return run.findings.length === 0;
}

try {
  const isSound = await (values.http || values.metamorphic ? runClients() : runDecoders());
  process.exit(isSound ? 0 : 1);
} catch (thrown) {
  process.stderr.write(`${messageOf(thrown)}\n`);
  process.exit(1);
}
