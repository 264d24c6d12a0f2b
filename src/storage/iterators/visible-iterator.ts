/**
 * What a reader may see of a run: no deleted entries, nothing newer than its snapshot.
 *
 * The bound only hides: it cannot bring back an older version that the run does not hold. So over a merge it is right only where
 * every run below holds nothing above the bound, or holds it as a key's only version.
 */
import { EntryPosition } from "./entry-position.ts";
import { type LostRange, lostRangeOf } from "../levels/lost-ranges.ts";
import { DELETE_ENTRY, type EntryIterator } from "./entry-iterator.ts";

export class VisibleIterator extends EntryPosition implements EntryIterator {
  private readonly source: EntryIterator;
  private readonly sequenceMax: number;

  private readonly lostRanges: readonly LostRange[];

  /**
   * @param sequenceMax entries with a higher sequence are hidden
   * @param lostRanges entries in one of them are hidden: they may have been overwritten or deleted by what was lost
   */
  constructor(
    source: EntryIterator,
    sequenceMax: number = Number.MAX_SAFE_INTEGER,
    lostRanges: readonly LostRange[] = [],
  ) {
    super();
    this.source = source;
    this.sequenceMax = sequenceMax;
    this.lostRanges = lostRanges;
  }

  seekToFirst(): void {
    this.source.seekToFirst();
    this.settleForward();
  }

  seekToLast(): void {
    this.source.seekToLast();
    this.settleBackward();
  }

  seek(key: Uint8Array): void {
    this.source.seek(key);
    this.settleForward();
  }

  seekBefore(key: Uint8Array): void {
    this.source.seekBefore(key);
    this.settleBackward();
  }

  next(): void {
    this.source.next();
    this.settleForward();
  }

  previous(): void {
    this.source.previous();
    this.settleBackward();
  }

  private settleForward(): void {
    const { source } = this;
    while (source.isValid && this.isHidden()) source.next();
    this.take();
  }

  private settleBackward(): void {
    const { source } = this;
    while (source.isValid && this.isHidden()) source.previous();
    this.take();
  }

  private isHidden(): boolean {
    const { source } = this;
    if (source.kind === DELETE_ENTRY || source.sequence > this.sequenceMax) return true;
    return this.lostRanges.length > 0 && this.isLost();
  }

  private isLost(): boolean {
    const { keyBytes, keyStart, keyEnd, sequence } = this.source;
    return (
      lostRangeOf(this.lostRanges, keyBytes.subarray(keyStart, keyEnd), sequence) !== undefined
    );
  }

  private take(): void {
    const { source } = this;
    this.isValid = source.isValid;
    if (!source.isValid) return;
    this.standWith(source);
  }
}
