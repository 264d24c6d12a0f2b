/** A history told by hand, for checkers that have to be shown what they should find. */
import { checkVersions } from "../../src/checkers/versions.ts";
import type { Amnesty } from "../../src/checkers/amnesty.ts";
import {
  type BucketKind,
  History,
  type Operation,
  type Seen,
  type Version,
} from "../../src/checkers/history.ts";

export const A = "00000000000000aa00000001";
export const B = "00000000000000bb00000001";
export const PLAIN: BucketKind = {
  name: "b",
  conflicts: "siblings",
  blindPut: "supersede",
  strict: false,
};
export const BLIND: BucketKind = { ...PLAIN, blindPut: "sibling" };
export const LWW: BucketKind = { ...PLAIN, conflicts: "lww" };

export function seen(vector: Record<string, number>, hlc = 0, dots: readonly string[] = []): Seen {
  return { vector: new Map(Object.entries(vector)), dots: new Set(dots), hlc };
}

/** A history of one key whose operations follow each other, 10 ms each. */
export class Story {
  readonly history = new History();
  private nowMs = 0;
  private readonly bucket: BucketKind;

  constructor(bucket: BucketKind = PLAIN) {
    this.bucket = bucket;
  }

  add(fields: Partial<Operation> & Pick<Operation, "kind">): Operation {
    const startMs = fields.startMs ?? this.nowMs;
    const operation = this.history.begin({
      client: "c",
      bucket: this.bucket,
      key: "k",
      outcome: "ok",
      ok: 2,
      primary: 2,
      ...fields,
      startMs,
    });
    operation.endMs = fields.endMs ?? startMs + 10;
    this.nowMs = Math.max(this.nowMs, startMs + 20);
    return operation;
  }

  put(value: string, dot: string, covered: Seen, fields: Partial<Operation> = {}): Operation {
    return this.add({ kind: "put", value, dot, seen: covered, ...fields });
  }

  delete(dot: string, covered: Seen, fields: Partial<Operation> = {}): Operation {
    return this.add({ kind: "delete", dot, seen: covered, ...fields });
  }

  get(versions: readonly Version[], covered: Seen, fields: Partial<Operation> = {}): Operation {
    return this.add({ kind: "get", versions, seen: covered, ...fields });
  }

  /** What a final read that shows this is blamed for. */
  blame(
    versions: readonly Version[],
    covered: Seen,
    fields: Partial<Operation> = {},
    amnesty?: Amnesty,
  ): string[] {
    const final = this.get(versions, covered, fields);
    return checkVersions(this.history, [final], amnesty).map(({ invariant }) => invariant);
  }
}

export const version = (dot: string, value?: string): Version => ({ dot, value });
