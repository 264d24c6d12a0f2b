/**
 * zstd (RFC 8878) for table blocks, level 1: at 4 KiB a block, higher levels cost time and gain little.
 *
 * The decoder allocates what the frame header announces, and unpacks every frame that follows. So the headers are read first: a frame that
 * announces another size than the caller expects, or that is not the only one, is refused before anything is unpacked.
 */
import type { Compression } from "../storage/table/compression.ts";

const LEVEL = 1;
const FRAME_MAGIC = 0xfd2fb528;
/** Magic, descriptor, and at least one byte more. */
const HEADER_BYTES_MIN = 6;
const BLOCK_HEADER_BYTES = 3;
const RLE_BLOCK = 1;
const CHECKSUM_BYTES = 4;

export const zstdCompression: Compression = {
  compress: (bytes) => Bun.zstdCompressSync(bytes, { level: LEVEL }),
  decompress(frame, decodedBytes) {
    const { announcedBytes, headerBytes, hasChecksum } = headerOf(frame);
    if (announcedBytes !== decodedBytes) {
      throw new RangeError(
        `Cannot decompress zstd frame: it announces ${announcedBytes} bytes, expected ${decodedBytes}`,
      );
    }
    const end = blocksEnd(frame, headerBytes) + (hasChecksum ? CHECKSUM_BYTES : 0);
    if (end !== frame.length) {
      throw new RangeError(
        `Cannot decompress zstd frame: it has ${end} bytes, there are ${frame.length}`,
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

interface FrameHeader {
  /** -1 where it does not say. */
  readonly announcedBytes: number;
  /** Where the first block begins. */
  readonly headerBytes: number;
  readonly hasChecksum: boolean;
}

const NO_HEADER: FrameHeader = { announcedBytes: -1, headerBytes: 0, hasChecksum: false };

/** The header of a frame (RFC 8878, 3.1.1.1). */
function headerOf(frame: Uint8Array): FrameHeader {
  if (frame.length < HEADER_BYTES_MIN) return NO_HEADER;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.length);
  if (view.getUint32(0, true) !== FRAME_MAGIC) return NO_HEADER;
  const descriptor = view.getUint8(4);
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3]!;
  const at = 5 + (isSingleSegment ? 0 : 1) + dictionaryBytes;
  const sizeFlag = descriptor >>> 6;
  const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : [0, 2, 4, 8][sizeFlag]!;
  const headerBytes = at + sizeBytes;
  if (headerBytes > frame.length) return NO_HEADER;
  const hasChecksum = (descriptor & 4) !== 0;
  return { announcedBytes: announcedAt(view, at, sizeBytes), headerBytes, hasChecksum };
}

function announcedAt(view: DataView, at: number, sizeBytes: number): number {
  if (sizeBytes === 1) return view.getUint8(at);
  if (sizeBytes === 2) return view.getUint16(at, true) + 256;
  if (sizeBytes === 4) return view.getUint32(at, true);
  return -1;
}

/** Behind the last block of the frame, or behind `frame` where it is cut short (3.1.1.2). */
function blocksEnd(frame: Uint8Array, start: number): number {
  let at = start;
  for (let isLast = false; !isLast;) {
    if (at + BLOCK_HEADER_BYTES > frame.length) return Infinity;
    const header = frame[at]! | (frame[at + 1]! << 8) | (frame[at + 2]! << 16);
    isLast = (header & 1) !== 0;
    const contentBytes = ((header >>> 1) & 3) === RLE_BLOCK ? 1 : header >>> 3;
    at += BLOCK_HEADER_BYTES + contentBytes;
  }
  return at;
}
