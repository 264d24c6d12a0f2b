import { describe, expect, test } from "bun:test";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { AssertionError } from "../../src/base/assert.ts";
import { compareBytes, equalBytes, hex, utf8 } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import { BlockBuilderWasm, searchBlockWasm } from "../../src/kernels/block-kernels-wasm.ts";
import { BlockBuilder, BlockCursor, searchBlock } from "../../src/kernels/block-kernels.ts";

interface Entry {
  readonly key: Uint8Array;
  readonly kind: number;
  readonly sequence: number;
  readonly value: Uint8Array;
}

/** A key over a small alphabet, so that prefixes and equal keys are common; now and then a long one. */
function randomKey(prng: Prng): Uint8Array {
  const key = new Uint8Array(prng.chance(0.05) ? prng.between(100, 700) : prng.below(9));
  for (let i = 0; i < key.length; i++) key[i] = prng.pick([0, 97, 98, 99, 255]);
  return key;
}

function randomEntries(prng: Prng, count: number): Entry[] {
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) {
    entries.push({
      key: randomKey(prng),
      kind: prng.below(2),
      sequence: Math.floor(2 ** (prng.float() * 53)),
      value: prng.bytes(prng.chance(0.1) ? prng.below(700) : prng.below(20)),
    });
  }
  return entries.sort((a, b) => compareBytes(a.key, b.key));
}

function build(entries: readonly Entry[], builder = new BlockBuilder()): Uint8Array {
  builder.reset();
  for (const { key, kind, sequence, value } of entries)
    builder.add(key, 0, key.length, kind, sequence, value, 0, value.length);
  return builder.finish();
}

/** `block` with `margin` bytes of `filler` on both sides. */
function surrounded(block: Uint8Array, margin: number, filler: number): Uint8Array {
  const bytes = new Uint8Array(block.length + 2 * margin).fill(filler);
  bytes.set(block, margin);
  return bytes;
}

