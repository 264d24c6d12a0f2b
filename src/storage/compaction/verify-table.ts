/**
 * The scrub job (C24): reads every byte of a table by `pread` and verifies every checksum, then that the sections are the ones
 * that were written together (whole-file checksum). Latent sector errors show only when somebody reads. Also what must have
 * passed before a table is mapped after a crash by signal (C12b, C12g).
 */
import { ByteWriter } from "../../base/byte-writer.ts";
import { readU32 } from "../../base/byte-reader.ts";
import { CorruptionError } from "../../base/errors.ts";
import type { JobEnvironment } from "../../ports/workers.ts";
import { bloomOffset, propertiesOffset, wholeFileChecksum } from "../table/footer.ts";
import { TableFile } from "../table/table-file.ts";
import type { TableMetadata } from "../table/table-metadata.ts";
import { RateLimiter } from "./rate-limiter.ts";

export interface VerifyJob {
  readonly table: TableMetadata;
  /** Zero: no limit. */
  readonly bytesPerSecond: number;
}

/** A `CorruptionError` as plain data. */
export interface TableDamage {
  readonly file: string;
  /** -1 where the file as a whole is wrong. */
  readonly offset: number;
  readonly message: string;
}

export interface VerifyResult {
  readonly bytes: number;
  /** Empty: every byte is as it was written. */
  readonly damage: readonly TableDamage[];
}

/** One broken disk could report every block; the table is quarantined after the first. */
const DAMAGE_COUNT_MAX = 100;

/** Throws `DiskError` only for what says nothing about the data, such as no descriptors left. */
export async function verifyTable(
  environment: JobEnvironment,
  job: VerifyJob,
): Promise<VerifyResult> {
  const damage: TableDamage[] = [];
  let tableFile: TableFile | undefined;
  try {
    tableFile = TableFile.open(environment.disk, job.table);
    await verifySections(tableFile, new RateLimiter(environment.clock, job.bytesPerSecond), damage);
  } catch (thrown) {
    addDamage(damage, thrown);
  } finally {
    tableFile?.close();
  }
  return { bytes: tableFile === undefined ? 0 : job.table.fileBytes, damage };
}

async function verifySections(
  tableFile: TableFile,
  limiter: RateLimiter,
  damage: TableDamage[],
): Promise<void> {
  const checksums = new ByteWriter(4096);
  for (const { offset, length } of sectionsOf(tableFile)) {
    const pause = limiter.spend(length);
    if (pause !== undefined) await pause;
    try {
      checksums.u32(readU32(tableFile.readSection(offset, length), length - 4));
    } catch (thrown) {
      addDamage(damage, thrown);
      if (damage.length === DAMAGE_COUNT_MAX) return;
    }
  }
  if (damage.length > 0) return;
  tableFile.readProperties();
  expectWhole(tableFile, checksums.view());
}

interface Section {
  readonly offset: number;
  readonly length: number;
}

/** All sections in file order, trailers included. Throws `CorruptionError` where the index is damaged. */
function sectionsOf(tableFile: TableFile): Section[] {
  const { footer } = tableFile;
  const index = tableFile.readIndex();
  const sections: Section[] = [];
  for (let at = 0; at < index.blockCount; at++) {
    const offset = index.blockOffset(at);
    sections.push({ offset, length: index.blockEnd(at) - offset });
  }
  sections.push({ offset: footer.indexOffset, length: footer.indexBytes });
  sections.push({ offset: bloomOffset(footer), length: footer.bloomBytes });
  sections.push({ offset: propertiesOffset(footer), length: footer.propertiesBytes });
  return sections;
}

function expectWhole(tableFile: TableFile, checksums: Uint8Array): void {
  const checksum = wholeFileChecksum(checksums, tableFile.footerBytes);
  if (checksum === tableFile.footer.checksum) return;
  throw new CorruptionError(
    `Cannot verify table "${tableFile.path}": checksum ${checksum}, expected ${tableFile.footer.checksum}`,
    tableFile.path,
    -1,
  );
}

function addDamage(damage: TableDamage[], thrown: unknown): void {
  if (!(thrown instanceof CorruptionError)) throw thrown;
  damage.push({ file: thrown.file, offset: thrown.offset, message: thrown.message });
}
