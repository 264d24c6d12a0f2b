/**
 * The manifest: a log of edits, and CURRENT, which names it (C8).
 *
 *   CURRENT = name of the manifest, newline, CRC-32 of the name in eight hex digits, newline
 *
 * An edit is installed in memory only after its record is synced, and files it removes are unlinked only after that. A manifest is
 * rewritten at every start and when it has grown past `MANIFEST_BYTES_MAX`: the new one is written whole and synced, CURRENT is
 * replaced by rename, the directory is synced, and only then is the old one unlinked.
 */
import { ByteWriter } from "../../base/byte-writer.ts";
import { HutchError, messageOf } from "../../base/errors.ts";
import type { Disk, DiskFile } from "../../ports/disk.ts";
import { checkedLine, lineIn } from "../checked-line.ts";
import { isPassing } from "../failure.ts";
import { CURRENT_FILE, fileName, parseFileName, temporaryName } from "../file-names.ts";
import {
  beginRecord,
  encodeLogHeader,
  endRecord,
  LOG_FORMAT,
  LOG_KINDS,
  RECORD_TYPES,
} from "../log/log-format.ts";
import type { LogOwner } from "../log/log-format.ts";
import { readWholeFile, scanLog } from "../log/log-scan.ts";
import type { LogScan } from "../log/log-scan.ts";
import { belongsTo } from "../log/log-owner.ts";
import { applyEdit, decodeEdit, EMPTY_STATE, encodeEdit, snapshotEdit } from "./manifest-edit.ts";
import type { ManifestEdit, ManifestState } from "./manifest-edit.ts";

/** Rewritten when larger: about 5,000 edits. */
export const MANIFEST_BYTES_MAX = 1024 * 1024;

export interface LoadedManifest {
  readonly state: ManifestState;
  /** Bytes of a last edit that did not reach the disk whole; nothing was done on the strength of it. */
  readonly tornBytes: number;
}

function refused(file: string, reason: string): HutchError {
  return new HutchError(
    "data-refused",
    `Cannot open the store: "${file}": ${reason}; "hutch repair" rebuilds the manifest from the tables`,
    { data: { file } },
  );
}

/** The state that CURRENT leads to; `undefined` in a directory that has no CURRENT. Changes nothing. */
export function loadManifest(disk: Disk, owner: LogOwner): LoadedManifest | undefined {
  if (disk.sizeOf(CURRENT_FILE) < 0) return undefined;
  const name = readCurrent(disk);
  const parsed = parseFileName(name);
  if (parsed === undefined || parsed.kind !== "manifest")
    throw refused(CURRENT_FILE, `it names "${name}"`);
  if (disk.sizeOf(name) < 0) throw refused(name, "CURRENT names it and it is not there");
  const scan = scanLog(name, readWholeFile(disk, name));
  if (typeof scan.header === "string") throw refused(name, scan.header);
  if (scan.header.format > LOG_FORMAT)
    throw refused(name, `format ${scan.header.format} is newer than this program's ${LOG_FORMAT}`);
  const foreign = belongsTo(scan.header, LOG_KINDS.manifest, parsed.id, owner);
  if (foreign !== "") throw refused(name, foreign);
  return { state: replay(name, scan), tornBytes: scan.bytes.length - scan.soundEnd };
}

function readCurrent(disk: Disk): string {
  const name = lineIn(readWholeFile(disk, CURRENT_FILE));
  if (name === undefined) throw refused(CURRENT_FILE, "its checksum does not match");
  return name;
}

/** A manifest file with the number `state.nextFileId` and one edit, and the state that it leads to. */
export function wholeManifest(
  before: ManifestState,
  owner: LogOwner,
  salt: number,
): { readonly name: string; readonly bytes: Uint8Array; readonly state: ManifestState } {
  const id = before.nextFileId;
  const state = { ...before, nextFileId: id + 1 };
  const writer = new ByteWriter(4096);
  writer.raw(encodeLogHeader("manifest", id, owner, 1, 0, salt));
  const start = beginRecord(writer);
  encodeEdit(writer, snapshotEdit(state));
  endRecord(writer, start, RECORD_TYPES.edit, salt, 1, 0);
  return { name: fileName("manifest", id), bytes: writer.view(), state };
}

function replay(name: string, scan: LogScan): ManifestState {
  let state = EMPTY_STATE;
  let sequence = 1;
  for (const record of scan.records) {
    if (record.sequence !== sequence || record.type !== RECORD_TYPES.edit)
      throw refused(name, `edit ${sequence} is missing at offset ${record.payloadStart}`);
    try {
      state = applyEdit(state, decodeEdit(scan.bytes, record.payloadStart, record.end));
    } catch (error) {
      throw refused(name, `edit ${sequence}: ${messageOf(error)}`);
    }
    sequence++;
  }
  if (scan.records.length === 0) throw refused(name, "it has no sound edit");
  if (scan.provenSequence >= sequence)
    throw refused(name, `it is damaged at offset ${scan.soundEnd}`);
  return state;
}

