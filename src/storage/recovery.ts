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
 */
import { ByteReader } from "../base/byte-reader.ts";
import { HutchError } from "../base/errors.ts";
import { hashKey } from "../kernels/kernels.ts";
import type { Disk } from "../ports/disk.ts";
import { CURRENT_FILE, fileName, parseFileName } from "./file-names.ts";
import { loadManifest, Manifest } from "./levels/manifest.ts";
import { EMPTY_STATE } from "./levels/manifest-edit.ts";
import type { ManifestState } from "./levels/manifest-edit.ts";
import { decodeLogHeader, LOG_FORMAT, LOG_KINDS, RECORD_TYPES } from "./log/log-format.ts";
import type { LogHeader, LogOwner } from "./log/log-format.ts";
import { belongsTo } from "./log/log-owner.ts";
import { readWholeFile, scanLog } from "./log/log-scan.ts";
import type { LogScan } from "./log/log-scan.ts";
import type { FlushJob } from "./memory/flush-memtable.ts";
import { Memtable } from "./memory/memtable.ts";
import { memtableCapacity } from "./memory/memtable-capacity.ts";
import type { StoreOptions } from "./options.ts";
import type { StorePorts } from "./store-ports.ts";
import type { TableMetadata } from "./table/table-metadata.ts";
import { decodeBatch } from "./write-batch.ts";

export interface Recovered {
  readonly manifest: Manifest;
  readonly lastSequence: number;
  /** Bytes at the end of the log that were never acknowledged and are gone. */
  readonly droppedBytes: number;
  readonly replayedCount: number;
}

/** How far the log can be replayed. */
interface ReplayPlan {
  readonly walIds: readonly number[];
  /** Records below this sequence are replayed. */
  readonly endSequence: number;
  readonly droppedBytes: number;
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
  removeTemporaries(disk);
  const manifest = new Manifest(
    disk,
    owner,
    { ...state, nextFileId: firstFreeId(disk, state) },
    () => random.u32(),
  );
  const replayed = await replay(ports, options, manifest, plan);
  const flushedSequence = plan.endSequence - 1;
  if (plan.walIds.length > 0)
    await manifest.append(
      () => ({
        added: replayed.tables.map((table) => ({ level: 0, table })),
        removedWalIds: plan.walIds,
        flushedSequence,
      }),
      () => undefined,
    );
  return {
    manifest,
    lastSequence: flushedSequence,
    droppedBytes: plan.droppedBytes,
    replayedCount: replayed.count,
  };
}

/** Step 4: removes files that nothing refers to. Requires a manifest that was read whole (C23). */
export function removeOrphans(disk: Disk, state: ManifestState): void {
  const tables = new Set(state.levels.tables.flat().map((table) => table.id));
  const logs = new Set(state.walIds);
  for (const name of disk.list("")) {
    const parsed = parseFileName(name);
    const isOrphan =
      (parsed?.kind === "table" && !tables.has(parsed.id)) ||
      (parsed?.kind === "wal" && !logs.has(parsed.id));
    if (isOrphan) disk.unlink(name);
  }
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
  let next = state.flushedSequence + 1;
  let droppedBytes = 0;
  let hole: { file: string; offset: number } | undefined;
  let proven = state.durableSequence;
  for (const id of state.walIds) {
    const name = fileName("wal", id);
    if (disk.sizeOf(name) < 0)
      throw refused(name, "the manifest lists this log segment and it is not there");
    const scan = scanLog(name, readWholeFile(disk, name));
    checkHeader(scan, id, owner);
    proven = Math.max(proven, scan.provenSequence);
    const sound = hole === undefined ? follow(scan, next) : { next, offset: 0, isWhole: false };
    next = sound.next;
    if (sound.isWhole) continue;
    hole ??= { file: name, offset: sound.offset };
    droppedBytes += scan.bytes.length - sound.offset;
  }
  if (proven >= next) throw endsEarly(hole, state);
  return { walIds: state.walIds, endSequence: next, droppedBytes };
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

function checkHeader(scan: LogScan, id: number, owner: LogOwner): void {
  if (typeof scan.header === "string") throw refused(scan.name, scan.header);
  if (scan.header.format > LOG_FORMAT)
    throw refused(
      scan.name,
      `format ${scan.header.format} is newer than this program's ${LOG_FORMAT}`,
    );
  const foreign = belongsTo(scan.header, LOG_KINDS.wal, id, owner);
  if (foreign !== "") throw refused(scan.name, foreign);
}

/** Follows the records of one segment from sequence `next` on; stops where one is missing. */
function follow(scan: LogScan, next: number): { next: number; offset: number; isWhole: boolean } {
  let expected = next;
  for (const record of scan.records) {
    if (record.sequence !== expected)
      return { next: expected, offset: record.payloadStart, isWhole: false };
    if (record.type === RECORD_TYPES.batch)
      expected += new ByteReader(scan.bytes, record.payloadStart, record.end).varint();
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
  for (const id of plan.walIds) {
    const name = fileName("wal", id);
    const scan = scanLog(name, readWholeFile(ports.disk, name));
    for (const record of scan.records) {
      if (record.type !== RECORD_TYPES.batch || record.sequence >= plan.endSequence) continue;
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
