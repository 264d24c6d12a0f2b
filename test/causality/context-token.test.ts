import { expect, test } from "bun:test";
import fc from "fast-check";
import { base64url, fromBase64url } from "../../src/base/bytes.ts";
import { HutchError } from "../../src/base/errors.ts";
import { type Actor, joinActor } from "../../src/causality/actor.ts";
import { CONTEXT_TOKEN_CHARACTERS_MAX, ContextTokens } from "../../src/causality/context-token.ts";
import { RECORD_ENTRIES_MAX, boundEntries } from "../../src/causality/bound-entries.ts";
import { contextOf } from "../../src/causality/siblings.ts";
import { arbitraryActor, arbitraryRecord } from "../support/arbitrary-record.ts";

const CLUSTER = new Uint8Array(16).fill(7);
const SECRET = new Uint8Array(16).fill(9);
const tokens = new ContextTokens(CLUSTER, SECRET);
const KEY = 0xcafe1234;

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    if (thrown instanceof HutchError) return thrown.code;
    throw thrown;
  }
  return "accepted";
}

const counter = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });

test("a token carries vector, dots and hlc unchanged", () => {
  fc.assert(
    fc.property(arbitraryRecord, arbitraryActor, counter, counter, (record, actor, dot, hlc) => {
      const context = { entries: contextOf(record).entries, dots: [{ actor, counter: dot }] };
      expect(tokens.decode(KEY, tokens.encode(KEY, context, hlc))).toEqual({ ...context, hlc });
    }),
  );
});

test("the short way of making a token of one entry gives the same token", () => {
  const actor = joinActor("00000000000000a1", 4);
  const context = { entries: [{ actor, counter: 123_456 }], dots: [] };
  expect(tokens.encodeSingle(KEY, actor, 123_456, 99)).toBe(tokens.encode(KEY, context, 99));
});

test("R13: a token of another key or cluster is context-mismatch", () => {
  const token = tokens.encode(KEY, { entries: [], dots: [] }, 1);
  expect(codeOf(() => tokens.decode(KEY + 1, token))).toBe("context-mismatch");
  const elsewhere = new ContextTokens(new Uint8Array(16).fill(8), SECRET);
  expect(codeOf(() => elsewhere.decode(KEY, token))).toBe("context-mismatch");
});

test("row 34: R13: garbage, forged and oversized contexts are bad-context", () => {
  expect(codeOf(() => tokens.decode(KEY, "not base64!"))).toBe("bad-context");
  expect(codeOf(() => tokens.decode(KEY, ""))).toBe("bad-context");
  expect(codeOf(() => tokens.decode(KEY, "A".repeat(CONTEXT_TOKEN_CHARACTERS_MAX + 1)))).toBe(
    "bad-context",
  );
  const forger = new ContextTokens(CLUSTER, new Uint8Array(16));
  expect(codeOf(() => tokens.decode(KEY, forger.encode(KEY, { entries: [], dots: [] }, 1)))).toBe(
    "bad-context",
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      expect(["bad-context", "context-mismatch"]).toContain(
        codeOf(() => tokens.decode(KEY, base64url(bytes))),
      );
    }),
  );
});

test("R13: no changed bit of a token is accepted", () => {
  const actor = joinActor("00000000000000a1", 1);
  const token = fromBase64url(tokens.encodeSingle(KEY, actor, 2 ** 40, 2 ** 40))!;
  for (let bit = 0; bit < token.length * 8; bit++) {
    const changed = token.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    expect(codeOf(() => tokens.decode(KEY, base64url(changed)))).not.toBe("accepted");
  }
});

test("row 51: a context of as many entries as a record may have fits into 8 KiB", () => {
  const entries = Array.from({ length: RECORD_ENTRIES_MAX }, (_, i) => ({
    actor: joinActor(i.toString(16).padStart(16, "0"), 0xffffffff),
    counter: Number.MAX_SAFE_INTEGER - i,
  }));
  expect(tokens.encode(KEY, { entries, dots: [] }, Number.MAX_SAFE_INTEGER).length).toBeLessThan(
    CONTEXT_TOKEN_CHARACTERS_MAX,
  );
});

test("R16: above the bound only the oldest retired incarnations without values are folded", () => {
  const node = "00000000000000a1";
  const entry = (incarnation: number, values: { counter: number; payload: string }[] = []) => ({
    actor: joinActor(node, incarnation) as Actor,
    counterMax: 10 + incarnation,
    values,
  });
  const state = Array.from({ length: RECORD_ENTRIES_MAX + 2 }, (_, i) =>
    i === 0 ? entry(0, [{ counter: 5, payload: "live" }]) : entry(i),
  );
  const bounded = boundEntries(state);
  expect(bounded.length).toBe(RECORD_ENTRIES_MAX);
  expect(bounded[0]).toBe(state[0]!);
  expect(bounded.slice(1)).toEqual(state.slice(3));
  expect(boundEntries(bounded)).toBe(bounded);
});

test("R16: entries of different nodes are never folded", () => {
  const state = Array.from({ length: RECORD_ENTRIES_MAX + 5 }, (_, i) => ({
    actor: joinActor(i.toString(16).padStart(16, "0"), 1),
    counterMax: 1,
    values: [],
  }));
  expect(boundEntries(state)).toEqual(state);
});
