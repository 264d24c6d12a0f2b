/**
 * Frames that wait to travel, in the order they came: written once into one buffer, copied once into the batch that takes them along.
 *
 *   buffer   | gone | frame | frame | frame | ...            each frame has an owner
 *                   ^ head
 *
 * Neighbours leave in one copy. An owner may not want its frame to travel any more; then it is passed over. Bounded by whoever adds to it.
 */
import { ByteWriter } from "../base/byte-writer.ts";
import { BATCH_HEAD_BYTES } from "./peer-protocol.ts";

const BUFFER_BYTES_START = 1024;
/** A longer buffer is given back when its frames have left. */
const BUFFER_BYTES_KEPT = 256 * 1024;

export class FrameQueue<Owner> {
  /** To write the next frame into, from its end on. */
  writer = new ByteWriter(BUFFER_BYTES_START);
  private readonly owners: Owner[] = [];
  private readonly starts: number[] = [];
  private head = 0;

  get count(): number {
    return this.owners.length - this.head;
  }

  get bytes(): number {
    return this.count === 0 ? 0 : this.writer.length - this.starts[this.head]!;
  }

  /** What was written from `start` on is a frame of `owner`. */
  push(owner: Owner, start: number): void {
    this.owners.push(owner);
    this.starts.push(start);
  }

  /**
   * Moves frames into `batch` while it is not longer than `bytesMax`, at most `countMax`; the first one into an empty batch however long it is.
   *
   * @param leaves whether the frame, which starts at `start` of `writer`, is to travel; it may still change it
   * @returns how many travel
   */
  moveInto(
    batch: ByteWriter,
    bytesMax: number,
    countMax: number,
    leaves: (owner: Owner, writer: ByteWriter, start: number) => boolean,
  ): number {
    const { owners, writer } = this;
    let runStart = this.startAt(this.head);
    let runEnd = runStart;
    let count = 0;
    for (; this.head < owners.length && count < countMax; this.head++) {
      const end = this.startAt(this.head + 1);
      const bytes = batch.length + end - runStart;
      if (bytes > bytesMax && (runEnd > runStart || batch.length > BATCH_HEAD_BYTES)) break;
      if (leaves(owners[this.head]!, writer, runEnd)) {
        count++;
      } else {
        batch.raw(writer.buffer.subarray(runStart, runEnd));
        runStart = end;
      }
      runEnd = end;
    }
    batch.raw(writer.buffer.subarray(runStart, runEnd));
    this.compact();
    return count;
  }

  private startAt(index: number): number {
    return index < this.starts.length ? this.starts[index]! : this.writer.length;
  }

  /** Calls `visit` with each owner that waits. */
  forEach(visit: (owner: Owner) => void): void {
    for (let i = this.head; i < this.owners.length; i++) visit(this.owners[i]!);
  }

  clear(): void {
    this.head = this.owners.length;
    this.compact();
  }

  /** Gives room back: all of it when nothing waits, else what is gone when it is the greater part. */
  private compact(): void {
    const gone = this.startAt(this.head);
    if (this.count > 0 && gone * 2 < this.writer.length) return;
    if (this.count === 0) this.emptyBuffer();
    else this.shiftBuffer(gone);
    this.owners.splice(0, this.head);
    this.starts.splice(0, this.head);
    this.head = 0;
  }

  private emptyBuffer(): void {
    if (this.writer.buffer.length > BUFFER_BYTES_KEPT)
      this.writer = new ByteWriter(BUFFER_BYTES_START);
    this.writer.reset();
  }

  private shiftBuffer(gone: number): void {
    const { writer, starts } = this;
    writer.buffer.copyWithin(0, gone, writer.length);
    writer.length -= gone;
    for (let i = this.head; i < starts.length; i++) starts[i]! -= gone;
  }
}
