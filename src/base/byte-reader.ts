/**
 * The reading side of `ByteWriter`, for input that may be damaged or hostile: every read checks its
 * bounds and throws `DecodeError`; nothing is allocated from a length that the input cannot back.
 */

/** Bytes that do not follow their format. Callers turn it into the error of their own border. */
export class DecodeError extends Error {
  override readonly name = "DecodeError";
}

export class ByteReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  offset: number;

  constructor(bytes: Uint8Array, offset = 0, end = bytes.length) {
    this.bytes = bytes;
    this.offset = offset;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.offset;
  }

  private need(count: number): void {
    if (count > this.end - this.offset)
      throw new DecodeError(
        `Cannot read ${count} bytes at ${this.offset}: input ends at ${this.end}`,
      );
  }

  u8(): number {
    this.need(1);
    return this.bytes[this.offset++]!;
  }

  u16(): number {
    this.need(2);
    const at = this.offset;
    this.offset += 2;
    return this.bytes[at]! | (this.bytes[at + 1]! << 8);
  }

  u32(): number {
    this.need(4);
    const at = this.offset;
    this.offset += 4;
    return readU32(this.bytes, at);
  }

  /** An integer below 2^53 from eight bytes; larger is a `DecodeError`. */
  u64(): number {
    const low = this.u32();
    const high = this.u32();
    if (high >= 0x200000)
      throw new DecodeError(`Cannot read u64 at ${this.offset - 8}: above 2^53`);
    return high * 4294967296 + low;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.u8();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      scale *= 128;
    }
    throw new DecodeError(
      `Cannot read varint before ${this.offset}: longer than 8 bytes or above 2^53`,
    );
  }

  /** A view of the next `count` bytes. */
  raw(count: number): Uint8Array {
    this.need(count);
    const at = this.offset;
    this.offset += count;
    return this.bytes.subarray(at, at + count);
  }

  /** A view of a length-prefixed byte string. */
  view(): Uint8Array {
    return this.raw(this.varint());
  }

  /** Throws unless everything was read. */
  expectEnd(): void {
    if (this.offset !== this.end)
      throw new DecodeError(`Cannot accept message: ${this.end - this.offset} bytes left over`);
  }
}

/** The little-endian u32 at `offset`, unchecked. */
export function readU32(bytes: Uint8Array, offset: number): number {
  return (
    (bytes[offset]! |
      (bytes[offset + 1]! << 8) |
      (bytes[offset + 2]! << 16) |
      (bytes[offset + 3]! << 24)) >>>
    0
  );
}
