/**
 * One change of the store's file set, as the manifest records it (drawn in FORMATS.md).
 *
 * An edit is a sequence of fields, each a tag byte and its content; an unknown tag is an unknown format and refuses the file.
 */
import { ByteReader, DecodeError } from "../../base/byte-reader.ts";
import { ByteWriter } from "../../base/byte-writer.ts";
import type { TableMetadata } from "../table/table-metadata.ts";
import { EMPTY_LEVELS, LEVEL_COUNT, applyLevelsEdit } from "./levels.ts";
import type { Levels, LevelsEdit } from "./levels.ts";
import type { LostRange } from "./lost-ranges.ts";

export interface ManifestEdit extends LevelsEdit {
  readonly nextFileId?: number;
  /** Everything up to here is in tables. */
  readonly flushedSequence?: number;
  /** Everything up to here had been synced to the log, or is in tables. */
  readonly durableSequence?: number;
  readonly addedWalIds?: readonly number[];
  readonly removedWalIds?: readonly number[];
  readonly verified?: readonly VerifiedTable[];
}

/** Every byte of the table was read back and is right. */
export interface VerifiedTable {
  readonly id: number;
  /** Unix ms. */
  readonly atMs: number;
}

export interface ManifestState {
  readonly levels: Levels;
  readonly nextFileId: number;
  readonly flushedSequence: number;
  /** The log must reach at least to here, or acknowledged writes are missing. */
  readonly durableSequence: number;
  /** Segments that hold writes which are not in tables, ascending. */
  readonly walIds: readonly number[];
  /** Unix ms by table id; a table that is not in it was never read back as a whole. */
  readonly verifiedMs: ReadonlyMap<number, number>;
}

export const EMPTY_STATE: ManifestState = {
  levels: EMPTY_LEVELS,
  nextFileId: 1,
  flushedSequence: 0,
  durableSequence: 0,
  walIds: [],
  verifiedMs: new Map(),
};

export function applyEdit(state: ManifestState, edit: ManifestEdit): ManifestState {
  const removed = new Set(edit.removedWalIds ?? []);
  const walIds = [...state.walIds.filter((id) => !removed.has(id)), ...(edit.addedWalIds ?? [])];
  return {
    verifiedMs: verifiedAfter(state.verifiedMs, edit),
    levels: applyLevelsEdit(state.levels, edit),
    nextFileId: Math.max(state.nextFileId, edit.nextFileId ?? 0),
    flushedSequence: Math.max(state.flushedSequence, edit.flushedSequence ?? 0),
    durableSequence: Math.max(state.durableSequence, edit.durableSequence ?? 0),
    walIds: walIds.sort((a, b) => a - b),
  };
}

function verifiedAfter(
  before: ReadonlyMap<number, number>,
  { removed = [], verified = [] }: ManifestEdit,
): ReadonlyMap<number, number> {
  if (verified.length === 0 && !removed.some((id) => before.has(id))) return before;
  const after = new Map(before);
  for (const { id, atMs } of verified) after.set(id, atMs);
  for (const id of removed) after.delete(id);
  return after;
}

/** The edit that turns `EMPTY_STATE` into `state`. */
export function snapshotEdit(state: ManifestState): ManifestEdit {
  return {
    added: state.levels.tables.flatMap((tables, level) =>
      tables.map((table) => ({ level, table })),
    ),
    lostRanges: state.levels.lostRanges,
    nextFileId: state.nextFileId,
    flushedSequence: state.flushedSequence,
    durableSequence: state.durableSequence,
    addedWalIds: state.walIds,
    verified: [...state.verifiedMs].map(([id, atMs]) => ({ id, atMs })),
  };
}

/** Frozen. */
const TAGS = {
  added: 1,
  removed: 2,
  nextFileId: 3,
  flushedSequence: 4,
  addedWal: 5,
  removedWal: 6,
  lostRange: 7,
  durableSequence: 8,
  healed: 9,
  verified: 10,
} as const;

