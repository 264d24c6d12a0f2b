/** What can never work is refused with its own code; what is at a limit is not. */
import { expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import { refuseImpossibleWrite } from "../../src/cluster/impossible-write.ts";
import { DEFAULT_BUCKET_PROPERTIES, type WriteRequest } from "../../src/quorum/operation.ts";

const PROPERTIES = { ...DEFAULT_BUCKET_PROPERTIES, valueBytesMax: 4 };
const CONSISTENCY = { n: 2, r: 1, w: 1, pr: 0, pw: 0, dw: 0, isSloppy: true, level: "" } as const;
const PUT: WriteRequest = {
  kind: "put",
  value: new Uint8Array(4),
  contentType: "",
  contentEncoding: "",
  meta: [],
  expiry: { kind: "default" },
  context: "",
  condition: { kind: "none" },
  idempotencyKey: "",
  consistency: CONSISTENCY,
  timeoutMs: 1000,
  session: "",
};

function codeOf(changes: Partial<WriteRequest>, isDurable = true): string {
  try {
    refuseImpossibleWrite(PROPERTIES, { ...PUT, ...changes }, isDurable);
    return "";
  } catch (thrown) {
    if (!(thrown instanceof HutchError)) throw thrown;
    return thrown.code;
  }
}

test("R5: a value, an expiry or durability that cannot be is refused", () => {
  expect(codeOf({ value: new Uint8Array(5) })).toBe("value-too-large");
  expect(codeOf({ expiry: { kind: "after", ttlMs: 0 } })).toBe("bad-ttl");
  expect(codeOf({ expiry: { kind: "after", ttlMs: 11 * 366 * 86_400_000 } })).toBe("bad-ttl");
  expect(codeOf({ expiry: { kind: "at", wallMs: Number.NaN } })).toBe("bad-ttl");
  expect(codeOf({ consistency: { ...CONSISTENCY, dw: 1 } }, false)).toBe("unavailable");
});

test("what is at a limit passes", () => {
  expect(codeOf({})).toBe("");
  expect(codeOf({ expiry: { kind: "after", ttlMs: 1 } })).toBe("");
  expect(codeOf({ expiry: { kind: "keep" } })).toBe("");
  expect(codeOf({ consistency: { ...CONSISTENCY, dw: 1 } })).toBe("");
  expect(codeOf({}, false)).toBe("");
});
