/**
 * `hutch repair`: a store that refuses to open, made openable again from what can be read (C5, row 83).
 *
 *   1. every table whose footer, index and properties verify is kept; one that does not is set aside (.corrupt)
 *   2. every record that verifies in any log segment, also behind damage, is replayed into tables; the segments are set aside
 *   3. all tables are merged into one level: of each key the entry with the highest sequence wins, wherever it was found
 *   4. a new manifest and CURRENT
 *
 * Without `acceptLoss` it only goes on where nothing that was acknowledged can be missing: the log is whole and every table the manifest lists (if it
 * can be read) is sound. Files that cannot be read are never removed. Storage-level deletes that a compaction had dropped already can come back from an
 * input table that was not unlinked yet: collected tombstones are written again by the next repair of the cluster.
 */
import { ByteReader } from "../base/byte-reader.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { Disk } from "../ports/disk.ts";
import type { MergeResult } from "./compaction/merge-tables.ts";
import type { SalvageJob, SalvageResult } from "./compaction/salvage-table.ts";
import type { VerifyJob, VerifyResult } from "./compaction/verify-table.ts";
import { CURRENT_FILE, fileName, parseFileName, quarantinedName } from "./file-names.ts";
import type { CompactJob } from "./jobs.ts";
import { Manifest, loadManifest } from "./levels/manifest.ts";
import { EMPTY_STATE } from "./levels/manifest-edit.ts";
import type { ManifestState } from "./levels/manifest-edit.ts";
import { LOG_KINDS, RECORD_TYPES } from "./log/log-format.ts";
import type { LogOwner } from "./log/log-format.ts";
import { belongsTo } from "./log/log-owner.ts";
import { readWholeFile, recordsAnywhere, scanLog } from "./log/log-scan.ts";
import type { StoreOptions } from "./options.ts";
import { ReplaySink } from "./recovery.ts";
import type { StorePorts } from "./store-ports.ts";
import type { TableMetadata } from "./table/table-metadata.ts";
import { readTableMetadata } from "./table/table-summary.ts";

export interface RepairReport {
  readonly tablesKept: number;
  readonly entriesReplayed: number;
  /** Files that were not sound; they are still there, under NAME.corrupt. */
  readonly setAside: readonly string[];
  /** One sentence for each thing that may be missing. */
  readonly losses: readonly string[];
}

const OUTPUTS_MAX = 10_000;

/** The caller holds the lock of the data directory. Throws `data-refused` when something would be lost and `acceptLoss` is false. */
export async function repairStore(
  ports: StorePorts,
  options: StoreOptions,
  owner: LogOwner,
  acceptLoss: boolean,
): Promise<RepairReport> {
  const { disk } = ports;
  const losses: string[] = [];
  const damagedFiles: string[] = [];
  const found = await readTables(ports, losses, damagedFiles);
  const segments = readSegments(disk, owner, losses, damagedFiles);
  const state = readableState(disk, owner);
  losses.push(...missingData(disk, state), ...missingWrites(segments, state));
  if (losses.length > 0 && !acceptLoss)
    throw new HutchError(
      "data-refused",
      `Cannot repair without loss: ${losses.join("; ")}; "--accept-loss" goes on with what can be read; nothing was changed`,
    );
  const ids = new FileIds(disk);
  const sink = new ReplaySink(ports, options, ids);
  for (const segment of segments)
    for (const batch of segment.batches)
      await sink.add(segment.bytes, batch.start, batch.end, batch.sequence);
  await sink.flush();
  const kept = found.filter((table) => !damagedFiles.includes(fileName("table", table.id)));
  const salvaged = await salvageAll(
    ports,
    options,
    ids,
    found.filter((table) => !kept.includes(table)),
  );
  const inputs = [...kept, ...salvaged, ...sink.tables];
  const merged = await mergeAll(ports, options, ids, inputs);
  installManifest(ports, owner, ids, merged);
  for (const file of damagedFiles)
    if (disk.sizeOf(file) >= 0) disk.rename(file, quarantinedName(file));
  for (const table of inputs) disk.unlink(fileName("table", table.id));
  for (const segment of segments) if (disk.sizeOf(segment.name) >= 0) disk.unlink(segment.name);
  disk.syncDirectory("");
  return {
    tablesKept: kept.length,
    entriesReplayed: sink.count,
    setAside: damagedFiles.map(quarantinedName),
    losses,
  };
}

class FileIds {
  next = 1;

  constructor(disk: Disk) {
    for (const name of disk.list("")) {
      const digits = /^(\d{12,16})\./.exec(name);
      if (digits !== null) this.next = Math.max(this.next, Number(digits[1]) + 1);
    }
  }

  reserveFileIds(count: number): number {
    const first = this.next;
    this.next += count;
    return first;
  }
}

/** Reads every table whole. A damaged one is in the result as long as its footer can be read: its sound blocks can be salvaged. */
async function readTables(
  ports: StorePorts,
  losses: string[],
  damaged: string[],
): Promise<TableMetadata[]> {
  const { disk, workers } = ports;
  const tables: TableMetadata[] = [];
  for (const name of disk.list("")) {
    const parsed = parseFileName(name);
    if (parsed?.kind !== "table") continue;
    try {
      const table = readTableMetadata(disk, parsed.id);
      tables.push(table);
      const job: VerifyJob = { table, bytesPerSecond: 0 };
      const { damage } = await workers.run<VerifyJob, VerifyResult>("verify", job);
      if (damage.length > 0) throw new Error(damage[0]!.message);
    } catch (error) {
      losses.push(`table "${name}": ${messageOf(error)}`);
      damaged.push(name);
    }
  }
  return tables;
}

