import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { hex } from "../../src/base/bytes.ts";
import { assignLayout } from "../../src/ring/assignment.ts";
import {
  decodeLayout,
  encodeLayout,
  equalLayouts,
  type Layout,
  layoutHash,
  ownersOf,
} from "../../src/ring/layout.ts";
import { arbitraryMembers, arbitraryN, memberOf, membersInRacks } from "./ring-fixtures.ts";

const layout = assignLayout({ version: 3, q: 16, n: 3, members: membersInRacks(5, 2) });

test("a layout survives its encoding", () => {
  fc.assert(
    fc.property(arbitraryMembers(), arbitraryN, fc.nat(), (members, n, version) => {
      const made = assignLayout({ version: version + 1, q: 32, n, members });
      const read = decodeLayout(encodeLayout(made));
      expect(read).toEqual(made);
      expect(equalLayouts(read, made)).toBe(true);
      expect(layoutHash(read)).toBe(layoutHash(made));
    }),
  );
});

test("the encoding is frozen: one worked example", () => {
  const members = [memberOf(0, { dc: "é" }, 300)];
  const one: Layout = { version: 1, q: 16, n: 1, members, owners: new Uint16Array(16) };
  expect(hex(encodeLayout(one))).toBe(
    "01" +
      "01" +
      "04" +
      "01" +
      "01" + // format, version, log2 q, n, members
      "000000009e3779b1" +
      "026e30" +
      "02c3a9" +
      "027231" +
      "026830" +
      "ac02" +
      "0d31302e302e302e303a37303030" + // 10.0.0.0:7000
      "00".repeat(16),
  );
  expect(layoutHash(one)).toBe(GOLDEN_HASH);
});
const GOLDEN_HASH = 3_498_201_051;

test("row 107: a version that gives a bucket another number of copies says so, and is another content", () => {
  const copies = { bucket: "b", n: 5, before: 3 };
  const changed = { ...layout, copies };
  expect(decodeLayout(encodeLayout(changed))).toEqual(changed);
  expect(layoutHash(changed)).not.toBe(layoutHash(layout));
  const bytes = encodeLayout(changed);
  expect(hex(bytes.slice(-4))).toBe("01620503");
  for (const n of [0, 17])
    expect(() => decodeLayout(encodeLayout({ ...layout, copies: { ...copies, n } }))).toThrow(
      DecodeError,
    );
});

test("R57: different content for one version has a different hash", () => {
  const owners = layout.owners.slice();
  [owners[0], owners[1]] = [owners[1]!, owners[0]!];
  const swapped = { ...layout, owners };
  expect(layoutHash(swapped)).not.toBe(layoutHash(layout));
  expect(equalLayouts(swapped, layout)).toBe(false);
});

test("ownersOf() names the owners in order", () => {
  const expected = [0, 1, 2].map((place) => layout.members[layout.owners[15 * 3 + place]!]!.id);
  expect(ownersOf(layout, 15)).toEqual(expected);
});

describe("bytes that are no layout", () => {
  const bytes = encodeLayout(layout);

  test("every prefix is refused, and so is what follows the end", () => {
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeLayout(bytes.slice(0, length))).toThrow(DecodeError);
    expect(() => decodeLayout(new Uint8Array([...bytes, 0]))).toThrow(DecodeError);
  });

  test("a changed byte gives a sound layout or is refused", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
        const changed = bytes.slice();
        changed[at] = value;
        let read: Layout;
        try {
          read = decodeLayout(changed);
        } catch (error) {
          expect(error).toBeInstanceOf(DecodeError);
          return;
        }
        for (let partition = 0; partition < read.q; partition++)
          expect(new Set(ownersOf(read, partition)).size).toBe(read.n);
      }),
      { numRuns: 2000 },
    );
  });

  const header = (...numbers: readonly number[]): Uint8Array => {
    const writer = new ByteWriter();
    for (const number of numbers) writer.varint(number);
    return writer.finish();
  };
  test.each([
    ["a future format", [3, 1, 4, 1, 1], /format 3 is not in 1\.\.2/],
    ["version 0", [1, 0, 4, 1, 1], /version 0/],
    ["q below 16", [1, 1, 3, 1, 1], /log2 q 3/],
    ["q above 65,536", [1, 1, 17, 1, 1], /log2 q 17/],
    ["n 0", [1, 1, 4, 0, 1], /n 0/],
    ["n above 15", [1, 1, 4, 16, 20], /n 16/],
    ["fewer members than owners", [1, 1, 4, 3, 2], /member count 2/],
    ["more than 1,024 members", [1, 1, 4, 3, 1025], /member count 1025/],
    ["members that are not there", [1, 1, 4, 3, 1024], /bytes of members/],
  ])("%s is refused by its number", (_, numbers, message) => {
    expect(() => decodeLayout(header(...numbers))).toThrow(message);
  });

  const altered = (change: Partial<Layout>): (() => Layout) => {
    const encoded = encodeLayout({ ...layout, ...change });
    return () => decodeLayout(encoded);
  };
  test("members out of order or twice, weights and texts out of bounds, owners unknown or twice are refused", () => {
    const [first, second, ...rest] = layout.members as [
      (typeof layout.members)[0] & {},
      (typeof layout.members)[0] & {},
    ];
    expect(altered({ members: [second, first, ...rest] })).toThrow(/out of order/);
    expect(altered({ members: [first, first, ...rest] })).toThrow(/out of order/);
    expect(altered({ members: [{ ...first, weight: 0 }, second, ...rest] })).toThrow(/weight 0/);
    expect(altered({ members: [{ ...first, weight: 1001 }, second, ...rest] })).toThrow(/weight/);
    const name = "x".repeat(256);
    expect(altered({ members: [{ ...first, name }, second, ...rest] })).toThrow(/length of a text/);
    expect(altered({ owners: layout.owners.map(() => 5) })).toThrow(/owner 5/);
    expect(altered({ owners: layout.owners.map(() => 1) })).toThrow(/twice/);
  });
});
