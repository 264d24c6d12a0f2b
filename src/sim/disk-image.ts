/**
 * What is on a simulated machine's disk, and what is only in its page cache (FAULTS.md 2.4).
 *
 *   Inode       visible bytes (what reads and maps see)     durable bytes + ordered pending writes
 *   Namespace   visible names (what open and list see)      durable names + ordered pending operations
 *
 * Invariants: without failed syncs, damage or misdirection, visible = durable with every pending item applied, in order.
 * A file's sync never touches names, a directory's sync never touches bytes.
 */
import { ByteStore } from "./byte-store.ts";

export type PendingWrite =
  | { readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: "resize"; readonly size: number };

export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

export class Inode {
  visible: ByteStore;
  durable: ByteStore;
  pending: PendingWrite[] = [];
  /** Latent sector errors: reading them fails. */
  badRanges: ByteRange[] = [];
  /** Has had more than one name. */
  hasLinks = false;
  /** Pending items ever made durable or dropped; tells how many of those seen by a sync are still there. */
  settledCount = 0;

  constructor(bytes?: Uint8Array) {
    this.visible = new ByteStore(bytes);
    this.durable = new ByteStore(bytes);
  }

  /** `landsAt` differs from `offset` when the device puts the bytes in the wrong place. */
  write(bytes: Uint8Array, offset: number, landsAt = offset): void {
    this.visible.write(bytes, offset);
    this.pending.push({ kind: "write", offset: landsAt, bytes: bytes.slice() });
  }

  resize(size: number): void {
    this.visible.resize(size);
    this.pending.push({ kind: "resize", size });
  }

  /** The count to hand to `settle` so that it covers what is pending now. */
  mark(): number {
    return this.settledCount + this.pending.length;
  }

  /** Makes what was pending at `mark` durable, or, when the device failed, forgets it while readers still see it. */
  settle(mark: number, isDurable: boolean): void {
    const count = Math.max(0, mark - this.settledCount);
    const settled = this.pending.splice(0, count);
    this.settledCount += settled.length;
    if (isDurable) for (const item of settled) applyWrite(this.durable, item);
  }

  /** Forgets the page cache: reads see the device again, with what is still pending on top. */
  dropCache(): void {
    this.visible = new ByteStore(this.durable.slice());
    for (const item of this.pending) applyWrite(this.visible, item);
  }

  copy(): Inode {
    const copy = new Inode();
    copy.visible = new ByteStore(this.visible.slice());
    copy.durable = new ByteStore(this.durable.slice());
    copy.pending = [...this.pending];
    copy.badRanges = [...this.badRanges];
    copy.settledCount = this.settledCount;
    copy.hasLinks = this.hasLinks;
    return copy;
  }
}

export function applyWrite(store: ByteStore, item: PendingWrite): void {
  if (item.kind === "write") store.write(item.bytes, item.offset);
  else store.resize(item.size);
}

/** A name leads to a file or to a directory. */
export type Entry = Inode | "directory";
export type Names = Map<string, Entry>;

export type PendingName =
  | { readonly kind: "link"; readonly path: string; readonly entry: Entry }
  | { readonly kind: "unlink"; readonly path: string; readonly entry: Entry }
  | {
      readonly kind: "rename";
      readonly path: string;
      readonly target: string;
      readonly entry: Entry;
    };

/** Enough to cover any torn tail; more would only cost time. */
const FREED_BYTES_MAX = 65_536;
const FREED_FILES_MAX = 8;

export class DiskImage {
  readonly visible: Names;
  readonly durable: Names;
  pending: PendingName[] = [];
  /** Content of files that were removed for good, the last few: what a new file's blocks may still hold. */
  readonly freed: Uint8Array[];

  /** All of `names` is durable. */
  constructor(names: Names = new Map(), freed: readonly Uint8Array[] = []) {
    this.visible = new Map(names);
    this.durable = new Map(names);
    this.freed = [...freed];
  }

  perform(operation: PendingName): void {
    applyName(this.visible, operation);
    this.pending.push(operation);
  }

  syncDirectory(directory: string): void {
    const stay: PendingName[] = [];
    for (const operation of this.pending) {
      if (touches(operation, directory)) this.makeDurable(operation);
      else stay.push(operation);
    }
    this.pending = stay;
  }

  /** Bytes of all files that have a name. */
  usedBytes(): number {
    let sum = 0;
    const counted = new Set<Inode>();
    for (const entry of this.visible.values()) {
      if (entry === "directory" || counted.has(entry)) continue;
      if (entry.hasLinks) counted.add(entry);
      sum += entry.visible.length;
    }
    return sum;
  }

  /** Paths of what is in `directory`, in the order in which it came. */
  childrenOf(directory: string): string[] {
    return [...this.visible.keys()].filter((path) => parentOf(path) === directory);
  }

  /** Nothing that was done to the entries of `directory` is pending. */
  isSynced(directory: string): boolean {
    return !this.pending.some((operation) => touches(operation, directory));
  }

  /** An independent twin, for runs that branch off one state. */
  copy(): DiskImage {
    const twins = new Map<Inode, Inode>();
    const twin = (entry: Entry): Entry => {
      if (entry === "directory") return entry;
      const known = twins.get(entry) ?? entry.copy();
      twins.set(entry, known);
      return known;
    };
    const image = new DiskImage(new Map(), this.freed);
    for (const [path, entry] of this.visible) image.visible.set(path, twin(entry));
    for (const [path, entry] of this.durable) image.durable.set(path, twin(entry));
    image.pending = this.pending.map((operation) => ({
      ...operation,
      entry: twin(operation.entry),
    }));
    return image;
  }

  private makeDurable(operation: PendingName): void {
    const gone = operation.kind === "rename" ? this.durable.get(operation.target) : operation.entry;
    applyName(this.durable, operation);
    if (operation.kind === "link" || gone === undefined || gone === "directory") return;
    if (gone.hasLinks && [...this.durable.values(), ...this.visible.values()].includes(gone))
      return;
    this.freed.push(gone.durable.slice(0, FREED_BYTES_MAX));
    if (this.freed.length > FREED_FILES_MAX) this.freed.shift();
  }
}

/** Applies only what fits: an operation whose file is no longer under that name has been overtaken by a later one. */
export function applyName(names: Names, operation: PendingName): void {
  if (operation.kind === "link") {
    names.set(operation.path, operation.entry);
    return;
  }
  if (names.get(operation.path) === operation.entry) names.delete(operation.path);
  if (operation.kind !== "rename") return;
  names.set(operation.target, operation.entry);
  if (operation.entry === "directory") moveChildren(names, operation.path, operation.target);
}

function moveChildren(names: Names, from: string, to: string): void {
  for (const [path, entry] of [...names]) {
    if (!path.startsWith(`${from}/`)) continue;
    names.delete(path);
    names.set(to + path.slice(from.length), entry);
  }
}

export function parentOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

function touches(operation: PendingName, directory: string): boolean {
  if (parentOf(operation.path) === directory) return true;
  return operation.kind === "rename" && parentOf(operation.target) === directory;
}
