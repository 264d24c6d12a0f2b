/**
 * What a snapshot is on disk (drawn in FORMATS.md): a directory that is a data directory when it is copied.
 *
 *   snapshots/NAME/000000000043.sst         hard links to tables, which never change
 *                  000000000044.manifest    exactly these tables, and no log
 *                  CURRENT IDENTITY         as in a data directory; IDENTITY says that this is a copy
 *                  SNAPSHOT                 name, time, sizes
 *   snapshots/NAME.tmp/                     being written or removed; goes at start
 *
 * A name is given by a rename when all under it is durable, and taken by one before anything of it goes: NAME is whole or not there.
 */
import { CorruptionError, HutchError } from "../base/errors.ts";
import type { Disk } from "../ports/disk.ts";
import { checkedLine, lineIn } from "./checked-line.ts";
import { parseFileName, SNAPSHOT_FILE, SNAPSHOTS_DIRECTORY, temporaryName } from "./file-names.ts";
import { readWholeFile } from "./log/log-scan.ts";

/** One more is refused: each keeps tables that compaction would have let go. */
export const SNAPSHOTS_MAX = 64;
const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

export interface SnapshotSummary {
  readonly name: string;
  /** Unix ms; 0 where that cannot be read any more. */
  readonly createdMs: number;
  readonly tables: number;
  /** Of its tables; shared with the store as long as that has them, too. */
  readonly bytes: number;
}

/** Throws `bad-request` for a name that could mean anything to a file system. */
export function refuseBadName(name: string): void {
  if (NAME.test(name) && !name.endsWith(temporaryName(""))) return;
  throw new HutchError(
    "bad-request",
    `Cannot have a snapshot "${name.slice(0, 80)}": want 1 to 63 of a-z, 0-9, ".", "_" and "-", a letter or digit first, and no ".tmp" at the end`,
  );
}

export const snapshotPath = (name: string): string => `${SNAPSHOTS_DIRECTORY}/${name}`;
export const unfinishedPath = (name: string): string => temporaryName(snapshotPath(name));

/** Names of the whole ones, sorted. */
export function snapshotNames(disk: Disk): string[] {
  return entriesOf(disk).filter((name) => !name.endsWith(temporaryName("")));
}

function entriesOf(disk: Disk): string[] {
  if (!disk.list("").includes(SNAPSHOTS_DIRECTORY)) return [];
  return disk.list(SNAPSHOTS_DIRECTORY);
}

export function summaryBytes(summary: SnapshotSummary): Uint8Array {
  return checkedLine(JSON.stringify(summary));
}

/** What SNAPSHOT says; where it is damaged, what is there. */
export function readSummary(disk: Disk, name: string): SnapshotSummary {
  const directory = snapshotPath(name);
  const stored = storedSummary(disk, `${directory}/${SNAPSHOT_FILE}`);
  if (stored !== undefined) return { ...stored, name };
  const tables = disk.list(directory).filter((file) => parseFileName(file)?.kind === "table");
  const sizes = tables.map((file) => disk.sizeOf(`${directory}/${file}`));
  return { name, createdMs: 0, tables: tables.length, bytes: sizes.reduce((a, b) => a + b, 0) };
}

const NOTHING = { createdMs: -1, tables: -1, bytes: -1 };

function storedSummary(disk: Disk, path: string): Omit<SnapshotSummary, "name"> | undefined {
  if (disk.sizeOf(path) < 0) return undefined;
  try {
    const line = lineIn(readWholeFile(disk, path));
    if (line === undefined) return undefined;
    const { createdMs, tables, bytes } = (JSON.parse(line) as SnapshotSummary | null) ?? NOTHING;
    const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
    const isSound = [createdMs, tables, bytes].every(isCount);
    return isSound ? { createdMs, tables, bytes } : undefined;
  } catch (error) {
    if (error instanceof CorruptionError || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Creates a file, whole and synced; its name is durable with its directory. */
export async function writeWhole(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  const file = disk.create(path);
  try {
    file.append(bytes);
    await file.sync();
  } finally {
    file.close();
  }
}

/** Files that are linked or unlinked in one turn; then others have theirs. */
const FILES_PER_TURN = 64;

/** Does `work` for each item, a few in one turn. */
export async function inTurns<T>(
  items: readonly T[],
  pause: () => Promise<void>,
  work: (item: T) => void,
): Promise<void> {
  for (let start = 0; start < items.length; start += FILES_PER_TURN) {
    if (start > 0) await pause();
    for (const item of items.slice(start, start + FILES_PER_TURN)) work(item);
  }
}

/** At start: what was being written or removed. `names` are the entries of the data directory. */
export function removeUnfinished(disk: Disk, names: readonly string[]): void {
  if (!names.includes(SNAPSHOTS_DIRECTORY)) return;
  for (const name of disk.list(SNAPSHOTS_DIRECTORY)) {
    if (!name.endsWith(temporaryName(""))) continue;
    const directory = snapshotPath(name);
    for (const file of disk.list(directory)) disk.unlink(`${directory}/${file}`);
    disk.removeDirectory(directory);
  }
}
