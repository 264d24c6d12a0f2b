/** What the manifest knows of one table; plain data, so that it travels to workers and back. */
export interface TableMetadata {
  /** Also the file's name, `fileName("table", id)`; never used twice in one data directory. */
  readonly id: number;
  readonly fileBytes: number;
  readonly entryCount: number;
  /** Entries of kind delete. */
  readonly deletionCount: number;
  readonly smallestKey: Uint8Array;
  readonly largestKey: Uint8Array;
  readonly smallestSequence: number;
  readonly largestSequence: number;
  /** CRC-32 of the whole file before the footer's own checksum fields; see FORMATS.md. */
  readonly checksum: number;
}