export function encodeEdit(writer: ByteWriter, edit: ManifestEdit): void {
  const tagged = (tag: number, value: number): void => {
    writer.u8(tag);
    writer.varint(value);
  };
  for (const { level, table } of edit.added ?? []) {
    tagged(TAGS.added, level);
    encodeTable(writer, table);
  }
  for (const id of edit.removed ?? []) tagged(TAGS.removed, id);
  if (edit.nextFileId !== undefined) tagged(TAGS.nextFileId, edit.nextFileId);
  if (edit.flushedSequence !== undefined) tagged(TAGS.flushedSequence, edit.flushedSequence);
  if (edit.durableSequence !== undefined) tagged(TAGS.durableSequence, edit.durableSequence);
  for (const id of edit.addedWalIds ?? []) tagged(TAGS.addedWal, id);
  for (const id of edit.removedWalIds ?? []) tagged(TAGS.removedWal, id);
  const ranges = (tag: number, list: readonly LostRange[]): void => {
    for (const { start, end, sequenceMax } of list) {
      tagged(tag, sequenceMax);
      writer.bytes(start);
      writer.bytes(end);
    }
  };
  ranges(TAGS.healed, edit.healed ?? []);
  ranges(TAGS.lostRange, edit.lostRanges ?? []);
  for (const { id, atMs } of edit.verified ?? []) {
    tagged(TAGS.verified, id);
    writer.varint(atMs);
  }
}

function encodeTable(writer: ByteWriter, table: TableMetadata): void {
  writer.varint(table.id);
  writer.varint(table.fileBytes);
  writer.varint(table.entryCount);
  writer.varint(table.deletionCount);
  writer.bytes(table.smallestKey);
  writer.bytes(table.largestKey);
  writer.varint(table.smallestSequence);
  writer.varint(table.largestSequence);
  writer.u32(table.checksum);
}

/** Throws `DecodeError` unless `bytes[start, end)` is exactly one edit. */
export function decodeEdit(bytes: Uint8Array, start: number, end: number): ManifestEdit {
  const reader = new ByteReader(bytes, start, end);
  const added: { level: number; table: TableMetadata }[] = [];
  const removed: number[] = [];
  const addedWalIds: number[] = [];
  const removedWalIds: number[] = [];
  const lostRanges: LostRange[] = [];
  const healed: LostRange[] = [];
  const verified: VerifiedTable[] = [];
  let nextFileId = 0;
  let flushedSequence = 0;
  let durableSequence = 0;
  while (reader.remaining > 0) {
    const tag = reader.u8();
    const value = reader.varint();
    if (tag === TAGS.added) added.push({ level: checkedLevel(value), table: decodeTable(reader) });
    else if (tag === TAGS.removed) removed.push(value);
    else if (tag === TAGS.nextFileId) nextFileId = value;
    else if (tag === TAGS.flushedSequence) flushedSequence = value;
    else if (tag === TAGS.durableSequence) durableSequence = value;
    else if (tag === TAGS.addedWal) addedWalIds.push(value);
    else if (tag === TAGS.removedWal) removedWalIds.push(value);
    else if (tag === TAGS.lostRange) lostRanges.push(decodeRange(reader, value));
    else if (tag === TAGS.healed) healed.push(decodeRange(reader, value));
    else if (tag === TAGS.verified) verified.push({ id: value, atMs: reader.varint() });
    else throw new DecodeError(`Cannot read manifest edit: unknown field ${tag}`);
  }
  return {
    added,
    removed,
    addedWalIds,
    removedWalIds,
    lostRanges,
    healed,
    verified,
    nextFileId,
    flushedSequence,
    durableSequence,
  };
}

function decodeRange(reader: ByteReader, sequenceMax: number): LostRange {
  return { sequenceMax, start: reader.view().slice(), end: reader.view().slice() };
}

function checkedLevel(level: number): number {
  if (level >= LEVEL_COUNT) throw new DecodeError(`Cannot read manifest edit: level ${level}`);
  return level;
}

function decodeTable(reader: ByteReader): TableMetadata {
  return {
    id: reader.varint(),
    fileBytes: reader.varint(),
    entryCount: reader.varint(),
    deletionCount: reader.varint(),
    smallestKey: reader.view().slice(),
    largestKey: reader.view().slice(),
    smallestSequence: reader.varint(),
    largestSequence: reader.varint(),
    checksum: reader.u32(),
  };
}
