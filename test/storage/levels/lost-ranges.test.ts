import { expect, test } from "bun:test";
import fc from "fast-check";
import { utf8, utf8Text } from "../../../src/base/bytes.ts";
import {
  LOST_RANGES_MAX,
  type LostRange,
  addLostRanges,
  clipRange,
  everyKey,
  lostRangeOf,
  removeHealed,
} from "../../../src/storage/levels/lost-ranges.ts";
import { KEY_BYTES_MAX } from "../../../src/storage/options.ts";

const ALPHABET = "abcdefghij";
const range = (start: string, end: string, sequenceMax: number): LostRange => ({
  start: utf8(start),
  end: utf8(end),
  sequenceMax,
});
const shown = (ranges: readonly LostRange[]): string =>
  ranges
    .map(({ start, end, sequenceMax }) => `${utf8Text(start)}-${utf8Text(end)}@${sequenceMax}`)
    .join(" ");

const ranges = fc.array(
  fc
    .tuple(fc.nat(8), fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 5 }))
    .filter(([start, end]) => start < end)
    .map(([start, end, sequence]) => range(ALPHABET[start]!, ALPHABET[end]!, sequence)),
  { maxLength: 6 },
);

/** Highest sequence that is lost of each letter; -1 for none. */
function twinOf(list: readonly LostRange[]): number[] {
  return [...ALPHABET].map((letter) =>
    list.reduce(
      (most, { start, end, sequenceMax }) =>
        utf8Text(start)! <= letter && letter < utf8Text(end)! ? Math.max(most, sequenceMax) : most,
      -1,
    ),
  );
}

const foundIn = (list: readonly LostRange[]): number[] =>
  [...ALPHABET].map((letter) => lostRangeOf(list, utf8(letter), -1)?.sequenceMax ?? -1);

test("C13: lost ranges come to the same as all that were ever added, disjoint, in order and nothing twice", () => {
  fc.assert(
    fc.property(ranges, ranges, (first, second) => {
      const known = addLostRanges(addLostRanges([], first), second);
      expect(foundIn(known)).toEqual(twinOf([...first, ...second]));
      for (let i = 1; i < known.length; i++) {
        expect(utf8Text(known[i - 1]!.end)! <= utf8Text(known[i]!.start)!).toBe(true);
        const isOne = known[i - 1]!.sequenceMax === known[i]!.sequenceMax;
        if (isOne) expect(utf8Text(known[i - 1]!.end)).not.toBe(utf8Text(known[i]!.start));
      }
      expect(shown(addLostRanges([], known))).toBe(shown(known));
    }),
  );
});

test("C13: what is healed is no longer lost, what was lost later or beside it still is", () => {
  fc.assert(
    fc.property(ranges, ranges, (lost, healed) => {
      const left = removeHealed(addLostRanges([], lost), healed);
      const expected = twinOf(lost).map((sequence, i) => {
        const isHealed = healed.some(
          ({ start, end, sequenceMax }) =>
            sequence <= sequenceMax &&
            utf8Text(start)! <= ALPHABET[i]! &&
            ALPHABET[i]! < utf8Text(end)!,
        );
        return isHealed ? -1 : sequence;
      });
      expect(foundIn(left)).toEqual(expected);
    }),
  );
});

test("lostRangeOf() finds a key only where nothing newer than the loss is known", () => {
  const known = addLostRanges([], [range("c", "e", 7)]);
  expect(lostRangeOf(known, utf8("d"), 7)).toBeDefined();
  expect(lostRangeOf(known, utf8("d"), 8)).toBeUndefined();
  expect(lostRangeOf(known, utf8("e"), -1)).toBeUndefined();
  expect(lostRangeOf(known, utf8("b"), -1)).toBeUndefined();
});

test("clipRange() is what lies in both", () => {
  const whole = range("c", "g", 3);
  expect(shown([clipRange(whole, utf8("a"), utf8("d"))!])).toBe("c-d@3");
  expect(shown([clipRange(whole, utf8("d"), undefined)!])).toBe("d-g@3");
  expect(clipRange(whole, utf8("g"), undefined)).toBeUndefined();
});

test("the number of lost ranges is bounded; none that is lost is forgotten, and the nearest neighbours are joined", () => {
  const far = range("a/", "a0", 1);
  const many = Array.from({ length: LOST_RANGES_MAX }, (_, i) => {
    const name = `b/key/${String(i * 2).padStart(6, "0")}`;
    return range(name, `${name}!`, i + 2);
  });
  const known = addLostRanges([], [far, ...many]);
  expect(known).toHaveLength(LOST_RANGES_MAX);
  expect(shown(known.slice(0, 1))).toBe("a/-a0@1");
  for (const { start, sequenceMax } of many)
    expect(lostRangeOf(known, start, sequenceMax)).toBeDefined();
});

test("every key is lost: the empty one, and the longest of the highest bytes", () => {
  const known = addLostRanges([], [everyKey(9)]);
  expect(lostRangeOf(known, new Uint8Array(0), 9)).toBeDefined();
  expect(lostRangeOf(known, new Uint8Array(KEY_BYTES_MAX).fill(0xff), 9)).toBeDefined();
});
