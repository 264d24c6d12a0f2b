/**
 * The keys of a bucket in byte order, wherever they are: in the own store (`bucket-scan.ts`) or on several nodes (`cluster-scan.ts`). Deleted and
 * expired keys are there too: the reader decides what to show.
 */
import type { HutchError } from "../base/errors.ts";

/** Keys that are looked at in one turn of the event loop. */
export const CHUNK_KEYS = 512;

/** Keys k with lower <= k < upper; an `undefined` upper is no bound. */
export interface KeyRange {
  readonly lower: Uint8Array;
  readonly upper: Uint8Array | undefined;
}

export interface KeyScan {
  /** To be awaited before the scan is looked at, at first and after every move; `undefined` where the answer is here. */
  settle(): Promise<void> | undefined;
  /** On a key, as opposed to past the last one. */
  readonly isValid: boolean;
  /** Views until the next move; require `isValid`. */
  readonly key: Uint8Array;
  /** The encoded record. */
  readonly value: Uint8Array;
  /** Of the own store: the key may be shown when all up to this is durable. 0 where it already is. */
  readonly sequence: number;
  /** What may be missing up to here, or `undefined`. */
  readonly gap: HutchError | undefined;
  next(): void;
  /** Past every key that starts with `group`; the current one does. */
  skip(group: Uint8Array): void;
  close(): void;
}
