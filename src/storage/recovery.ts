/**
 * From the files of a data directory to a store that can serve.
 *
 *   1. look, change nothing: manifest, log segments, their headers, every record; whatever must be refused is refused here (exit 78)
 *   2. write a fresh manifest with the same state and switch CURRENT to it
 *   3. replay the log into memtables and flush them to tables; one edit installs these and forgets the segments
 *   4. start a new segment, open the tables, remove what nothing refers to
 *
 * Killed at any point it can begin again: 1 writes nothing, 2 and 3 take effect by one atomic step each, and what a half-done step left is an
 * orphan (C22). Replayed writes end in synced tables, so nothing rests on what only the page cache may hold (C15).
 *
 * The end of the log (docs/decisions/torn-tail.md): replay stops at the first record that is missing or does not verify. If any record
 * behind it proves that its sequence had been synced, acknowledged data is damaged and the directory is refused; otherwise it was never
 * acknowledged and the tail is dropped.
 *
 * Where others have the data too (`onDamagedLog: "quarantine"`, row 78) a damaged log is no reason to stay down: every record that verifies is replayed,
 * also behind the damage, the damaged segments become NAME.corrupt, and in the same edit every key is lost up to the highest sequence there is. What was
 * replayed, and what older tables have, is then only a candidate: nobody is answered from it before it was compared with the others. A segment that is
 * missing, foreign or doubled is refused all the same: that is no bad sector but somebody's hand (row 79).
 */
import { ByteReader } from "../base/byte-reader.ts";
import { CorruptionError, HutchError } from "../base/errors.ts";
import { hashKey } from "../kernels/kernels.ts";
import type { Disk } from "../ports/disk.ts";
import { CURRENT_FILE, fileName, parseFileName, quarantinedName } from "./file-names.ts";
import { loadManifest, Manifest } from "./levels/manifest.ts";
import { EMPTY_STATE } from "./levels/manifest-edit.ts";
import type { ManifestState } from "./levels/manifest-edit.ts";
import { everyKey } from "./levels/lost-ranges.ts";
import { decodeLogHeader, LOG_FORMAT, LOG_KINDS, RECORD_TYPES } from "./log/log-format.ts";
import type { LogHeader, LogOwner, LogRecord } from "./log/log-format.ts";
import { belongsTo } from "./log/log-owner.ts";
import { readWholeFile, recordsAnywhere, scanLog } from "./log/log-scan.ts";
import type { LogScan } from "./log/log-scan.ts";
import type { FlushJob } from "./memory/flush-memtable.ts";
import { Memtable } from "./memory/memtable.ts";
import { memtableCapacity } from "./memory/memtable-capacity.ts";
import type { StoreOptions } from "./options.ts";
import { removeUnfinished } from "./snapshot-files.ts";
import type { StorePorts } from "./store-ports.ts";
import type { TableMetadata } from "./table/table-metadata.ts";
import { decodeBatch } from "./write-batch.ts";

export interface Recovered {
  readonly manifest: Manifest;
  readonly lastSequence: number;
  /** Bytes at the end of the log that were never acknowledged and are gone. */
  readonly droppedBytes: number;
  readonly replayedCount: number;
  /** Why every key counts as lost, where that is so. */
  readonly damage: HutchError | undefined;
}

/** How far the log can be replayed. */
interface ReplayPlan {
  readonly walIds: readonly number[];
  /** Records below this sequence are replayed. */
  readonly endSequence: number;
  readonly droppedBytes: number;
  /** Acknowledged writes are missing. */
  readonly damage: LogDamage | undefined;
}

interface LogDamage {
  readonly error: HutchError;
  /** The segments that do not verify. */
  readonly files: readonly string[];
}

function refused(file: string, reason: string): HutchError {
  return new HutchError(
    "data-refused",
    `Cannot open the store: "${file}": ${reason}; nothing was changed; "hutch repair --accept-loss" keeps what can be read`,
    { data: { file } },
  );
}

