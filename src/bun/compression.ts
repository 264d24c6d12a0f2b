/**
 * zstd (RFC 8878) for table blocks, level 1: at 4 KiB a block, higher levels cost time and gain little.
 *
 * The decoder allocates what the frame header announces, so the header is read first: a frame that announces
 * another size than the caller expects is refused before anything is unpacked.
 */
import type { Compression } from "../storage/table/compression.ts";

const LEVEL = 1;
const FRAME_MAGIC = 0xfd2fb528;
/** Magic, descriptor, and at least one byte more. */
const HEADER_BYTES_MIN = 6;

export const zstdCompression: Compression = {
  compress: (bytes) => Bun.zstdCompressSync(bytes, { level: LEVEL }),
  decompress(frame, decodedBytes) {
    const announced = announcedBytes(frame);
    if (announced !== decodedBytes) {
      throw new RangeError(
        `Cannot decompress zstd frame: it announces ${announced} bytes, expected ${decodedBytes}`,
      );
    }
    const decoded = Bun.zstdDecompressSync(frame);
    if (decoded.length !== decodedBytes) {
      throw new RangeError(
        `Cannot decompress zstd frame: ${decoded.length} bytes came out, expected ${decodedBytes}`,
      );
    }
    // Buffer is a subclass: one shape for all blocks keeps the block search monomorphic.
    return new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.length);
  },
};

/** The content size in a frame header (RFC 8878, 3.1.1.1), or -1 where there is none. */
function announcedBytes(frame: Uint8Array): number {
  if (frame.length < HEADER_BYTES_MIN) return -1;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint32(0, true) !== FRAME_MAGIC) return -1;
  const descriptor = view.getUint8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const at = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes;
  const sizeFlag = descriptor >>> 6;
  const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : [0, 2, 4, 8][sizeFlag]!;
  if (at + sizeBytes > frame.length) return -1;
  if (sizeBytes === 1) return view.getUint8(at);
  if (sizeBytes === 2) return view.getUint16(at, true) + 256;
  if (sizeBytes === 4) return view.getUint32(at, true);
  return -1;
}
