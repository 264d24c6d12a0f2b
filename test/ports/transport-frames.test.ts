import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { framesOf, MessageReader } from "../../src/bun/peer-frames.ts";
import { formatPeerAddress, parsePeerAddress } from "../../src/bun/peer-address.ts";
import { MESSAGE_BYTES_MAX } from "../../src/ports/transport.ts";
import { Prng } from "../../src/base/prng.ts";

/** What a reader makes of `stream`, cut into chunks by `lengthOf`; "broken" where it refuses. */
function readAll(stream: Uint8Array, lengthOf: () => number): (Uint8Array | "broken")[] {
  const read: (Uint8Array | "broken")[] = [];
  const reader = new MessageReader((message) => read.push(message));
  for (let at = 0; at < stream.length;) {
    const end = Math.min(stream.length, at + lengthOf());
    const chunk = stream.slice(at, end);
    if (!reader.take(chunk)) return [...read, "broken"];
    // The chunk is the network's: nothing of a message may still be in it.
    chunk.fill(0xdb);
    at = end;
  }
  return read;
}

describe("MessageReader", () => {
  test("reads back what framesOf() wrote, however it is cut", () => {
    const prng = new Prng("frames");
    for (let round = 0; round < 50; round++) {
      const messages = Array.from({ length: prng.between(1, 12) }, () =>
        prng.bytes(prng.pick([0, 1, 3, 100, 5000, 32_768, 32_769, 200_000])),
      );
      const stream = new Uint8Array(Buffer.concat(framesOf(messages)));
      for (const chunkMax of [stream.length, 20_000, 7]) {
        if (chunkMax === 7 && stream.length > 20_000) continue;
        expect(readAll(stream, () => prng.between(1, chunkMax))).toEqual(messages);
      }
    }
  });

  test("small messages share one piece", () => {
    const small = Array.from({ length: 64 }, () => new Uint8Array(100));
    expect(framesOf(small).map((piece) => piece.length)).toEqual([64 * 104]);
    const long = new Uint8Array(100_000);
    expect(framesOf([...small, long, ...small]).map((piece) => piece.length)).toEqual([
      64 * 104 + 4,
      100_000,
      64 * 104,
    ]);
    expect(framesOf([])).toEqual([]);
  });

  test("row 62: refuses a length above the limit, also one with the highest bit", () => {
    const stream = (length: number): Uint8Array => {
      const bytes = new Uint8Array(20);
      new DataView(bytes.buffer).setUint32(0, length, true);
      return bytes;
    };
    for (const length of [MESSAGE_BYTES_MAX + 1, 2 ** 31, 2 ** 32 - 1]) {
      for (const chunk of [1, 3, 20])
        expect(readAll(stream(length), () => chunk)).toEqual(["broken"]);
    }
    expect(readAll(stream(MESSAGE_BYTES_MAX), () => 20)).toEqual([]);
  });

  test("row 62: takes no memory for what is only announced", () => {
    const readers = Array.from({ length: 100 }, () => new MessageReader(() => undefined));
    Bun.gc(true);
    const before = heapStats().extraMemorySize;
    const claim = new Uint8Array(1000);
    new DataView(claim.buffer).setUint32(0, MESSAGE_BYTES_MAX, true);
    for (const reader of readers) expect(reader.take(claim)).toBe(true);
    expect(heapStats().extraMemorySize - before).toBeLessThan(MESSAGE_BYTES_MAX);
  });
});

describe("parsePeerAddress()", () => {
  test("takes numeric addresses and localhost", () => {
    expect(parsePeerAddress("127.0.0.1:7947")).toEqual({
      host: "127.0.0.1",
      port: 7947,
      isIPv6: false,
    });
    expect(parsePeerAddress("localhost:1")).toEqual({ host: "127.0.0.1", port: 1, isIPv6: false });
    expect(parsePeerAddress("[::1]:65535")).toEqual({ host: "::1", port: 65_535, isIPv6: true });
    expect(formatPeerAddress("::1", 5)).toBe("[::1]:5");
  });

  test.each([
    "",
    ":",
    "x",
    "a:1",
    "1.2.3.4",
    "1.2.3.4:",
    "1.2.3.4:0",
    "1.2.3.4:65536",
    "[1.2.3.4]:5",
  ])("refuses %p", (address) => expect(parsePeerAddress(address)).toBeUndefined());

  test.each(["::1:5", "[::1]", "1.2.3.4:5x", " 1.2.3.4:5", "1.2.3.4:-1"])("refuses %p", (address) =>
    expect(parsePeerAddress(address)).toBeUndefined(),
  );
});
