/** What `fuzz.ts` does on the side of clients: damaged requests to nodes and servers, and the same operations against all variants of the system. */
import "../src/bun/native-kernels.ts";
import { messageOf } from "../src/base/errors.ts";
import { HttpRun, unpackPages } from "../test/fuzz/http-run.ts";
import { SocketRun } from "../test/fuzz/socket-run.ts";
import { metamorphicRun } from "../test/sim/metamorphic/run.ts";
import { VARIANTS } from "../test/sim/metamorphic/subjects.ts";

const REQUESTS = 500;
const CONNECTIONS = 500;

export interface SeedRange {
  readonly first: number;
  /** As many as there is time for where it is left out. */
  readonly count: number | undefined;
  readonly forMs: number;
}

interface Outcome {
  readonly counts: Readonly<Record<string, number>>;
  readonly findings: readonly string[];
}

/** Runs `one` with seed after seed; a finding does not end it. */
async function overSeeds(
  { first, count = Infinity, forMs }: SeedRange,
  one: (seed: number) => Promise<Record<string, number>>,
): Promise<Outcome> {
  const endMs = performance.now() + forMs;
  const counts: Record<string, number> = { seeds: 0 };
  const findings: string[] = [];
  for (let seed = first; seed < first + count && performance.now() < endMs; seed++) {
    counts["seeds"]!++;
    try {
      for (const [what, more] of Object.entries(await one(seed)))
        counts[what] = (counts[what] ?? 0) + more;
    } catch (thrown) {
      findings.push(`seed ${seed}: ${messageOf(thrown)}`);
      process.stderr.write(`${findings.at(-1)}\n`);
    }
  }
  return { counts, findings };
}

export async function fuzzRequests(range: SeedRange): Promise<Outcome> {
  await unpackPages();
  return overSeeds(range, async (seed) => {
    const http = new HttpRun(seed);
    http.send(REQUESTS);
    const sockets = new SocketRun(seed);
    try {
      await sockets.send(CONNECTIONS);
    } finally {
      await sockets.stop();
    }
    const statuses = [...http.byStatus].map(([status, count]) => [`status ${status}`, count]);
    return {
      requests: http.requests,
      connections: sockets.connections,
      "connections refused": sockets.refused,
      "connections answered": sockets.answered,
      ...Object.fromEntries(statuses),
    };
  });
}

/** @param only the name of one variant */
export function compareVariants(range: SeedRange, only: string | undefined): Promise<Outcome> {
  const variants = VARIANTS.filter(({ name }) => only === undefined || name === only);
  if (variants.length === 0)
    throw new Error(
      `no variant is called "${only}"; there are ${VARIANTS.map(({ name }) => name).join(", ")}`,
    );
  return overSeeds(range, async (seed) => {
    const { steps, lines } = metamorphicRun(seed, variants);
    return { variants: variants.length, steps, "lines compared": lines };
  });
}