export class Manifest {
  state: ManifestState;
  private readonly disk: Disk;
  private readonly owner: LogOwner;
  private readonly random: () => number;
  private file: DiskFile;
  private salt: number;
  private bytes: number;
  private sequence: number;
  private tail: Promise<void> = Promise.resolve();
  private readonly bytesMax: number;
  /** A sync failed: what is on disk is unknown, and nothing may follow it (C15). */
  private failure: unknown;

  /** Writes `state` as a new manifest and makes CURRENT name it. */
  constructor(
    disk: Disk,
    owner: LogOwner,
    state: ManifestState,
    random: () => number,
    bytesMax = MANIFEST_BYTES_MAX,
  ) {
    this.disk = disk;
    this.owner = owner;
    this.random = random;
    this.bytesMax = bytesMax;
    const created = this.writeNew(state);
    this.state = created.state;
    this.file = created.file;
    this.salt = created.salt;
    this.bytes = created.bytes;
    this.sequence = 2;
  }

  /** Takes `count` file numbers; none of them is ever handed out again. */
  reserveFileIds(count: number): number {
    const first = this.state.nextFileId;
    this.state = { ...this.state, nextFileId: first + count };
    return first;
  }

  /**
   * Makes an edit durable, then calls `install` and lets the next edit follow. `makeEdit` runs when it is this edit's turn.
   * Rejects when the disk refuses; then the manifest must not be used any more (C15) unless the error is `no-space`, which leaves it as it was.
   */
  append(makeEdit: () => ManifestEdit, install: () => void): Promise<void> {
    const turn = this.tail.then(() => this.appendNow(makeEdit(), install));
    this.tail = turn.catch(() => undefined);
    return turn;
  }

  async close(): Promise<void> {
    await this.tail;
    this.file.close();
  }

  private async appendNow(edit: ManifestEdit, install: () => void): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    const next = applyEdit(this.state, edit);
    const writer = new ByteWriter(512);
    const start = beginRecord(writer);
    encodeEdit(writer, { ...edit, nextFileId: this.state.nextFileId });
    endRecord(writer, start, RECORD_TYPES.edit, this.salt, this.sequence, this.sequence - 1);
    this.write(writer.view());
    await this.sync();
    this.bytes += writer.length;
    this.sequence++;
    this.state = { ...next, nextFileId: Math.max(next.nextFileId, this.state.nextFileId) };
    install();
    if (this.bytes > this.bytesMax) this.rewrite();
  }

  /** What is left of an edit that did not fit is taken off again, or nothing may follow it. */
  private write(edit: Uint8Array): void {
    try {
      this.file.append(edit);
    } catch (error) {
      this.failure = error;
      this.file.truncate(this.bytes);
      this.failure = undefined;
      throw error;
    }
  }

  private async sync(): Promise<void> {
    try {
      await this.file.sync();
    } catch (error) {
      this.failure = error;
      throw error;
    }
  }

  /**
   * A disk without room or descriptors keeps the old one, whole as it is; the next edit tries again. From the renaming of CURRENT on there is
   * no way back: which of the two the next start reads is then unknown until the directory is synced.
   */
  private rewrite(): void {
    let created: ReturnType<Manifest["writeNew"]>;
    try {
      created = this.writeNew(this.state);
    } catch (error) {
      if (isPassing(error)) return;
      this.failure = error;
      throw error;
    }
    this.file.close();
    this.state = created.state;
    this.file = created.file;
    this.salt = created.salt;
    this.bytes = created.bytes;
    this.sequence = 2;
  }

  private writeNew(before: ManifestState): {
    state: ManifestState;
    file: DiskFile;
    salt: number;
    bytes: number;
  } {
    const salt = this.random();
    const { name, bytes, state } = wholeManifest(before, this.owner, salt);
    this.removeLeftover(name);
    const file = this.disk.create(name);
    try {
      file.append(bytes);
      file.syncNow();
      this.disk.syncDirectory("");
      switchCurrent(this.disk, name);
    } catch (error) {
      file.close();
      throw error;
    }
    this.removeOthers(name);
    return { state, file, salt, bytes: bytes.length };
  }

  /** A start or a rewriting that was cut short may have used this number for a file that nothing refers to. */
  private removeLeftover(name: string): void {
    if (this.disk.sizeOf(name) >= 0) this.disk.unlink(name);
  }

  /** CURRENT names another now: what cannot be removed today goes with the next one. */
  private removeOthers(name: string): void {
    try {
      for (const other of this.disk.list("")) {
        const parsed = parseFileName(other);
        if (parsed?.kind === "manifest" && other !== name) this.disk.unlink(other);
      }
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
  }
}

function switchCurrent(disk: Disk, name: string): void {
  const temporary = temporaryName(CURRENT_FILE);
  if (disk.sizeOf(temporary) >= 0) disk.unlink(temporary);
  const file = disk.create(temporary);
  try {
    file.append(checkedLine(name));
    file.syncNow();
  } finally {
    file.close();
  }
  disk.rename(temporary, CURRENT_FILE);
  try {
    disk.syncDirectory("");
  } catch (cause) {
    // Not a failure that passes, whatever its kind: edits may go to a file that the next start does not read.
    throw new HutchError("io-error", `Cannot switch "${CURRENT_FILE}": ${messageOf(cause)}`, {
      cause,
    });
  }
}
