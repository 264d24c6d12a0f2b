/**
 * A new log segment. The file and its header are made at once, so that writing can go on; `registered` settles when the header is
 * synced, the name is on disk and the manifest lists the segment, in this order, and nothing is acknowledged before that.
 */
import type { Disk } from "../../ports/disk.ts";
import { fileName } from "../file-names.ts";
import { encodeLogHeader } from "./log-format.ts";
import type { LogOwner } from "./log-format.ts";
import type { LogSegment } from "./write-ahead-log.ts";

export interface SegmentPlan {
  readonly id: number;
  readonly salt: number;
  readonly owner: LogOwner;
  readonly durableSequence: number;
  /** Makes the directory entry durable, then adds the segment to the manifest. */
  readonly register: () => Promise<void>;
}

export function createSegment(disk: Disk, plan: SegmentPlan): LogSegment {
  const name = fileName("wal", plan.id);
  const file = disk.create(name);
  try {
    file.append(encodeLogHeader("wal", plan.id, plan.owner, 0, plan.durableSequence, plan.salt));
  } catch (error) {
    file.close();
    disk.unlink(name);
    throw error;
  }
  const registered = file.sync().then(plan.register);
  registered.catch(() => undefined); // the commit that waits for it reports the error
  return { id: plan.id, salt: plan.salt, file, registered };
}