/** Steps 1 to 3. Throws `data-refused` with nothing changed. */
export async function recover(
  ports: StorePorts,
  options: StoreOptions,
  owner: LogOwner,
): Promise<Recovered> {
  const { disk, random } = ports;
  const loaded = loadManifest(disk, owner);
  if (loaded === undefined) refuseDataWithoutManifest(disk);
  const state = loaded?.state ?? EMPTY_STATE;
  if (loaded !== undefined && loaded.tornBytes > 0) refuseMissingTables(disk, state);
  refuseStraySegments(disk, state, owner);
  const plan = planReplay(disk, state, owner);
  const { damage } = plan;
  if (damage !== undefined && options.onDamagedLog !== "quarantine") throw damage.error;
  removeTemporaries(disk);
  const manifest = new Manifest(
    disk,
    owner,
    { ...state, nextFileId: firstFreeId(disk, state) },
    () => random.u32(),
  );
  const replayed = await replay(ports, options, manifest, plan);
  if (plan.walIds.length > 0) await install(manifest, plan, replayed.tables);
  if (damage !== undefined) setAside(disk, damage.files);
  return {
    manifest,
    lastSequence: plan.endSequence - 1,
    droppedBytes: plan.droppedBytes,
    replayedCount: replayed.count,
    damage: damage?.error,
  };
}

/** One edit: the log is in tables, and what it lost is lost. */
function install(
  manifest: Manifest,
  plan: ReplayPlan,
  tables: readonly TableMetadata[],
): Promise<void> {
  const flushedSequence = plan.endSequence - 1;
  return manifest.append(
    () => ({
      added: tables.map((table) => ({ level: 0, table })),
      removedWalIds: plan.walIds,
      flushedSequence,
      lostRanges: plan.damage === undefined ? [] : [everyKey(flushedSequence)],
    }),
    () => undefined,
  );
}

/** After a crash right before this they are orphans, and removed; what they lost is in the manifest all the same. */
function setAside(disk: Disk, files: readonly string[]): void {
  for (const file of files) if (disk.sizeOf(file) >= 0) disk.rename(file, quarantinedName(file));
  disk.syncDirectory("");
}

/** Step 4: removes files that nothing refers to. Requires a manifest that was read whole (C23). */
export function removeOrphans(disk: Disk, state: ManifestState): void {
  const tables = new Set(state.levels.tables.flat().map((table) => table.id));
  const logs = new Set(state.walIds);
  const names = disk.list("");
  for (const name of names) {
    const parsed = parseFileName(name);
    const isOrphan =
      (parsed?.kind === "table" && !tables.has(parsed.id)) ||
      (parsed?.kind === "wal" && !logs.has(parsed.id));
    if (isOrphan) disk.unlink(name);
  }
  removeUnfinished(disk, names);
  disk.syncDirectory("");
}

function removeTemporaries(disk: Disk): void {
  for (const name of disk.list("")) if (name.endsWith(".tmp")) disk.unlink(name);
}

function refuseDataWithoutManifest(disk: Disk): void {
  for (const name of disk.list("")) {
    const kind = parseFileName(name)?.kind;
    if (kind === "table" || kind === "wal")
      throw new HutchError(
        "data-refused",
        `Cannot open the store: "${CURRENT_FILE}" is missing beside "${name}"; "hutch repair" rebuilds the manifest from the tables`,
        { data: { file: CURRENT_FILE } },
      );
  }
}

/** After a torn edit nothing may have been done on the strength of it: every table of the edit before is still there. */
function refuseMissingTables(disk: Disk, state: ManifestState): void {
  for (const table of state.levels.tables.flat()) {
    const name = fileName("table", table.id);
    if (disk.sizeOf(name) < 0)
      throw refused(name, "the manifest lists it and its last edit is damaged");
  }
}

/**
 * A segment that the manifest does not list is a leftover, unless it is somebody else's or a copy of one that is listed (row 79). A file that was
 * made right before a power loss may hold stale bytes of a segment that had been removed: a leftover too.
 */
function refuseStraySegments(disk: Disk, state: ManifestState, owner: LogOwner): void {
  for (const name of disk.list("")) {
    const parsed = parseFileName(name);
    if (parsed?.kind !== "wal" || state.walIds.includes(parsed.id)) continue;
    const header = decodeLogHeader(readWholeFile(disk, name));
    if (typeof header === "string") continue;
    const reason = belongsTo(header, LOG_KINDS.wal, parsed.id, owner);
    const isForeign = belongsTo(header, header.kind, header.fileId, owner) !== "";
    if (isForeign || (reason !== "" && isCopyOfLive(disk, state, header)))
      throw refused(name, reason);
  }
}

