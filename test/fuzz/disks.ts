/** Disks with a few files on them, and whose they are. */
import { SimDisk } from "../../src/sim/disk.ts";
import type { LogOwner } from "../../src/storage/log/log-format.ts";

export const OWNER: LogOwner = {
  clusterId: new Uint8Array(16).fill(7),
  nodeId: new Uint8Array(8).fill(5),
};

export function diskWith(files: Readonly<Record<string, Uint8Array>>): SimDisk {
  const disk = new SimDisk({ seed: 1 });
  for (const [path, content] of Object.entries(files)) {
    const end = path.lastIndexOf("/");
    if (end > 0) disk.makeDirectory(path.slice(0, end));
    const file = disk.create(path);
    file.append(content);
    file.close();
  }
  return disk;
}

export const setU32 = (target: Uint8Array, at: number, value: number): void =>
  new DataView(target.buffer, target.byteOffset).setUint32(at, value, true);
