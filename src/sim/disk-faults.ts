/**
 * What goes wrong with a simulated disk, and when: the knobs that a test or a fault schedule turns.
 *
 * All of them are off at first. They belong to the machine, not to the process: a restart does not heal a disk, except that
 * a scheduled crash and scheduled failures are over when the life that they were meant for is.
 */
import { assert } from "../base/assert.ts";
import type { DiskErrorKind } from "../ports/disk.ts";

/** Every call of the port, by its name there (`closeFile` is `DiskFile.close`, `release` is `DiskLock.release`). */
export type DiskCallKind =
  | "create"
  | "open"
  | "map"
  | "link"
  | "rename"
  | "unlink"
  | "list"
  | "makeDirectory"
  | "removeDirectory"
  | "sizeOf"
  | "syncDirectory"
  | "space"
  | "lock"
  | "release"
  | "size"
  | "read"
  | "append"
  | "write"
  | "truncate"
  | "sync"
  | "syncNow"
  | "closeFile";

export interface DiskCall {
  readonly kind: DiskCallKind;
  readonly path: string;
}

/** A failing `append` or `write` leaves a prefix drawn by seed; a failing sync is the fsyncgate kind. */
export type DiskFault = DiskErrorKind | "misdirected";

interface PlannedFault {
  readonly kind: DiskCallKind | "any";
  /** Calls of that kind still to pass. */
  callsLeft: number;
  readonly fault: DiskFault;
}

export class DiskFaults {
  /** Capacity; a write beyond it stores what fits and fails with `no-space`. */
  quotaBytes = 2 ** 40;
  /** Open files and locks; one more fails with `too-many-files`. */
  openFilesMax = Infinity;
  /** A read-only remount: everything that changes something fails with `read-only`. */
  isReadOnly = false;
  /** How long a sync takes, drawn uniformly; "never" = a stuck device, the promise does not settle. */
  syncDelayMs: { readonly min: number; readonly max: number } | "never" = { min: 0, max: 0 };
  private planned: PlannedFault[] = [];

  /** The `nth` call of `kind` from now (1 = the next) meets `fault`, once. */
  failNth(kind: DiskCallKind | "any", nth: number, fault: DiskFault): void {
    assert(nth >= 1, "the next call is the first");
    this.planned.push({ kind, callsLeft: nth, fault });
  }

  /** Counts one call and says what it meets. */
  meet(kind: DiskCallKind): DiskFault | undefined {
    let met: DiskFault | undefined;
    for (const plan of this.planned) {
      if (plan.kind !== "any" && plan.kind !== kind) continue;
      plan.callsLeft--;
      if (plan.callsLeft === 0) met ??= plan.fault;
    }
    if (met !== undefined) this.planned = this.planned.filter((plan) => plan.callsLeft > 0);
    return met;
  }

  /** Forgets the planned failures and keeps the state of the device. */
  clearPlanned(): void {
    this.planned = [];
  }
}

const CHANGING: ReadonlySet<DiskCallKind> = new Set<DiskCallKind>([
  "create",
  "link",
  "rename",
  "unlink",
  "makeDirectory",
  "removeDirectory",
  "append",
  "write",
  "truncate",
]);

export const changesSomething = (kind: DiskCallKind): boolean => CHANGING.has(kind);
