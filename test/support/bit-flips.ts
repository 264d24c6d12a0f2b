/** Random bits of the table files in a data directory are turned, as a disk that rots does. */
import { closeSync, openSync, readSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Prng } from "../../src/base/prng.ts";

/** At least one in each table; gives the names of the tables. */
export function flipBits(dataDir: string, flips: number, prng: Prng): readonly string[] {
  const names = [...new Bun.Glob("*.sst").scanSync(dataDir)].sort();
  if (names.length === 0) throw new Error(`there is no table in ${dataDir}`);
  for (let flip = 0; flip < Math.max(flips, names.length); flip++)
    flipBit(join(dataDir, names[flip % names.length]!), prng);
  return names;
}

function flipBit(path: string, prng: Prng): void {
  const file = openSync(path, "r+");
  try {
    const at = prng.below(statSync(path).size);
    const byte = new Uint8Array(1);
    readSync(file, byte, 0, 1, at);
    byte[0]! ^= 1 << prng.below(8);
    writeSync(file, byte, 0, 1, at);
  } finally {
    closeSync(file);
  }
}
