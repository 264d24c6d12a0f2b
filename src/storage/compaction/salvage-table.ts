/**
 * What is left of a damaged table: the readable blocks go into a new table, and for every other block the range of keys that it
 * may have held is reported, so that exactly these are asked of other replicas (C13) or, with none, named to the operator.
 *
 * The new table alone must not be trusted about a lost range: a key in it may have had a newer entry in the lost block
 * than in any older table. Where footer or index is gone nothing says where blocks begin, and everything counts as lost.
 */
import { compareBytes } from "../../base/bytes.ts";
import { DecodeError } from "../../base/byte-reader.ts";
import { CorruptionError } from "../../base/errors.ts";
import { BlockCursor } from "../../kernels/block-kernels.ts";
import type { JobEnvironment } from "../../ports/workers.ts";
import type { EntryKind } from "../iterators/entry-iterator.ts";
import type { LostRange } from "../levels/lost-ranges.ts";
import type { BlockIndex } from "../table/block-index.ts";
import type { Compression } from "../table/compression.ts";
import { TableFile } from "../table/table-file.ts";
import type { TableMetadata } from "../table/table-metadata.ts";
import { TableWriter } from "../table/table-writer.ts";
import { RateLimiter } from "./rate-limiter.ts";

export interface SalvageJob {
  readonly input: TableMetadata;
  readonly outputId: number;
  readonly blockBytes: number;
  /** Zero: no limit. */
  readonly bytesPerSecond: number;
}

export interface SalvageResult {
  /** `undefined` where no entry could be read. */
  readonly output: TableMetadata | undefined;
  /** Ascending, neighbours joined; empty where only bloom filter or properties were damaged. */
  readonly lost: readonly LostRange[];
}

/** Throws `DiskError` where the output cannot be written, or the input not be opened for reasons other than damage. */
export async function salvageTable(
  environment: JobEnvironment,
  job: SalvageJob,
  compression: Compression,
): Promise<SalvageResult> {
  const opened = openDamaged(environment, job.input);
  if (opened === undefined) return { output: undefined, lost: [wholeRange(job.input)] };
  const { disk, clock } = environment;
  const writer = new TableWriter(disk, job.outputId, {
    blockBytes: job.blockBytes,
    compression,
    origin: "salvage",
    createdMs: clock.wallMs(),
  });
  try {
    const lost = await copyReadableBlocks(environment, job, opened, compression, writer);
    if (writer.entryCount > 0) return { output: writer.finish(), lost };
    writer.abandon();
    return { output: undefined, lost };
  } catch (thrown) {
    writer.abandon();
    throw thrown;
  } finally {
    opened.file.close();
  }
}

interface OpenedTable {
  readonly file: TableFile;
  readonly index: BlockIndex;
}

/** `undefined` where the table says nothing about its blocks. */
function openDamaged(environment: JobEnvironment, input: TableMetadata): OpenedTable | undefined {
  let file: TableFile | undefined;
  try {
    file = TableFile.open(environment.disk, input);
    return { file, index: file.readIndex() };
  } catch (thrown) {
    file?.close();
    if (thrown instanceof CorruptionError) return undefined;
    throw thrown;
  }
}

async function copyReadableBlocks(
  environment: JobEnvironment,
  job: SalvageJob,
  { file, index }: OpenedTable,
  compression: Compression,
  writer: TableWriter,
): Promise<LostRange[]> {
  const limiter = new RateLimiter(environment.clock, job.bytesPerSecond);
  const cursor = new BlockCursor();
  const lost: LostRange[] = [];
  for (let at = 0; at < index.blockCount; at++) {
    try {
      copyBlock(file.readBlock(index, at, compression), cursor, writer);
    } catch (thrown) {
      if (!(thrown instanceof CorruptionError || thrown instanceof DecodeError)) throw thrown;
      addRange(lost, rangeOfBlock(index, at, job.input));
    }
    const pause = limiter.spend(index.blockEnd(at) - index.blockOffset(at));
    if (pause !== undefined) await pause;
  }
  return lost;
}

/** Entries before a place that does not decode are kept: they verified, and the block's range counts as lost anyway. */
function copyBlock(block: Uint8Array, cursor: BlockCursor, writer: TableWriter): void {
  for (let more = cursor.seekToFirst(block, 0, block.length); more; more = cursor.next()) {
    writer.add(
      cursor.keyBytes,
      0,
      cursor.keyLength,
      // Only kinds 0 and 1 are ever written, and the block has passed its checksum.
      cursor.kind as EntryKind,
      cursor.sequence,
      block,
      cursor.valueStart,
      cursor.valueEnd,
    );
  }
}

/** Exactly the keys that the block can hold: up to the next separator. */
function rangeOfBlock(index: BlockIndex, at: number, input: TableMetadata): LostRange {
  const isLast = at + 1 === index.blockCount;
  return {
    start: index.separator(at),
    end: isLast ? keyBehind(input.largestKey) : index.separator(at + 1),
    sequenceMax: input.largestSequence,
  };
}

function addRange(lost: LostRange[], range: LostRange): void {
  const last = lost.at(-1);
  if (last === undefined || compareBytes(last.end, range.start) < 0) lost.push(range);
  else lost[lost.length - 1] = { ...last, end: range.end };
}

function wholeRange(input: TableMetadata): LostRange {
  return {
    start: input.smallestKey,
    end: keyBehind(input.largestKey),
    sequenceMax: input.largestSequence,
  };
}

/** The smallest key above `key`. */
function keyBehind(key: Uint8Array): Uint8Array {
  const behind = new Uint8Array(key.length + 1);
  behind.set(key);
  return behind;
}
