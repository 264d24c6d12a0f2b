/**
 * Compression of blocks, as a port: storage does not know the codec's implementation.
 *
 * A compressed block's content is `decoded length u32 | frame`. The length is checked against `BLOCK_BYTES_MAX` and handed
 * to the codec as a bound before anything is allocated, so that no block can unpack into more memory than it admits.
 */
import { readU32 } from "../../base/byte-reader.ts";

export interface Compression {
  /** The frame of `bytes`; a copy or a view that the caller uses up at once. */
  compress(bytes: Uint8Array): Uint8Array;
  /** The `decodedBytes` bytes that `frame` holds; throws for a damaged frame or any other length. */
  decompress(frame: Uint8Array, decodedBytes: number): Uint8Array;
}

/** Frozen: the type byte of a section. */
export const UNCOMPRESSED = 0;
export const ZSTD = 1;

/** More than one entry of the largest value (16 MiB) and its key can take, with room for a block already begun. */
export const BLOCK_BYTES_MAX = 80 * 1024 * 1024;

const LENGTH_BYTES = 4;

/** The compressed form of `content`, or `undefined` where it would save less than an eighth. */
export function compressContent(
  compression: Compression,
  content: Uint8Array,
): Uint8Array | undefined {
  if (content.length > BLOCK_BYTES_MAX) return undefined; // the reader refuses to unpack more
  const frame = compression.compress(content);
  if (LENGTH_BYTES + frame.length > content.length - content.length / 8) return undefined;
  const packed = new Uint8Array(LENGTH_BYTES + frame.length);
  new DataView(packed.buffer).setUint32(0, content.length, true);
  packed.set(frame, LENGTH_BYTES);
  return packed;
}

/** The inverse; `packed` has passed its checksum. Throws `RangeError`, or what the codec throws. */
export function decompressContent(compression: Compression, packed: Uint8Array): Uint8Array {
  if (packed.length < LENGTH_BYTES) throw new RangeError("Cannot decompress block: no length");
  const decodedBytes = readU32(packed, 0);
  if (decodedBytes > BLOCK_BYTES_MAX) {
    throw new RangeError(
      `Cannot decompress block: ${decodedBytes} bytes, allowed ${BLOCK_BYTES_MAX}`,
    );
  }
  return compression.decompress(packed.subarray(LENGTH_BYTES), decodedBytes);
}
