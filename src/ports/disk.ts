/**
 * Files of one data directory. Paths are relative to it, with `/`; a disk never reaches outside.
 *
 * What survives a power loss (FAULTS.md 2.4): bytes of a file only after `sync` of that file; the file's *name*
 * (create, link, rename, unlink) only after `syncDirectory` of its directory. Both are needed.
 *
 * Everything but `DiskFile.sync` and `syncDirectorySoon` is synchronous: data is in the page cache or the call is rare.
 */
export interface Disk {
  /** Creates `path` for reading and writing; `exists` when it is there already. */
  create(path: string): DiskFile;
  /** Opens an existing file; `not-found` when there is none. */
  open(path: string, mode: "read" | "read-write"): DiskFile;
  /**
   * A read-only map of a whole, immutable, non-empty file. Rules C12: the caller has checked the size; nobody truncates
   * or rewrites a mapped file; unlink is fine. The map ends when the array is garbage.
   */
  map(path: string): Uint8Array;
  /**
   * A second name of the same file; `exists` when `target` is there already. What is read under one name is read under the other, and
   * the bytes stay until both are unlinked. Durable after `syncDirectory` of the target's directory.
   */
  link(source: string, target: string): void;
  /**
   * Atomic replace of `target`; durable after `syncDirectory`. A directory moves with all that is in it, to a name that is not taken; its own
   * entries have been synced before.
   */
  rename(source: string, target: string): void;
  unlink(path: string): void;
  /** Names (not paths) of the entries of `directory` ("" is the root), sorted bytewise. */
  list(directory: string): string[];
  /** Makes `directory` and its parents; no error when it is there. */
  makeDirectory(directory: string): void;
  /** Removes an empty directory; durable after `syncDirectory` of its parent. */
  removeDirectory(directory: string): void;
  /** Size in bytes, or -1 when there is no such file. */
  sizeOf(path: string): number;
  /** Names the file itself, not its path: the same for its whole life, another one for a copy of it. */
  fileIdentity(path: string): string;
  /** Makes creations, links, renames and unlinks in `directory` durable. */
  syncDirectory(directory: string): void;
  /** The same off the loop; covers what was done before the call. */
  syncDirectorySoon(directory: string): Promise<void>;
  /** Free and total bytes of the file system that holds the directory. */
  space(): { readonly freeBytes: number; readonly totalBytes: number };
  /** Takes the exclusive, process-wide lock `path`; `locked` when somebody else has it. `note` is written into the file for people. */
  lock(path: string, note: string): DiskLock;
}

/** An open file. Offsets and lengths are bytes. */
export interface DiskFile {
  readonly path: string;
  size(): number;
  /** Fills `target` from `offset`; returns how many bytes were there (less than asked only at the end of the file). */
  read(target: Uint8Array, offset: number): number;
  /**
   * Writes all of `bytes` at the end of the file. On `no-space` or `io` a prefix of them may have been written:
   * the caller truncates back or gives the file up.
   */
  append(bytes: Uint8Array): void;
  /** Overwrites at `offset`. Only tests and `repair` need it; formats are append-only. */
  write(bytes: Uint8Array, offset: number): void;
  truncate(size: number): void;
  /** fdatasync off the loop. After a rejection the file's unsynced bytes are in an unknown state: never retry (C15). */
  sync(): Promise<void>;
  /** fdatasync on this thread, for start-up and workers. */
  syncNow(): void;
  /** Closes; never syncs. */
  close(): void;
}

export interface DiskLock {
  release(): void;
}

/** `io` is everything that has no name of its own (EIO, EFBIG, ...). */
export type DiskErrorKind =
  | "not-found"
  | "exists"
  | "no-space"
  | "read-only"
  | "permission"
  | "too-many-files"
  | "locked"
  | "io";

/** What a file system call can fail with. */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly kind: DiskErrorKind;
  readonly path: string;

  constructor(kind: DiskErrorKind, path: string, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.kind = kind;
    this.path = path;
  }
}
