/**
 * Whose data directory this is and who has it open: LOCK and IDENTITY (C19, C20, C21).
 *
 *   IDENTITY = one line of JSON, newline, CRC-32 of that line in eight hex digits, newline
 *
 * - One process at a time: LOCK is held from `open` to `close`; the second gets `data-dir-in-use` and touches nothing.
 * - A directory that was copied or restored may be behind what this node has told others (R12a, row 93): LOCK is another file then than the one
 *   that IDENTITY remembers, and the incarnation grows as after a stop that was not clean. It stays a copy until the node has caught up
 *   (`settle`): one that is killed before knows no more than it did.
 * - A rollback in place (a volume's or a machine's snapshot) shows nothing here; only others know of a later start than `previousGeneration`.
 * - `generation` grows at every start and is on disk before anything is sent or minted. `incarnation` grows when the last
 *   stop was not a clean one: whatever this node may have forgotten, it never mints a dot under the old name again (D6, R12). A new one is at least the
 *   time in seconds, so that it is above all that a later state of a restored directory has used.
 * - Data files without IDENTITY, an unknown newer format, or a damaged IDENTITY are refused and nothing is changed.
 */
import { hex } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Disk, DiskLock } from "../ports/disk.ts";
import type { Random } from "../ports/random.ts";
import { checkedLine, lineIn } from "./checked-line.ts";
import {
  CURRENT_FILE,
  IDENTITY_FILE,
  LOCK_FILE,
  parseFileName,
  temporaryName,
} from "./file-names.ts";
import { isPassing } from "./failure.ts";
import { readWholeFile } from "./log/log-scan.ts";

/** Frozen; readers accept this and the one before. */
export const DIRECTORY_FORMAT = 1;

/** 2024-01-01. */
const INCARNATION_EPOCH_MS = 1_704_067_200_000;
/** Those with the highest bit are a fallback's (`cluster/fallback-actor.ts`). */
const INCARNATION_MAX = 0x7fffffff;
/**
 * A state that was put back does not know what incarnations its lost future has used. They are at or above the seconds of their time; this much chance keeps
 * apart those of one second, and of a clock that was set back. Half a million of them fit.
 */
const INCARNATION_SPREAD = 4096;

export interface Identity {
  readonly format: number;
  /** 16 bytes. */
  readonly clusterId: Uint8Array;
  /** 16 bytes; key of the MAC of context and session tokens. */
  readonly clusterSecret: Uint8Array;
  /** 8 bytes. */
  readonly nodeId: Uint8Array;
  /** Partitions of the ring, fixed at creation. */
  readonly q: number;
  readonly generation: number;
  readonly incarnation: number;
  readonly isClean: boolean;
  /** False for a fresh node that was told of others and has not found them yet: cluster id, secret and q are not its own then. */
  readonly isFormed: boolean;
  /** `fileIdentity` of LOCK, which is made once and never replaced; "" before the first start. */
  readonly home: string;
}

export class DataDirectory {
  identity: Identity;
  /** The last stop was a clean one, or there was none, and these are the very files it left. */
  readonly wasClean: boolean;
  /** These are not the files that the last process had open: they were copied, or restored from a backup that may be old (R61, row 93). */
  readonly isCopied: boolean;
  /** Of the last start that this directory knows of, 0 for none. Who knows of a later one has seen a state of this node that is gone. */
  readonly previousGeneration: number;
  private readonly disk: Disk;
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly lock: DiskLock;

  private constructor(disk: Disk, clock: Clock, random: Random, lock: DiskLock, before: Identity) {
    const home = disk.fileIdentity(LOCK_FILE);
    this.disk = disk;
    this.clock = clock;
    this.random = random;
    this.lock = lock;
    this.isCopied = before.home !== "" && before.home !== home;
    this.wasClean = before.isClean && !this.isCopied;
    this.previousGeneration = before.generation;
    this.identity = {
      ...before,
      generation: Math.max(before.generation + 1, Math.floor(clock.wallMs() / 1000)),
      incarnation: this.wasClean ? before.incarnation : this.incarnationAfter(before),
      isClean: false,
      home: this.isCopied ? before.home : home,
    };
    writeIdentity(disk, this.identity);
  }

  private incarnationAfter({ incarnation }: Identity): number {
    const seconds = Math.floor((this.clock.wallMs() - INCARNATION_EPOCH_MS) / 1000);
    const spread = this.random.u32() % INCARNATION_SPREAD;
    const least = Math.max(
      incarnation + 1,
      Math.min(seconds, INCARNATION_MAX - INCARNATION_SPREAD),
    );
    return Math.min(least + spread, INCARNATION_MAX);
  }

