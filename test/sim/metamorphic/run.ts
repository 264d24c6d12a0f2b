/** One seed of a metamorphic run: the same steps against the plain system and against variants of it; what clients see has to be the same, line by line. */
import { Prng } from "../../../src/base/prng.ts";
import { MetamorphicClient } from "./client.ts";
import { BUCKETS, CLIENTS, drawSteps, type TimedStep } from "./steps.ts";
import { PLAIN, type Subject, type Variant } from "./subjects.ts";

const STEPS = 110;
/** Everything has settled by then: buckets are known everywhere. */
const BEGIN_MS = 10_000;
const CONTEXT_LINES = 6;

export interface MetamorphicResult {
  readonly steps: number;
  /** Compared. */
  readonly lines: number;
}

/** Throws where a variant shows something else. */
export function metamorphicRun(seed: number, variants: readonly Variant[]): MetamorphicResult {
  const steps = drawSteps(new Prng(`metamorphic/${seed}`), STEPS);
  const plain = seenIn(PLAIN, seed, steps);
  for (const variant of variants) {
    const seen = seenIn(variant, seed, steps);
    const at = plain.findIndex((line, i) => seen[i] !== line);
    if (at >= 0 || seen.length !== plain.length)
      throw new Error(difference(variant, seed, at < 0 ? plain.length : at, plain, seen));
  }
  return { steps: steps.length * (variants.length + 1), lines: plain.length * variants.length };
}

/** All that clients see, in order. */
function seenIn(variant: Variant, seed: number, steps: readonly TimedStep[]): string[] {
  const subject = variant.open(seed);
  for (const { name, properties } of BUCKETS) makeBucket(subject, name, properties);
  const clients = Array.from({ length: CLIENTS }, () => new MetamorphicClient(variant.consistency));
  const { world } = subject;
  const startMs = world.scheduler.nowMs() + BEGIN_MS;
  const lines: string[] = [];
  const passTo = (atMs: number): void => {
    world.run(Math.max(0, startMs + atMs - world.scheduler.nowMs()));
  };
  steps.forEach(({ atMs, client, step }, index) => {
    passTo(atMs);
    subject.meanwhile(index);
    const own = clients[client]!;
    const seen = own.perform(step, (path, init) => subject.send(client, path, init));
    lines.push(...seen.map((line) => `${index} ${client} ${line}`));
  });
  passTo(steps.at(-1)!.atMs + BEGIN_MS);
  const names = BUCKETS.map(({ name }) => name);
  clients.forEach((client, i) =>
    lines.push(...client.all(names, (path, init) => subject.send(i, path, init))),
  );
  return lines;
}

function makeBucket({ send }: Subject, name: string, properties: object): void {
  const init = {
    method: "PUT",
    body: JSON.stringify(properties),
    headers: { "Content-Type": "application/json" },
  };
  const { status, text } = send(0, `/v1/buckets/${name}`, init);
  if (status !== 200) throw new Error(`bucket ${name}: ${status} ${text}`);
}

function difference(
  { name }: Variant,
  seed: number,
  at: number,
  plain: readonly string[],
  seen: readonly string[],
): string {
  return [
    `seed ${seed}: "${name}" shows something else`,
    ...plain.slice(Math.max(0, at - CONTEXT_LINES), at).map((line) => `    ${line}`),
    `  - ${plain[at] ?? "nothing"}`,
    `  + ${seen[at] ?? "nothing"}`,
    `  again: bun run fuzz --metamorphic --seed ${seed} --seeds 1 --only "${name}"`,
  ].join("\n");
}
