/**
 * An open table file below the level of keys: footer and verified sections, always by `pread`, so that a bad sector is
 * an exception and not a signal (C12b). What cannot be read or does not verify is a `CorruptionError` that names file
 * and offset; errors that say nothing about the data (no descriptors left, no permission) stay `DiskError`.
 */
import { DecodeError } from "../../base/byte-reader.ts";
import { CorruptionError } from "../../base/errors.ts";
import { type Disk, DiskError, type DiskFile } from "../../ports/disk.ts";
import { fileName } from "../file-names.ts";
import { BlockIndex } from "./block-index.ts";
import {
  bloomOffset,
  decodeFooter,
  type Footer,
  FOOTER_BYTES,
  propertiesOffset,
} from "./footer.ts";
import { type Compression, decompressContent, UNCOMPRESSED, ZSTD } from "./compression.ts";
import { isSectionIntact, tableSalt, TRAILER_BYTES } from "./section.ts";
import type { TableMetadata } from "./table-metadata.ts";
import { decodeProperties, type TableProperties } from "./table-properties.ts";

export class TableFile {
  readonly file: DiskFile;
  readonly footer: Footer;
  readonly footerBytes: Uint8Array;
  readonly salt: number;

  private constructor(file: DiskFile, footer: Footer, footerBytes: Uint8Array) {
    this.file = file;
    this.footer = footer;
    this.footerBytes = footerBytes;
    this.salt = tableSalt(footer.tableId);
  }

  /** Opens table `metadata.id`, which must be the very file that the manifest means: length (C12a), id and checksum (C10). */
  static open(disk: Disk, metadata: TableMetadata): TableFile {
    const path = fileName("table", metadata.id);
    const size = reading(path, -1, () => disk.sizeOf(path));
    if (size !== metadata.fileBytes)
      throw new CorruptionError(
        `Cannot open table "${path}": ${size < 0 ? "no such file" : `${size} bytes`}, expected ${metadata.fileBytes} bytes`,
        path,
        -1,
      );
    const opened = TableFile.openPath(disk, path, metadata.id);
    if (opened.footer.checksum === metadata.checksum) return opened;
    opened.close();
    throw new CorruptionError(
      `Cannot open table "${path}": checksum ${opened.footer.checksum}, expected ${metadata.checksum}`,
      path,
      -1,
    );
  }

  /** Opens the table at `path` with nothing to compare it with but its id, where that is known (>= 0). */
  static openPath(disk: Disk, path: string, expectedId: number): TableFile {
    const file = reading(path, -1, () => disk.open(path, "read"));
    try {
      const size = reading(path, -1, () => file.size());
      const bytes = readBytes(file, Math.max(0, size - FOOTER_BYTES), Math.min(size, FOOTER_BYTES));
      const footer = decodeFooter(bytes, path, size);
      if (expectedId >= 0 && footer.tableId !== expectedId)
        throw new CorruptionError(
          `Cannot open table "${path}": it is table ${footer.tableId}, expected ${expectedId}`,
          path,
          size - FOOTER_BYTES,
        );
      return new TableFile(file, footer, bytes);
    } catch (thrown) {
      closeQuietly(file);
      throw thrown;
    }
  }

  get path(): string {
    return this.file.path;
  }

  close(): void {
    closeQuietly(this.file);
  }

  /** The `length` bytes of the section at `offset`, trailer included, verified. */
  readSection(offset: number, length: number): Uint8Array {
    const bytes = readBytes(this.file, offset, length);
    if (!isSectionIntact(bytes, 0, length, this.salt, offset))
      throw damagedSection(this.path, offset);
    return bytes;
  }

  /** The uncompressed content of block `blockIndex`, verified. */
  readBlock(index: BlockIndex, blockIndex: number, compression: Compression): Uint8Array {
    const offset = index.blockOffset(blockIndex);
    const section = this.readSection(offset, index.blockEnd(blockIndex) - offset);
    return unpackBlock(section, compression, this.path, offset);
  }

  readIndex(): BlockIndex {
    const { indexOffset, indexBytes, blockCount } = this.footer;
    const content = this.readContent(indexOffset, indexBytes);
    return this.decoding(indexOffset, () => BlockIndex.decode(content, blockCount, indexOffset));
  }

  readBloomFilter(): Uint8Array {
    return this.readContent(bloomOffset(this.footer), this.footer.bloomBytes);
  }

  readProperties(): TableProperties {
    const offset = propertiesOffset(this.footer);
    const content = this.readContent(offset, this.footer.propertiesBytes);
    return this.decoding(offset, () => decodeProperties(content));
  }

  private readContent(offset: number, length: number): Uint8Array {
    return this.readSection(offset, length).subarray(0, length - TRAILER_BYTES);
  }

  private decoding<T>(offset: number, decode: () => T): T {
    try {
      return decode();
    } catch (thrown) {
      if (thrown instanceof DecodeError) throw damagedSection(this.path, offset, thrown);
      throw thrown;
    }
  }
}

/** The content of a data block from its verified section, trailer included. Throws `CorruptionError`. */
export function unpackBlock(
  section: Uint8Array,
  compression: Compression,
  path: string,
  offset: number,
): Uint8Array {
  const content = section.subarray(0, section.length - TRAILER_BYTES);
  const type = section[section.length - TRAILER_BYTES];
  if (type === UNCOMPRESSED) return content;
  try {
    if (type !== ZSTD) throw new DecodeError(`Cannot read block: type ${type}`);
    return decompressContent(compression, content);
  } catch (thrown) {
    // Whatever a codec throws for a block that has passed its checksum: it is not readable.
    throw damagedSection(path, offset, thrown);
  }
}

/** The error for a section that is not what was written. */
export function damagedSection(path: string, offset: number, cause?: unknown): CorruptionError {
  const state = cause === undefined ? "checksum mismatch" : "content does not decode";
  return new CorruptionError(
    `Cannot read table "${path}" at ${offset}: ${state}`,
    path,
    offset,
    cause,
  );
}

/** Exactly `length` bytes from `offset`. */
export function readBytes(file: DiskFile, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const count = reading(file.path, offset, () => file.read(bytes, offset));
  if (count === length) return bytes;
  throw new CorruptionError(
    `Cannot read table "${file.path}" at ${offset}: ${count} bytes there, expected ${length}`,
    file.path,
    offset,
  );
}

/** The file was only read: whatever closing it fails with says nothing about the data, and must not hide what does. */
function closeQuietly(file: DiskFile): void {
  try {
    file.close();
  } catch (thrown) {
    if (!(thrown instanceof DiskError)) throw thrown;
  }
}

/** Runs a disk call; a file that is gone or a sector that cannot be read is corruption of the table (row 84). */
function reading<T>(path: string, offset: number, call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    if (!(thrown instanceof DiskError)) throw thrown;
    if (thrown.kind !== "io" && thrown.kind !== "not-found") throw thrown;
    throw new CorruptionError(
      `Cannot read table "${path}": ${thrown.message}`,
      path,
      offset,
      thrown,
    );
  }
}