  /**
   * Takes the lock, reads or creates the identity, and records this start. `q` counts only at creation, and so does `isFormed`: false
   * where the cluster is still to be found (`form`).
   */
  static open(
    disk: Disk,
    clock: Clock,
    random: Random,
    note: string,
    q: number,
    isFormed = true,
  ): DataDirectory {
    const lock = takeLock(disk, `${note}, started ${clock.wallMs()}\n`);
    try {
      const before = readIdentity(disk) ?? createIdentity(disk, random, q, isFormed);
      return new DataDirectory(disk, clock, random, lock, before);
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /** This node belongs to a cluster now; for ever. */
  form(cluster: Pick<Identity, "clusterId" | "clusterSecret" | "q">): void {
    const { clusterId, clusterSecret, q } = cluster;
    this.identity = { ...this.identity, clusterId, clusterSecret, q, isFormed: true };
    writeIdentity(this.disk, this.identity);
  }

  /** Something that this node knew is lost (R12c): it never mints under the old incarnation again. */
  renewIncarnation(): void {
    const renewed = { ...this.identity, incarnation: this.incarnationAfter(this.identity) };
    writeIdentity(this.disk, renewed);
    this.identity = renewed;
  }

  /** This node has caught up with what a copy may lack. Where that cannot be written down just now, the next start is one with a copy again. */
  settle(): void {
    if (!this.isCopied) return;
    const settled = { ...this.identity, home: this.disk.fileIdentity(LOCK_FILE) };
    if (settled.home === this.identity.home) return;
    try {
      writeIdentity(this.disk, settled);
      this.identity = settled;
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
  }

  /** Call last, after everything is on disk. Where that cannot be written down just now, the next start is one after a crash. */
  closeClean(): void {
    this.identity = { ...this.identity, isClean: true };
    try {
      writeIdentity(this.disk, this.identity);
    } catch (error) {
      if (!isPassing(error)) throw error;
    } finally {
      this.lock.release();
    }
  }

  /** Lets go without saying that all is well. */
  release(): void {
    this.lock.release();
  }
}

function takeLock(disk: Disk, note: string): DiskLock {
  try {
    return disk.lock(LOCK_FILE, note);
  } catch (cause) {
    if ((cause as { kind?: string }).kind !== "locked") throw cause;
    throw new HutchError(
      "data-dir-in-use",
      `Cannot open the data directory: another process has it (${messageOf(cause)})`,
      { cause },
    );
  }
}

function createIdentity(disk: Disk, random: Random, q: number, isFormed: boolean): Identity {
  const data = disk
    .list("")
    .find((name) => name === CURRENT_FILE || parseFileName(name) !== undefined);
  if (data !== undefined) throw refused(`it has data ("${data}") and no ${IDENTITY_FILE}`);
  return {
    format: DIRECTORY_FORMAT,
    clusterId: random.bytes(16),
    clusterSecret: random.bytes(16),
    nodeId: random.bytes(8),
    q,
    generation: 0,
    incarnation: 1,
    isClean: true,
    isFormed,
    home: "",
  };
}

function refused(reason: string): HutchError {
  return new HutchError("data-refused", `Cannot open the data directory: ${reason}`, {
    data: { file: IDENTITY_FILE },
  });
}

/** The identity on disk, `undefined` when there is none. Changes nothing. */
export function readIdentity(disk: Disk): Identity | undefined {
  if (disk.sizeOf(IDENTITY_FILE) < 0) return undefined;
  const line = lineIn(readWholeFile(disk, IDENTITY_FILE));
  if (line === undefined) throw refused(`the checksum of ${IDENTITY_FILE} does not match`);
  const stored = fieldsOf(line);
  const format = Number(stored["format"]);
  if (!(format >= 1 && format <= DIRECTORY_FORMAT))
    throw refused(
      `its format ${format} is newer than this program's ${DIRECTORY_FORMAT}; nothing was changed`,
    );
  return {
    format,
    clusterId: bytesField(stored, "clusterId", 16),
    clusterSecret: bytesField(stored, "clusterSecret", 16),
    nodeId: bytesField(stored, "nodeId", 8),
    q: integerField(stored, "q"),
    generation: integerField(stored, "generation"),
    incarnation: integerField(stored, "incarnation"),
    isClean: stored["isClean"] === true,
    isFormed: stored["isFormed"] !== false,
    home: typeof stored["home"] === "string" ? stored["home"] : "",
  };
}

/** Whole by its checksum, but anybody can make one. */
function fieldsOf(line: string): Record<string, unknown> {
  try {
    const stored: unknown = JSON.parse(line);
    if (typeof stored === "object" && stored !== null) return { ...stored };
  } catch {
    // As below.
  }
  throw refused(`${IDENTITY_FILE} is no JSON object`);
}

function bytesField(stored: Record<string, unknown>, name: string, length: number): Uint8Array {
  const text = stored[name];
  if (typeof text !== "string" || !/^[0-9a-f]*$/.test(text) || text.length !== length * 2)
    throw refused(`${IDENTITY_FILE} has no ${name}`);
  return Uint8Array.fromHex(text);
}

function integerField(stored: Record<string, unknown>, name: string): number {
  const value = stored[name];
  if (typeof value !== "number" || !Number.isSafeInteger(value))
    throw refused(`${IDENTITY_FILE} has no ${name}`);
  return value;
}

/** No file has this identity: a start with it is always one with a copy. */
const HOME_OF_SNAPSHOTS = "snapshot";

/** The IDENTITY of a snapshot: the same node, at an earlier time. Whoever starts with it takes a new incarnation and rebuilds (row 93). */
export function identityOfSnapshot(identity: Identity): Uint8Array {
  return identityBytes({ ...identity, isClean: false, home: HOME_OF_SNAPSHOTS });
}

function identityBytes(identity: Identity): Uint8Array {
  return checkedLine(
    JSON.stringify({
      ...identity,
      clusterId: hex(identity.clusterId),
      clusterSecret: hex(identity.clusterSecret),
      nodeId: hex(identity.nodeId),
    }),
  );
}

function writeIdentity(disk: Disk, identity: Identity): void {
  const temporary = temporaryName(IDENTITY_FILE);
  if (disk.sizeOf(temporary) >= 0) disk.unlink(temporary);
  const file = disk.create(temporary);
  try {
    file.append(identityBytes(identity));
    file.syncNow();
  } finally {
    file.close();
  }
  disk.rename(temporary, IDENTITY_FILE);
  disk.syncDirectory("");
}
