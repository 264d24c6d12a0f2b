/** What a manifest would say about a table, from the table itself: how `hutch repair` gets back what a manifest lost (row 83). */
import { CorruptionError } from "../../base/errors.ts";
import type { Disk } from "../../ports/disk.ts";
import { fileName } from "../file-names.ts";
import { propertiesOffset } from "./footer.ts";
import { TableFile } from "./table-file.ts";
import type { TableMetadata } from "./table-metadata.ts";

/** Throws `CorruptionError` where footer or properties of table `id` do not verify. Data blocks are not read: see `verifyTable`. */
export function readTableMetadata(disk: Disk, id: number): TableMetadata {
  const tableFile = TableFile.openPath(disk, fileName("table", id), id);
  try {
    return tableMetadataOf(tableFile);
  } finally {
    tableFile.close();
  }
}

/** The same for a table file that is open. */
export function tableMetadataOf(tableFile: TableFile): TableMetadata {
  const { footer, path } = tableFile;
  const properties = tableFile.readProperties();
  if (properties.id !== footer.tableId)
    throw new CorruptionError(
      `Cannot read properties of table "${path}": they are of table ${properties.id}`,
      path,
      propertiesOffset(footer),
    );
  return {
    id: properties.id,
    fileBytes: footer.fileBytes,
    entryCount: properties.entryCount,
    deletionCount: properties.deletionCount,
    smallestKey: properties.smallestKey,
    largestKey: properties.largestKey,
    smallestSequence: properties.smallestSequence,
    largestSequence: properties.largestSequence,
    checksum: footer.checksum,
  };
}
