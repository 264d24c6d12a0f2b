/**
 * What is known of many records of a cluster: what was acknowledged, what was sent, what was deleted, and what an answer may therefore say.
 *
 *   floor      the version of the last acknowledged write; 0 for none
 *   ceiling    that of the last write that was sent
 *   deletion   once it is sent the record is not written any more; once it is acknowledged the record is never seen again
 *
 * A record of whose last change nobody knows what became of it (504, lost connection) is not changed any more: it may take effect late (R5).
 */
import { Prng } from "../../src/base/prng.ts";

/** Of a change of a record. */
export type Outcome = "acknowledged" | "refused" | "unknown";

/** What was known of a record when it was asked for. */
export interface Asked {
  readonly floor: number;
  readonly isGone: boolean;
}

const VALUE_BYTES_MIN = 40;
const NOISE_BYTES = 64 * 1024;
const LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

const [KEPT, DELETING, DELETED] = [0, 1, 2];

/** Hardly compressible text. */
function noiseText(): string {
  const bytes = new Prng("record-ledger/noise").bytes(NOISE_BYTES);
  return Array.from(bytes, (byte) => LETTERS[byte % LETTERS.length]).join("");
}

const NOISE = noiseText();

export class RecordLedger {
  readonly count: number;
  /** Of acknowledged deletions. */
  readonly deleted: number[] = [];
  private readonly valueBytesMax: number;
  private readonly floors: Uint32Array;
  private readonly ceilings: Uint32Array;
  private readonly deletions: Uint8Array;
  /** A change is under way, or nobody knows what became of it. */
  private readonly fixed: Uint8Array;
  /** `42#7` for a version of which a 503 said that it is nowhere. */
  private readonly refused = new Set<string>();

  constructor(count: number, valueBytesMax: number) {
    this.count = count;
    this.valueBytesMax = valueBytesMax;
    this.floors = new Uint32Array(count);
    this.ceilings = new Uint32Array(count);
    this.deletions = new Uint8Array(count);
    this.fixed = new Uint8Array(count);
  }

  name(record: number): string {
    return `r${String(record).padStart(7, "0")}`;
  }

  /** As many bytes as letters, which say whose they are, and of which version. */
  value(record: number, version: number): string {
    const mixed = Math.imul(record ^ Math.imul(version, 0x9e3779b1), 0x85ebca6b) >>> 0;
    const length = VALUE_BYTES_MIN + (mixed % (this.valueBytesMax - VALUE_BYTES_MIN + 1));
    const head = `${this.name(record)}#${version}#`;
    const at = (mixed >>> 8) % (NOISE_BYTES - this.valueBytesMax);
    return head + NOISE.slice(at, at + length - head.length);
  }

  /** Key and value of everything that should be there. */
  get liveBytes(): number {
    let bytes = 0;
    for (let record = 0; record < this.count; record++)
      if (this.deletions[record] === KEPT && this.floors[record]! > 0)
        bytes += this.name(record).length + this.value(record, this.floors[record]!).length;
    return bytes;
  }

  /** Nobody else changes it now, and it is not deleted. */
  mayChange(record: number): boolean {
    return this.fixed[record] === 0 && this.deletions[record] === KEPT;
  }

  /** The version to write; the record is nobody else's until the outcome is known. */
  beginWrite(record: number): number {
    this.fixed[record] = 1;
    return ++this.ceilings[record]!;
  }

  beginDelete(record: number): void {
    this.fixed[record] = 1;
    this.deletions[record] = DELETING;
  }

  end(record: number, outcome: Outcome): void {
    if (outcome === "unknown") return;
    this.fixed[record] = 0;
    const isDeletion = this.deletions[record] === DELETING;
    if (outcome === "refused") {
      if (isDeletion) this.deletions[record] = KEPT;
      else this.refused.add(`${record}#${this.ceilings[record]}`);
    } else if (isDeletion) {
      this.deletions[record] = DELETED;
      this.deleted.push(record);
    } else this.floors[record] = this.ceilings[record]!;
  }

  asked(record: number): Asked {
    return { floor: this.floors[record]!, isGone: this.deletions[record] === DELETED };
  }

  /** What is wrong about values that were found; none for an absent record, several for siblings. */
  complaint(
    record: number,
    { floor, isGone }: Asked,
    values: readonly string[],
  ): string | undefined {
    const what = `${this.name(record)} (acknowledged up to ${floor}, sent up to ${this.ceilings[record]})`;
    if (values.length === 0)
      return floor === 0 || this.deletions[record] !== KEPT ? undefined : `${what} is absent`;
    const versions = values.map((value) => this.versionOf(record, value));
    if (isGone) return `${what} is back after its deletion, with version ${versions.join(", ")}`;
    if (versions.includes(-1)) return `${what} has bytes that nobody wrote`;
    const greatest = Math.max(...versions);
    if (greatest < floor) return `${what} is of version ${versions.join(", ")}`;
    const isRefused = versions.some((version) => this.refused.has(`${record}#${version}`));
    return isRefused ? `${what} has version ${greatest}, which was refused` : undefined;
  }

  /** -1 where it is not byte for byte one that was sent. */
  private versionOf(record: number, value: string): number {
    const version = Number(value.split("#", 2)[1]);
    const wasSent = version >= 1 && version <= this.ceilings[record]!;
    return wasSent && value === this.value(record, version) ? version : -1;
  }
}
