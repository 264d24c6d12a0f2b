/**
 * What a disk holds after the power went (FAULTS.md 2.4).
 *
 * Profile `strict` promises only what POSIX does. Each file with pending writes ends as one of: nothing of them; a prefix,
 * cut at any byte; any subset of their 512 B or 4 KiB sectors; its new size over zeros or over stale data, perhaps
 * with a prefix; all of them. Pending names end as a prefix or as any subset; one operation is all or nothing, so a rename
 * leaves the old or the new target, never neither.
 *
 * Profile `metadata-ordered` is ext4's default: names commit in the order of a journal, and a file grows only after its
 * data is down, so both are prefixes.
 *
 * Each file draws from its own stream: one file more does not change the fate of the others.
 */
import type { Prng } from "../base/prng.ts";
import { ByteStore } from "./byte-store.ts";
import {
  applyName,
  applyWrite,
  DiskImage,
  type Entry,
  Inode,
  type Names,
  parentOf,
  type PendingName,
  type PendingWrite,
} from "./disk-image.ts";

export type PowerLossProfile = "strict" | "metadata-ordered";

type Fate = "nothing" | "prefix" | "sectors" | "grown" | "everything";

const FATES = {
  strict: ["nothing", "prefix", "sectors", "grown", "everything"],
  "metadata-ordered": ["nothing", "prefix", "everything"],
} satisfies Record<PowerLossProfile, readonly Fate[]>;

const SECTOR_BYTES = [512, 4096] as const;
const SURVIVAL_CHANCES = [0.1, 0.5, 0.9] as const;

interface Loss {
  readonly profile: PowerLossProfile;
  readonly stale: Uint8Array;
}

/** The image that the machine starts with next time; `image` itself stays as it is. */
export function losePower(image: DiskImage, prng: Prng, profile: PowerLossProfile): DiskImage {
  // A draw goes into the label because equal forks of one generator are equal streams.
  const chance = prng.fork(`power-loss/${prng.u32()}`);
  const names = survivingNames(image, chance.fork("names"), profile);
  const loss: Loss = { profile, stale: staleBytes(image, chance.fork("stale")) };
  const survivors = new Map<Inode, Inode>();
  const after: Names = new Map();
  for (const [path, entry] of names) {
    after.set(path, survivorOf(entry, survivors, chance.fork(`file/${path}`), loss));
  }
  return new DiskImage(after, image.freed);
}

function survivingNames(image: DiskImage, prng: Prng, profile: PowerLossProfile): Names {
  const names: Names = new Map(image.durable);
  for (const operation of survivingOperations(image.pending, prng, profile)) {
    applyName(names, operation);
  }
  // A file whose directory has no durable name cannot be reached any more.
  const isReachable = (path: string): boolean => {
    const parent = parentOf(path);
    return parent === "" || (names.get(parent) === "directory" && isReachable(parent));
  };
  for (const path of [...names.keys()]) if (!isReachable(path)) names.delete(path);
  return names;
}

function survivingOperations(
  pending: readonly PendingName[],
  prng: Prng,
  profile: PowerLossProfile,
): readonly PendingName[] {
  if (profile === "metadata-ordered" || prng.chance(0.5)) {
    return pending.slice(0, prng.between(0, pending.length));
  }
  const survival = prng.pick(SURVIVAL_CHANCES);
  return pending.filter(() => prng.chance(survival));
}

function survivorOf(entry: Entry, survivors: Map<Inode, Inode>, prng: Prng, loss: Loss): Entry {
  if (entry === "directory") return entry;
  const known = survivors.get(entry);
  if (known !== undefined) return known;
  const survivor = new Inode(survivingBytes(entry, prng, loss));
  survivor.badRanges = [...entry.badRanges];
  survivor.hasLinks = entry.hasLinks;
  survivors.set(entry, survivor);
  return survivor;
}

function survivingBytes(inode: Inode, prng: Prng, loss: Loss): Uint8Array {
  const store = new ByteStore(inode.durable.slice());
  if (inode.pending.length === 0) return store.slice();
  const fate: Fate = prng.pick<Fate>(FATES[loss.profile]);
  if (fate === "prefix") applyPrefix(store, inode.pending, prng);
  if (fate === "sectors") applySectors(store, inode.pending, prng);
  if (fate === "grown") applyGrowth(store, inode.pending, prng, loss.stale);
  if (fate === "everything") for (const item of inode.pending) applyWrite(store, item);
  return store.slice();
}

/** Writes up to a byte drawn anywhere in the pending stream; a resize counts as one byte. */
function applyPrefix(store: ByteStore, pending: readonly PendingWrite[], prng: Prng): void {
  const weight = (item: PendingWrite): number => (item.kind === "write" ? item.bytes.length : 1);
  let rest = prng.between(
    0,
    pending.reduce((sum, item) => sum + weight(item), 0),
  );
  for (const item of pending) {
    if (rest <= 0) return;
    if (rest >= weight(item) || item.kind === "resize") applyWrite(store, item);
    else applyWrite(store, { ...item, bytes: item.bytes.subarray(0, rest) });
    rest -= weight(item);
  }
}

function applySectors(store: ByteStore, pending: readonly PendingWrite[], prng: Prng): void {
  const sectorBytes = prng.pick(SECTOR_BYTES);
  const survival = prng.pick(SURVIVAL_CHANCES);
  for (const item of pending) {
    if (item.kind === "resize") {
      if (prng.chance(survival)) applyWrite(store, item);
      continue;
    }
    for (let start = 0; start < item.bytes.length;) {
      const toBoundary = sectorBytes - ((item.offset + start) % sectorBytes);
      const sector = item.bytes.subarray(start, start + toBoundary);
      if (prng.chance(survival)) store.write(sector, item.offset + start);
      start += sector.length;
    }
  }
}

/** The size arrived before the data did. What lay in those sectors before is zeros or a removed file's bytes. */
function applyGrowth(
  store: ByteStore,
  pending: readonly PendingWrite[],
  prng: Prng,
  stale: Uint8Array,
): void {
  const fillsWithStale = prng.chance(0.5);
  const hasPrefix = prng.chance(0.5);
  const oldSize = store.length;
  const newSize = sizeAfter(oldSize, pending);
  if (newSize > oldSize) {
    const hole = new Uint8Array(newSize - oldSize);
    if (fillsWithStale) fillFrom(hole, stale, prng);
    store.write(hole, oldSize);
  }
  if (hasPrefix) applyPrefix(store, pending, prng);
}

function sizeAfter(size: number, pending: readonly PendingWrite[]): number {
  let after = size;
  for (const item of pending) {
    if (item.kind === "resize") after = item.size;
    else after = Math.max(after, item.offset + item.bytes.length);
  }
  return after;
}

/** The nastiest garbage is data that was once valid somewhere else, with its checksums intact. */
function fillFrom(target: Uint8Array, stale: Uint8Array, prng: Prng): void {
  if (stale.length === 0) {
    target.set(prng.bytes(target.length));
    return;
  }
  const start = prng.chance(0.5) ? 0 : prng.below(stale.length);
  for (let i = 0; i < target.length; i++) target[i] = stale[(start + i) % stale.length]!;
}

/** What lay on the disk where a new file grew: a file that was removed before. Blocks of a living file are never given away. */
function staleBytes(image: DiskImage, prng: Prng): Uint8Array {
  return image.freed.length === 0 ? new Uint8Array(0) : prng.pick(image.freed);
}
