/** The bytes of topics `collect` and `held`. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { joinActor } from "../../src/causality/actor.ts";
import {
  COLLECT_KEYS_MAX,
  decodeCollectReply,
  decodeCollectRequest,
  encodeCollectReply,
  encodeCollectRequest,
} from "../../src/cluster/collect-messages.ts";
import {
  decodeHeldAnswer,
  decodeHeldRequest,
  encodeHeldAnswer,
  encodeHeldRequest,
} from "../../src/cluster/held-messages.ts";
import { type Verdict, verdictOf } from "../../src/cluster/provenance-verdict.ts";

const counter = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const key = fc.uint8Array({ minLength: 1, maxLength: 40 });
const collectRequest = fc.record({
  step: fc.constantFrom("compare", "drop"),
  layoutVersion: fc.nat(),
  partition: fc.nat(65_535),
  items: fc.array(
    fc.record({
      internalKey: key,
      newest: counter,
      digest: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    }),
    { maxLength: 5 },
  ),
});
const entry = fc.record({
  actor: fc.constantFrom(joinActor("0102030405060708", 3), joinActor("ff02030405060708", 4e9)),
  counters: fc.array(counter, { minLength: 1, maxLength: 4 }),
});
const verdicts = fc.array(fc.constantFrom("equal", "gone", "other", "later"), { maxLength: 9 });
const knowledge = fc.array(fc.constantFrom("lists", "lacks", "superseded"), { maxLength: 9 });

const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, part) => (part instanceof Uint8Array ? [...part] : part)) as string,
  );

/** Whatever is cut off, what is left is no message. */
function expectWhole(bytes: Uint8Array, decode: (bytes: Uint8Array) => unknown): void {
  for (let length = 0; length < bytes.length; length++)
    expect(() => decode(bytes.subarray(0, length))).toThrow(DecodeError);
}

test("collect: encode then decode is identity, and a cut message is none", () => {
  fc.assert(
    fc.property(collectRequest, verdicts, (request, answer) => {
      const bytes = encodeCollectRequest(request);
      expect(plain(decodeCollectRequest(bytes))).toEqual(plain(request));
      expectWhole(bytes, decodeCollectRequest);
      const reply = encodeCollectReply(answer);
      expect(decodeCollectReply(reply, answer.length)).toEqual(answer);
      expect(() => decodeCollectReply(reply, answer.length + 1)).toThrow(DecodeError);
    }),
    { numRuns: 50 },
  );
});

test("held: encode then decode is identity, and a cut message is none", () => {
  fc.assert(
    fc.property(
      key,
      fc.array(entry, { maxLength: 4 }),
      knowledge,
      counter,
      (internalKey, entries, words, since) => {
        const request = { kind: "ask", internalKey, entries } as const;
        const bytes = encodeHeldRequest(request);
        expect(plain(decodeHeldRequest(bytes))).toEqual(plain(request));
        expectWhole(bytes, decodeHeldRequest);
        const answer = { isServing: true, ownedSince: since, gcFloor: 0, knowledge: words };
        const reply = encodeHeldAnswer(answer);
        expect(decodeHeldAnswer(reply, words.length)).toEqual(answer);
        expectWhole(reply, (part) => decodeHeldAnswer(part, words.length));
      },
    ),
    { numRuns: 50 },
  );
});

test("what is hostile is refused before anything is made of it", () => {
  const many = new Uint8Array([1, 0, 1, 1, 0xff, 0xff, 0xff, 0x7f]);
  expect(() => decodeCollectRequest(many)).toThrow(DecodeError);
  expect(() => decodeCollectRequest(new Uint8Array([9]))).toThrow("version 9");
  expect(() => decodeHeldRequest(new Uint8Array([1, 7]))).toThrow(DecodeError);
  const items = Array.from({ length: COLLECT_KEYS_MAX + 1 }, () => ({
    internalKey: new Uint8Array(1),
    newest: 1,
    digest: new Uint8Array(16),
  }));
  const tooMany = encodeCollectRequest({ step: "drop", layoutVersion: 1, partition: 1, items });
  expect(() => decodeCollectRequest(tooMany)).toThrow("too many");
});

test.each([
  ["lists lists lacks", 0, "real", "R42: a quorum has it"],
  ["lacks lists lacks", 5, "real", "R42: one has it that has been an owner all along"],
  ["lacks lists lacks", 20, "doubtful", "R42: a quorum lacks it, and who has it came later"],
  ["lacks lists lacks", 0, "doubtful", "R42: who has it is no owner"],
  ["lacks lists lacks", 10, "doubtful", "R42: since the same instant is not since before"],
  ["lacks superseded lists", 5, "superseded", "R42: who knows that it is gone is right"],
  ["lacks lists -", 0, "open", "R42: two of three disagree, the third is silent"],
  ["lacks - -", 0, "open", "R42: one alone decides nothing"],
  ["lacks lacks -", 0, "doubtful", "R42: a quorum lacks it"],
] as const)("%s, owned since %d: %s (%s)", (words, ownedSince, verdict) => {
  const answers = words.split(" ").map((word) => ({
    isServing: word !== "-",
    ownedSince,
    gcFloor: 0,
    knowledge: word === "-" ? [] : [word as "lists" | "lacks" | "superseded"],
  }));
  const asked = { actor: joinActor("0102030405060708", 3), counters: [10, 12] };
  expect<Verdict>(verdictOf(asked, 0, answers, 3)).toBe(verdict);
});