/** File numbers may come again after a crash, salts do not. */
function isCopyOfLive(disk: Disk, state: ManifestState, header: LogHeader): boolean {
  const name = fileName("wal", header.fileId);
  if (!state.walIds.includes(header.fileId) || disk.sizeOf(name) < 0) return false;
  const live = decodeLogHeader(readWholeFile(disk, name));
  return typeof live !== "string" && live.salt === header.salt;
}

function firstFreeId(disk: Disk, state: ManifestState): number {
  let next = state.nextFileId;
  for (const name of disk.list("")) {
    const digits = /^(\d{12,16})\./.exec(name);
    if (digits !== null) next = Math.max(next, Number(digits[1]) + 1);
  }
  return next;
}

/** Step 1 for the log: where replay ends, or why it must not begin. */
function planReplay(disk: Disk, state: ManifestState, owner: LogOwner): ReplayPlan {
  const end = new LogEnd(state);
  for (const id of state.walIds) {
    const name = fileName("wal", id);
    if (disk.sizeOf(name) < 0)
      throw refused(name, "the manifest lists this log segment and it is not there");
    const scan = readSegment(disk, name);
    if (typeof scan.header !== "string") checkHeader(scan, scan.header, id, owner);
    end.take(scan);
  }
  return end.plan(disk, state);
}

/** A segment that the disk cannot read has no sound part. */
function readSegment(disk: Disk, name: string): LogScan {
  try {
    return scanLog(name, readWholeFile(disk, name));
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    const nothing = { bytes: new Uint8Array(0), records: [], soundEnd: 0, provenSequence: -1 };
    return { name, header: error.message, isClosed: false, ...nothing };
  }
}

/** Follows the log from segment to segment, and finds out what is proven about it. */
class LogEnd {
  private next: number;
  private proven: number;
  private droppedBytes = 0;
  private hole: { readonly file: string; readonly offset: number } | undefined;
  /** A segment that is not even a log. */
  private headless: HutchError | undefined;
  private readonly unsound: string[] = [];

  constructor(state: ManifestState) {
    this.next = state.flushedSequence + 1;
    this.proven = state.durableSequence;
  }

  take(scan: LogScan): void {
    if (typeof scan.header === "string") this.headless ??= refused(scan.name, scan.header);
    this.proven = Math.max(this.proven, scan.provenSequence);
    const isFollowed = this.hole === undefined && this.headless === undefined;
    const sound = isFollowed
      ? follow(scan, this.next)
      : { next: this.next, offset: 0, isWhole: false };
    this.next = sound.next;
    if (scan.soundEnd < scan.bytes.length || typeof scan.header === "string")
      this.unsound.push(scan.name);
    if (sound.isWhole) return;
    this.hole ??= { file: scan.name, offset: sound.offset };
    this.droppedBytes += scan.bytes.length - sound.offset;
  }

  plan(disk: Disk, state: ManifestState): ReplayPlan {
    const { next, proven, hole, droppedBytes, unsound } = this;
    const { walIds } = state;
    const error = this.headless ?? (proven >= next ? endsEarly(hole, state) : undefined);
    if (error === undefined) return { walIds, endSequence: next, droppedBytes, damage: undefined };
    const endSequence = Math.max(next, proven + 1, highestSequence(disk, walIds) + 1);
    return { walIds, endSequence, droppedBytes, damage: { error, files: unsound } };
  }
}

/** Of any record that verifies, also behind damage. */
function highestSequence(disk: Disk, walIds: readonly number[]): number {
  let highest = -1;
  for (const id of walIds) {
    const scan = readSegment(disk, fileName("wal", id));
    for (const record of recordsAnywhere(scan))
      highest = Math.max(highest, lastSequenceOf(scan, record));
  }
  return highest;
}

/** Of a mark or a close: that of the entry before. */
function lastSequenceOf({ bytes }: LogScan, record: LogRecord): number {
  if (record.type !== RECORD_TYPES.batch) return record.sequence - 1;
  const count = new ByteReader(bytes, record.payloadStart, record.end).varint();
  return record.sequence + count - 1;
}

