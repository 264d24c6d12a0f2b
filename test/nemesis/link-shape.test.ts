import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { type LinkShape, ShapedLink } from "../support/link-shape.ts";

const PACKET_BYTES = 100;
const PACKETS = 2000;

function linkOf(shape: LinkShape | undefined): ShapedLink {
  const link = new ShapedLink(new Prng("link-shape"));
  link.become(shape);
  return link;
}

/** One packet every ten milliseconds. */
function fatesThrough(shape: LinkShape): (readonly number[])[] {
  const link = linkOf(shape);
  return Array.from({ length: PACKETS }, (_, i) => link.fatesOf(PACKET_BYTES, 10 * i));
}

describe("a shaped link", () => {
  test("that is perfect passes everything at once", () => {
    const link = linkOf(undefined);
    expect([link.fatesOf(PACKET_BYTES, 5), link.arrivalOf(PACKET_BYTES, 5)]).toEqual([[0], 5]);
  });

  test("loses and doubles datagrams with about the chances that it was given", () => {
    const lost = fatesThrough({ lossChance: 0.2 }).filter((fates) => fates.length === 0).length;
    expect(lost / PACKETS).toBeCloseTo(0.2, 1);
    const two = fatesThrough({ duplicateChance: 0.1 }).filter((fates) => fates.length === 2);
    expect(two.length / PACKETS).toBeCloseTo(0.1, 1);
  });

  test("delays datagrams by its delay and up to its jitter", () => {
    const delays = fatesThrough({ delayMs: 50, jitterMs: 30 }).flat();
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(50);
    expect(Math.max(...delays)).toBeLessThanOrEqual(80);
    expect(Math.max(...delays) - Math.min(...delays)).toBeGreaterThan(20);
  });

  test("lets datagrams overtake each other", () => {
    const arrivals = fatesThrough({ reorderChance: 0.5 }).map(([fateMs], i) => 10 * i + fateMs!);
    expect(arrivals.some((atMs, i) => i > 0 && atMs < arrivals[i - 1]!)).toBe(true);
  });

  test("never lets pieces of a stream overtake each other, whatever it becomes", () => {
    const link = linkOf({ delayMs: 100, jitterMs: 200, lossChance: 0.3 });
    let lastMs = 0;
    for (let i = 0; i < PACKETS; i++) {
      if (i === PACKETS / 2) link.become(undefined);
      const arrivalMs = link.arrivalOf(PACKET_BYTES, i);
      expect(arrivalMs).toBeGreaterThanOrEqual(Math.max(lastMs, i));
      lastMs = arrivalMs;
    }
  });

  test("of 256 kbit/s passes 32,000 bytes in a second, and drops what would wait longer than two", () => {
    const link = linkOf({ bitsPerSecond: 256_000 });
    const fates = Array.from({ length: 100 }, () => link.fatesOf(1000, 0));
    const passed = fates.flat();
    expect(passed.filter((ms) => ms <= 1000)).toHaveLength(32);
    expect(passed).toHaveLength(64);
    expect(fates.slice(64).every((own) => own.length === 0)).toBe(true);
    expect(link.fatesOf(1000, 1000)).toHaveLength(1);
  });
});
