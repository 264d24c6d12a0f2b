/** What a disk of a simulated machine is when nothing is wrong with it. */
import type { DiskFaults } from "../sim/disk-faults.ts";

export const SYNC_DELAY_MS = { min: 0.1, max: 2 };
export const ROOMY_BYTES = 2 ** 40;

/** Full, or without descriptors: nobody has to start on it. */
export function isStarved({ quotaBytes, openFilesMax }: DiskFaults): boolean {
  return quotaBytes < ROOMY_BYTES || openFilesMax < Infinity;
}