/** Some record, or the manifest, proves that acknowledged writes are missing. */
function endsEarly(
  hole: { file: string; offset: number } | undefined,
  state: ManifestState,
): HutchError {
  if (hole !== undefined)
    return refused(
      hole.file,
      `it is damaged at offset ${hole.offset}, where acknowledged writes were`,
    );
  const last = state.walIds.at(-1);
  return refused(
    last === undefined ? "the log" : fileName("wal", last),
    "it ends before the last acknowledged write",
  );
}

function checkHeader(scan: LogScan, header: LogHeader, id: number, owner: LogOwner): void {
  if (header.format > LOG_FORMAT)
    throw refused(scan.name, `format ${header.format} is newer than this program's ${LOG_FORMAT}`);
  const foreign = belongsTo(header, LOG_KINDS.wal, id, owner);
  if (foreign !== "") throw refused(scan.name, foreign);
}

/** Follows the records of one segment from sequence `next` on; stops where one is missing. */
function follow(scan: LogScan, next: number): { next: number; offset: number; isWhole: boolean } {
  let expected = next;
  for (const record of scan.records) {
    if (record.sequence !== expected)
      return { next: expected, offset: record.payloadStart, isWhole: false };
    expected = lastSequenceOf(scan, record) + 1;
  }
  return { next: expected, offset: scan.soundEnd, isWhole: scan.soundEnd === scan.bytes.length };
}

async function replay(
  ports: StorePorts,
  options: StoreOptions,
  manifest: Manifest,
  plan: ReplayPlan,
): Promise<{ tables: TableMetadata[]; count: number }> {
  const sink = new ReplaySink(ports, options, manifest);
  let next = 0;
  for (const id of plan.walIds) {
    const scan = readSegment(ports.disk, fileName("wal", id));
    for (const record of plan.damage === undefined ? scan.records : recordsAnywhere(scan)) {
      const isInReach = record.sequence >= next && record.sequence < plan.endSequence;
      if (record.type !== RECORD_TYPES.batch || !isInReach) continue;
      next = lastSequenceOf(scan, record) + 1;
      await sink.add(scan.bytes, record.payloadStart, record.end, record.sequence);
    }
  }
  await sink.flush();
  return { tables: sink.tables, count: sink.count };
}

/** Collects replayed batches in a memtable and flushes it whenever it is full. */
export class ReplaySink {
  readonly tables: TableMetadata[] = [];
  count = 0;
  private readonly ports: StorePorts;
  private readonly options: StoreOptions;
  private readonly manifest: { reserveFileIds(count: number): number };
  private readonly hash = new Uint32Array(4);
  private memtable: Memtable | undefined;

  constructor(
    ports: StorePorts,
    options: StoreOptions,
    manifest: { reserveFileIds(count: number): number },
  ) {
    this.ports = ports;
    this.options = options;
    this.manifest = manifest;
  }

  /** One encoded batch; sequences must rise from call to call. */
  async add(bytes: Uint8Array, start: number, end: number, firstSequence: number): Promise<void> {
    const batch = decodeBatch(bytes, start, end);
    const memtable = await this.memtableFor(batch.count, end - start);
    for (let i = 0; i < batch.count; i++) {
      const key = batch.keys[i]!;
      hashKey(key, 0, key.length, this.hash);
      memtable.put(batch.kinds[i]!, key, batch.values[i]!, firstSequence + i, this.hash[0]!);
    }
    this.count += batch.count;
  }

  async flush(): Promise<void> {
    const memtable = this.memtable;
    if (memtable === undefined) return;
    this.memtable = undefined;
    const table = await this.ports.workers.run<FlushJob, TableMetadata | undefined>("flush", {
      memory: memtable.bytes.buffer as SharedArrayBuffer, // made by Memtable
      usedWords: memtable.usedWords,
      tableId: this.manifest.reserveFileIds(1),
      blockBytes: this.options.blockBytes,
    });
    if (table !== undefined) this.tables.push(table);
  }

  private async memtableFor(count: number, bytes: number): Promise<Memtable> {
    if (this.memtable?.hasRoomFor(count, bytes) === false) await this.flush();
    this.memtable ??= new Memtable(memtableCapacity(this.options, count, bytes), 0, 0);
    return this.memtable;
  }
}
