/** Bytes of one simulated file: a buffer that grows by doubling and reads as zeros where nothing was written. */
export class ByteStore {
  private buffer: Uint8Array;
  private used: number;

  constructor(bytes: Uint8Array = new Uint8Array(0)) {
    this.buffer = bytes.slice();
    this.used = bytes.length;
  }

  get length(): number {
    return this.used;
  }

  /** A copy of [start, end). */
  slice(start = 0, end = this.used): Uint8Array {
    return this.buffer.slice(start, Math.min(end, this.used));
  }

  write(bytes: Uint8Array, offset: number): void {
    this.reserve(offset + bytes.length);
    this.buffer.set(bytes, offset);
    this.used = Math.max(this.used, offset + bytes.length);
  }

  /** What is cut off reads as zeros if the file grows again. */
  resize(size: number): void {
    this.reserve(size);
    if (size < this.used) this.buffer.fill(0, size, this.used);
    this.used = size;
  }

  private reserve(size: number): void {
    if (size <= this.buffer.length) return;
    const grown = new Uint8Array(Math.max(size, this.buffer.length * 2, 64));
    grown.set(this.buffer.subarray(0, this.used));
    this.buffer = grown;
  }
}
