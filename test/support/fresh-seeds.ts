/**
 * Seeds that no run before has tried: they follow from the commit, so that every commit is tried with others, and a failure can be repeated from it.
 * `HUTCH_SEED_BASE` sets them by hand; without a repository they begin at a fixed one.
 */
const FIXED = 1000;

export function freshSeeds(count: number): number[] {
  const base = seedBase();
  return Array.from({ length: count }, (_, i) => base + i);
}

function seedBase(): number {
  const given = process.env["HUTCH_SEED_BASE"];
  if (given !== undefined) return Number(given);
  const told = Bun.spawnSync(["git", "rev-parse", "HEAD"], { cwd: import.meta.dir });
  return told.success ? Number.parseInt(told.stdout.toString().slice(0, 7), 16) : FIXED;
}
