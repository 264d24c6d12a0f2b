/** What somebody has who copies `snapshots/NAME` of a simulated disk into an empty data directory: other files with the same bytes. */
import { DiskImage, type Names } from "../../src/sim/disk-image.ts";

export function copyOfSnapshot(image: DiskImage, name: string): DiskImage {
  const start = `snapshots/${name}/`;
  const files: Names = new Map();
  for (const [path, entry] of image.copy().visible)
    if (path.startsWith(start)) files.set(path.slice(start.length), entry);
  return new DiskImage(files);
}
