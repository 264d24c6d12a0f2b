/**
 * Cuts what a store has lost into pieces that are healed one by one: what the node keeps for itself, and each partition's part of the buckets.
 *
 *   own      partition | marks below any bucket name      settings, facts, hints, memories of requests
 *   data     partition | bucket | 0x00 | key              fetched from the other owners
 *   sole     the same, of buckets with one copy           stays lost: there is nobody to ask
 */
import { type LostRange, clipRange, removeHealed } from "../storage/store.ts";
import type { KeyRange } from "./key-scan.ts";

export interface LostPiece {
  readonly kind: "own" | "data" | "sole";
  readonly partition: number;
  readonly range: LostRange;
}

/** The first byte behind the partition that can belong to a bucket; the marks of the node's own entries are below. */
const BUCKETS_FROM = 0x04;

/** In key order. @param soleOf keys of a partition, in order, of which no other node ever has a copy */
export function piecesOf(
  lost: readonly LostRange[],
  q: number,
  soleOf: (partition: number) => readonly KeyRange[],
): readonly LostPiece[] {
  return lost.flatMap((range) =>
    partitionsOf(range, q).flatMap((partition) => piecesIn(range, partition, q, soleOf)),
  );
}

/** All partitions that may have lost something, ascending. */
export function partitionsLost(lost: readonly LostRange[], q: number): readonly number[] {
  return [...new Set(lost.flatMap((range) => partitionsOf(range, q)))].sort((a, b) => a - b);
}

function partitionsOf({ start, end }: LostRange, q: number): readonly number[] {
  const first = Math.min(partitionAt(start), q - 1);
  // An end that is exactly the start of a partition leaves that one alone.
  const behind = end.length <= 2 ? partitionAt(end) : partitionAt(end) + 1;
  const last = Math.max(first, Math.min(behind, q) - 1);
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

/** That of a key, also of one that is cut short. */
function partitionAt(key: Uint8Array): number {
  return (key[0] ?? 0) * 256 + (key[1] ?? 0);
}

function piecesIn(
  range: LostRange,
  partition: number,
  q: number,
  soleOf: (partition: number) => readonly KeyRange[],
): LostPiece[] {
  const data = keyAt(partition, BUCKETS_FROM);
  // Nothing lies before the first partition or behind the last one: what is called lost there goes with them.
  const start = partition === 0 ? new Uint8Array(0) : keyAt(partition);
  const end = partition === q - 1 ? undefined : keyAt(partition + 1);
  const own = clipRange(range, start, data);
  const rest = clipRange(range, data, end);
  if (rest === undefined) return own === undefined ? [] : [{ kind: "own", partition, range: own }];
  const sole = soleOf(partition).flatMap(({ lower, upper }) => clipRange(rest, lower, upper) ?? []);
  return [
    ...(own === undefined ? [] : [{ kind: "own", partition, range: own } as const]),
    ...removeHealed([rest], sole).map(
      (piece) => ({ kind: "data", partition, range: piece }) as const,
    ),
    ...sole.map((piece) => ({ kind: "sole", partition, range: piece }) as const),
  ];
}

function keyAt(partition: number, ...more: number[]): Uint8Array {
  return new Uint8Array([partition >>> 8, partition, ...more]);
}