/** `bytes`, failing the test at every single-byte read outside [start, end). */
function guarded(bytes: Uint8Array, start: number, end: number): Uint8Array {
  return new Proxy(bytes, {
    get(target, name) {
      const index = Number(name);
      if (Number.isInteger(index) && (index < start || index >= end))
        throw new Error(`Read at ${index}, outside ${start} to ${end}`);
      const member: unknown = Reflect.get(target, name, target);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** What the cursor stands on, as one string. */
function at(cursor: BlockCursor): string {
  const key = hex(cursor.keyBytes.subarray(0, cursor.keyLength));
  const value = hex(cursor.bytes.subarray(cursor.valueStart, cursor.valueEnd));
  return `${key} ${cursor.kind} ${cursor.sequence} ${value}`;
}

function show(entry: Entry): string {
  return `${hex(entry.key)} ${entry.kind} ${entry.sequence} ${hex(entry.value)}`;
}

/** All that the cursor meets from where it stands. */
function rest(cursor: BlockCursor): string[] {
  const met: string[] = [];
  while (cursor.isValid) {
    met.push(at(cursor));
    cursor.next();
  }
  return met;
}

describe("BlockBuilder", () => {
  test("writes the documented bytes", () => {
    const [k, v] = [utf8("-aab"), utf8("XYZ")];
    const builder = new BlockBuilder();
    builder.add(k, 1, 3, 0, 5, v, 0, 1); // "aa" -> "X"
    builder.add(k, 1, 4, 1, 300, v, 1, 1); // "aab" -> deleted
    expect(builder.count).toBe(2);
    expect(builder.sizeBytes).toBe(23);
    const first = "00" + "02" + "01" + "00" + "05" + "6161" + "58";
    const second = "02" + "01" + "00" + "01" + "ac02" + "62";
    expect(hex(builder.finish())).toBe(`${first}${second}${"00000000"}${"01000000"}`);
  });

  test("starts a restart with a whole key at every 16th entry", () => {
    const value = new Uint8Array(0);
    const builder = new BlockBuilder();
    for (let i = 0; i < 40; i++) {
      const key = utf8(`key${100 + i}`);
      builder.add(key, 0, key.length, 0, i, value, 0, 0);
    }
    const cursor = new BlockCursor();
    const block = builder.finish();
    cursor.open(block, 0, block.length);
    expect(cursor.restartCount).toBe(3);
    for (const index of [0, 1, 2]) {
      cursor.readHeader(cursor.restartOffset(index));
      expect(cursor.shared).toBe(0);
      expect(cursor.unshared).toBe(6);
    }
  });

  test("refuses a key below the one before, also across a restart", () => {
    const builder = new BlockBuilder();
    const add = (text: string) => {
      const key = utf8(text);
      builder.add(key, 0, key.length, 0, 1, key, 0, 0);
    };
    for (let i = 0; i < 16; i++) add("bb");
    expect(() => add("ba")).toThrow(AssertionError);
    expect(() => add("b")).toThrow(AssertionError);
  });

  test("says its size before it is finished and reuses its buffer", () => {
    const prng = new Prng("builder size");
    const builder = new BlockBuilder();
    for (let round = 0; round < 50; round++) {
      const entries = randomEntries(prng, prng.below(80));
      const block = build(entries, builder);
      expect(block.length).toBe(builder.sizeBytes);
      expect(builder.count).toBe(entries.length);
    }
  });

  test("takes values of 16 MiB and sequences up to 2^53 - 1", () => {
    const value = new Uint8Array(16 * 1024 * 1024).fill(7);
    const key = utf8("large");
    const block = build([{ key, kind: 0, sequence: Number.MAX_SAFE_INTEGER, value }]);
    const cursor = new BlockCursor();
    expect(searchBlock(block, 0, block.length, key, cursor)).toBe(true);
    expect(cursor.sequence).toBe(Number.MAX_SAFE_INTEGER);
    expect(cursor.valueEnd - cursor.valueStart).toBe(value.length);
  });
});

describe("BlockCursor", () => {
  test("walks all entries in order, at any place in the array", () => {
    const prng = new Prng("walk");
    const cursor = new BlockCursor();
    for (let round = 0; round < 300; round++) {
      const entries = randomEntries(prng, prng.below(100));
      const margin = prng.below(30);
      const bytes = surrounded(build(entries), margin, 0xff);
      cursor.seekToFirst(bytes, margin, bytes.length - margin);
      expect(rest(cursor)).toEqual(entries.map(show));
    }
  });

  test("stands on nothing in an empty block", () => {
    const block = build([]);
    const cursor = new BlockCursor();
    expect(cursor.seekToFirst(block, 0, block.length)).toBe(false);
    expect(searchBlock(block, 0, block.length, utf8("a"), cursor)).toBe(false);
    expect(cursor.isValid).toBe(false);
  });
});

describe("searchBlock()", () => {
  test("agrees with a sorted array, and so does the WASM search", () => {
    const prng = new Prng("search");
    const cursor = new BlockCursor();
    for (let round = 0; round < 300; round++) {
      const entries = randomEntries(prng, prng.below(100));
      const margin = prng.below(30);
      const bytes = surrounded(build(entries), margin, 0);
      const targets = [...entries.map((entry) => entry.key), ...Array(20)].slice(-60);
      for (const target of targets.map((key) => key ?? randomKey(prng))) {
        const index = entries.findIndex((entry) => compareBytes(entry.key, target) >= 0);
        for (const search of [searchBlock, searchBlockWasm]) {
          expect(search(bytes, margin, bytes.length - margin, target, cursor)).toBe(index >= 0);
          expect(cursor.isValid).toBe(index >= 0);
          if (index < 0) continue;
          expect(cursor.exact).toBe(equalBytes(entries[index]!.key, target));
          expect(at(cursor)).toBe(show(entries[index]!));
        }
      }
    }
  });

  test("leaves the cursor where next() goes on to the end", () => {
    const prng = new Prng("search and walk");
    const cursor = new BlockCursor();
    for (let round = 0; round < 100; round++) {
      const entries = randomEntries(prng, prng.between(1, 60));
      const block = build(entries);
      const target = randomKey(prng);
      for (const search of [searchBlock, searchBlockWasm]) {
        search(block, 0, block.length, target, cursor);
        const expected = entries.filter((entry) => compareBytes(entry.key, target) >= 0);
        expect(rest(cursor)).toEqual(expected.map(show));
      }
    }
  });

  test("finds the newest of equal keys that run across a restart", () => {
    const key = utf8("same");
    const value = new Uint8Array(0);
    const entries: Entry[] = [{ key: utf8("a"), kind: 0, sequence: 999, value }];
    for (let i = 0; i < 50; i++) entries.push({ key, kind: 0, sequence: 100 - i, value });
    const block = build(entries);
    const cursor = new BlockCursor();
    expect(searchBlock(block, 0, block.length, key, cursor)).toBe(true);
    expect(cursor.sequence).toBe(100);
  });
});

describe("BlockBuilderWasm", () => {
  test("writes the bytes of BlockBuilder", () => {
    const prng = new Prng("encode");
    const builder = new BlockBuilderWasm();
    for (let round = 0; round < 200; round++) {
      const entries = randomEntries(prng, prng.below(100)).slice(0, 60);
      for (const { key, kind, sequence, value } of entries)
        expect(builder.add(key, 0, key.length, kind, sequence, value, 0, value.length)).toBe(true);
      expect(hex(builder.finish())).toBe(hex(build(entries)));
    }
  });

  test("refuses what does not fit into its input", () => {
    const value = new Uint8Array(65_536);
    const key = utf8("k");
    expect(new BlockBuilderWasm().add(key, 0, 1, 0, 1, value, 0, value.length)).toBe(false);
  });
});

describe("a damaged block", () => {
  /** Walks and searches; what happened, as one string. Anything but a `DecodeError` passes through. */
  function outcome(bytes: Uint8Array, start: number, end: number, target: Uint8Array): string {
    const cursor = new BlockCursor();
    const told: string[] = [];
    const attempt = (run: () => void) => {
      try {
        run();
      } catch (thrown) {
        if (!(thrown instanceof DecodeError)) throw thrown;
        told.push(thrown.message);
      }
    };
    attempt(() => {
      let steps = 0;
      for (let is = cursor.seekToFirst(bytes, start, end); is; is = cursor.next()) {
        expect(cursor.valueEnd).toBeLessThanOrEqual(end);
        expect(++steps).toBeLessThanOrEqual((end - start) / 5);
        told.push(at(cursor));
      }
    });
    for (const search of [searchBlock, searchBlockWasm])
      attempt(
        () => void told.push(search(bytes, start, end, target, cursor) ? at(cursor) : "none"),
      );
    return told.join("\n");
  }

  function damage(prng: Prng, block: Uint8Array): Uint8Array {
    if (prng.chance(0.1)) return prng.bytes(prng.below(60));
    const copy = block.slice(0, prng.chance(0.3) ? prng.below(block.length) : block.length);
    for (let flips = prng.between(1, 4); flips > 0 && copy.length > 0; flips--) {
      const where = prng.chance(0.3) ? copy.length - 1 - prng.below(12) : prng.below(copy.length);
      copy[Math.max(0, where)] = prng.pick([0, 0x7f, 0x80, 0xff, prng.below(256)]);
    }
    return copy;
  }

  test("gives the same outcome whatever surrounds it: nothing outside is read", () => {
    const prng = new Prng("damage");
    let refused = 0;
    for (let round = 0; round < 4000; round++) {
      const entries = randomEntries(prng, prng.between(1, 40));
      const block = damage(prng, build(entries));
      const target = prng.chance(0.5) ? randomKey(prng) : prng.pick(entries).key;
      const outcomes = [0x00, 0x7f, 0x80, 0xff].map((filler) =>
        outcome(surrounded(block, 16, filler), 16, 16 + block.length, target),
      );
      expect(new Set(outcomes).size).toBe(1);
      if (outcomes[0]!.includes("Cannot read block")) refused++;
    }
    expect(refused).toBeGreaterThan(1000);
  });

  test("is never read outside its range", () => {
    const prng = new Prng("guarded");
    for (let round = 0; round < 1000; round++) {
      const entries = randomEntries(prng, prng.between(1, 20));
      const block = damage(prng, build(entries));
      // Restart offsets that point at the very end, and bytes that say "more follows" all the way.
      if (round % 4 === 0) block.fill(0x80, Math.max(0, block.length - 4 - prng.below(12)), -4);
      const [start, end] = [16, 16 + block.length];
      const bytes = guarded(surrounded(block, 16, 0xff), start, end);
      outcome(bytes, start, end, prng.pick(entries).key);
    }
  });

  test("is refused for each thing that can be wrong with it", () => {
    const a = "00 01 00 00 05 61";
    const blocks: readonly (readonly [what: string, bytes: string])[] = [
      ["a varint that runs into the restart list", "80 ffffffff 01000000"],
      ["a value one byte longer than the entries", "00 01 01 00 05 61 00000000 01000000"],
      ["a first entry that shares", "01 01 00 00 05 61 00000000 01000000"],
      ["an entry that shares more than there is", `${a} 02 01 00 00 05 62 00000000 01000000`],
      ["a restart that shares", `${a} 01 01 00 00 05 62 00000000 06000000 02000000`],
      ["a restart outside the entries", `${a} 06000000 01000000`],
      ["a sequence above 2^53", "00 01 00 00 ffffffffffffff7f 61 00000000 01000000"],
      ["a sequence of nine bytes", "00 01 00 00 808080808080808000 61 00000000 01000000"],
      ["entries without a restart", `${a} 00000000`],
      ["more restarts than bytes", `${a} 00000000 03000000`],
      ["no room for the count", "000000"],
    ];
    const cursor = new BlockCursor();
    for (const [what, text] of blocks) {
      const block = Uint8Array.fromHex(text.replaceAll(" ", ""));
      const bytes = guarded(surrounded(block, 8, 0xff), 8, 8 + block.length);
      const searches = () => {
        for (const target of ["a", "zz"])
          searchBlock(bytes, 8, 8 + block.length, utf8(target), cursor);
      };
      expect(searches, what).toThrow(DecodeError);
      const walk = () => {
        for (let is = cursor.seekToFirst(bytes, 8, 8 + block.length); is; is = cursor.next());
      };
      // A walk does not use the restart list.
      if (!what.startsWith("a restart")) expect(walk, what).toThrow(DecodeError);
    }
  });

  test("is refused at every truncation", () => {
    const block = build(randomEntries(new Prng("truncate"), 40));
    for (let length = 0; length < block.length; length++) {
      const cursor = new BlockCursor();
      const walk = () => {
        for (let is = cursor.seekToFirst(block, 0, length); is; is = cursor.next());
        return cursor;
      };
      // A prefix may by chance end in a plausible list of restarts; then its entries do not add up.
      expect(walk).toThrow(DecodeError);
    }
  });

  test("is refused where the range is not inside the array", () => {
    const block = build(randomEntries(new Prng("range"), 5));
    const cursor = new BlockCursor();
    expect(() => cursor.open(block, 0, block.length + 1)).toThrow(DecodeError);
    expect(() => cursor.open(block, -1, block.length)).toThrow(DecodeError);
    expect(() => cursor.open(block, 3, 2)).toThrow(DecodeError);
  });
});
