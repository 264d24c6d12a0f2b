/** What a medium does to the tables of one simulated node: rows 80 to 84. */
import { Prng } from "../base/prng.ts";
import {
  FOOTER_BYTES,
  bloomOffset,
  decodeFooter,
  propertiesOffset,
} from "../storage/table/footer.ts";
import type { SimCluster } from "./cluster.ts";

/** Where a bit flips, or what becomes of the file. */
export const TABLE_DAMAGES = [
  "data",
  "index",
  "bloom",
  "properties",
  "footer",
  "zeroed block",
  "cut short",
  "empty",
  "missing",
] as const;
export type TableDamage = (typeof TABLE_DAMAGES)[number];

/** Files of tables on a node's disk. */
export function tablesOf(cluster: SimCluster, index: number): string[] {
  const paths = cluster.machines[index]!.disk.image.visible.keys();
  return [...paths].filter((path) => path.endsWith(".sst")).sort();
}

export function damageTable(
  cluster: SimCluster,
  index: number,
  path: string,
  how: TableDamage,
  prng: Prng,
): void {
  const { damage, image } = cluster.machines[index]!.disk;
  const entry = image.visible.get(path);
  if (entry === undefined || entry === "directory") return;
  const { length } = entry.durable;
  switch (how) {
    case "zeroed block":
      return damage.zeroBlock(path, 0);
    case "cut short":
      return damage.truncate(path, prng.below(length));
    case "empty":
      return damage.truncate(path, 0);
    case "missing":
      image.visible.delete(path);
      image.durable.delete(path);
      return;
    default:
      return damage.flipBit(path, 8 * offsetIn(how, entry.durable.slice(), prng) + prng.below(8));
  }
}

function offsetIn(
  section: "data" | "index" | "bloom" | "properties" | "footer",
  bytes: Uint8Array,
  prng: Prng,
): number {
  const footerAt = bytes.length - FOOTER_BYTES;
  const footer = decodeFooter(bytes.subarray(footerAt), "damaged", bytes.length);
  switch (section) {
    case "data":
      return prng.below(footer.indexOffset);
    case "index":
      return footer.indexOffset + prng.below(footer.indexBytes);
    case "bloom":
      return bloomOffset(footer) + prng.below(footer.bloomBytes);
    case "properties":
      return propertiesOffset(footer) + prng.below(footer.propertiesBytes);
    case "footer":
      return footerAt + prng.below(FOOTER_BYTES);
  }
}