interface ReadSegment {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly batches: readonly { start: number; end: number; sequence: number }[];
  readonly provenSequence: number;
}

/** In the order of their sequences, so that a later batch overwrites an earlier one. */
function readSegments(
  disk: Disk,
  owner: LogOwner,
  losses: string[],
  damaged: string[],
): ReadSegment[] {
  const segments: ReadSegment[] = [];
  for (const name of disk.list("")) {
    const parsed = parseFileName(name);
    if (parsed?.kind !== "wal") continue;
    const bytes = readWholeFile(disk, name);
    const scan = scanLog(name, bytes);
    const reason =
      typeof scan.header === "string"
        ? scan.header
        : belongsTo(scan.header, LOG_KINDS.wal, parsed.id, owner);
    if (reason !== "") {
      losses.push(`log segment "${name}": ${reason}`);
      damaged.push(name);
      continue;
    }
    if (scan.soundEnd < bytes.length) {
      losses.push(`log segment "${name}": damaged at offset ${scan.soundEnd}`);
      damaged.push(name);
    }
    const batches = recordsAnywhere(scan)
      .filter((record) => record.type === RECORD_TYPES.batch)
      .map((record) => ({
        start: record.payloadStart,
        end: record.end,
        sequence: record.sequence,
      }));
    segments.push({ name, bytes, batches, provenSequence: scan.provenSequence });
  }
  return segments.sort((a, b) => (a.batches[0]?.sequence ?? 0) - (b.batches[0]?.sequence ?? 0));
}

/** What the manifest says, or nothing where it cannot be read: it is what is being repaired. */
function readableState(disk: Disk, owner: LogOwner): ManifestState {
  try {
    return loadManifest(disk, owner)?.state ?? EMPTY_STATE;
  } catch {
    return EMPTY_STATE;
  }
}

/** What the manifest lists and the directory lacks, or had lost before. */
function missingData(disk: Disk, state: ManifestState): string[] {
  const tables = state.levels.tables.flat().map((table) => fileName("table", table.id));
  const segments = state.walIds.map((id) => fileName("wal", id));
  const missing = [...tables, ...segments].filter((name) => disk.sizeOf(name) < 0);
  const lost = state.levels.lostRanges.length;
  return [
    ...missing.map((name) => `"${name}" is missing`),
    ...(lost === 0 ? [] : [`${lost} key ranges of damaged tables could not be read`]),
  ];
}

/** Sequences that had been acknowledged and are in no record. */
function missingWrites(segments: readonly ReadSegment[], state: ManifestState): string[] {
  const gaps: string[] = [];
  let proven = state.durableSequence;
  let next = state.flushedSequence + 1;
  for (const { bytes, batches, provenSequence } of segments) {
    proven = Math.max(proven, provenSequence);
    for (const { start, end, sequence } of batches) {
      if (sequence > next && state !== EMPTY_STATE)
        gaps.push(`writes ${next} to ${sequence - 1} are missing`);
      next = Math.max(next, sequence + new ByteReader(bytes, start, end).varint());
    }
  }
  if (state !== EMPTY_STATE && proven >= next) gaps.push(`writes ${next} to ${proven} are missing`);
  return gaps;
}

async function salvageAll(
  ports: StorePorts,
  options: StoreOptions,
  ids: FileIds,
  damaged: readonly TableMetadata[],
): Promise<TableMetadata[]> {
  const outputs: TableMetadata[] = [];
  for (const input of damaged) {
    const job: SalvageJob = {
      input,
      outputId: ids.reserveFileIds(1),
      blockBytes: options.blockBytes,
      bytesPerSecond: 0,
    };
    const { output } = await ports.workers.run<SalvageJob, SalvageResult>("salvage", job);
    if (output !== undefined) outputs.push(output);
  }
  return outputs;
}

async function mergeAll(
  ports: StorePorts,
  options: StoreOptions,
  ids: FileIds,
  inputs: readonly TableMetadata[],
): Promise<readonly TableMetadata[]> {
  if (inputs.length === 0) return [];
  const result = await ports.workers.run<CompactJob, MergeResult>("compact", {
    inputs,
    firstOutputId: ids.reserveFileIds(OUTPUTS_MAX),
    outputIdCount: OUTPUTS_MAX,
    tableBytesMax: options.tableBytes,
    blockBytes: options.blockBytes,
    isBottommost: true,
    bytesPerSecond: 0,
    retention: {},
  });
  return result.outputs;
}

function installManifest(
  ports: StorePorts,
  owner: LogOwner,
  ids: FileIds,
  tables: readonly TableMetadata[],
): void {
  const { disk, random } = ports;
  const flushedSequence = tables.reduce(
    (highest, table) => Math.max(highest, table.largestSequence),
    0,
  );
  const levels = {
    tables: EMPTY_STATE.levels.tables.map((_, level) => (level === 1 ? tables : [])),
    lostRanges: [],
  };
  if (disk.sizeOf(CURRENT_FILE) >= 0) disk.unlink(CURRENT_FILE);
  const manifest = new Manifest(
    disk,
    owner,
    {
      ...EMPTY_STATE,
      levels,
      nextFileId: ids.next,
      flushedSequence,
      durableSequence: flushedSequence,
    },
    () => random.u32(),
  );
  void manifest.close();
}
