import { expect, test } from "bun:test";
import { Metrics } from "../../src/base/metrics.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { ENVELOPE_BYTES, PLAIN_BYTES_MAX } from "../../src/cluster/sealed-datagrams.ts";
import { DATAGRAM_BYTES_MAX } from "../../src/ports/datagrams.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { keyOf, SealedEnd, sealParts } from "../support/sealed-pair.ts";

const message = utf8("a is alive, and so is b");

function pair(): { clock: ManualClock; a: SealedEnd; b: SealedEnd } {
  const clock = new ManualClock();
  return { clock, a: new SealedEnd(sealParts(clock)), b: new SealedEnd(sealParts(clock)) };
}

test("Q6: what one node seals another one opens, and nobody reads it on the way", () => {
  const { a, b } = pair();
  const wire = a.seal(message);
  b.take(wire);
  expect(b.heard).toEqual([message]);
  expect(wire.length).toBe(message.length + ENVELOPE_BYTES);
  expect(Buffer.from(wire).includes(Buffer.from("alive"))).toBe(false);
  expect(a.seal(message)).not.toEqual(wire);
  b.take(a.seal(new Uint8Array(PLAIN_BYTES_MAX)));
  expect(a.wire.sent.at(-1)?.length).toBe(DATAGRAM_BYTES_MAX);
  expect(b.heard.at(-1)?.length).toBe(PLAIN_BYTES_MAX);
});

test("Q6: a flip of any bit is counted once, changes nothing and gets no answer", () => {
  const { a, b } = pair();
  const wire = a.seal(message);
  let flips = 0;
  for (let bit = 0; bit < wire.length * 8; bit++) {
    const flipped = wire.slice();
    flipped[bit >> 3]! ^= 1 << (bit & 7);
    b.take(flipped);
    flips++;
  }
  const counted = Object.values(b.refused).reduce((sum, count) => sum + count, 0);
  expect(counted).toBe(flips);
  expect(b.refused).toMatchObject({ plain: 8, "unknown-key": 32 });
  expect([b.heard, b.wire.sent]).toEqual([[], []]);
  // The window has not moved either: the datagram itself is taken.
  b.take(wire);
  expect(b.heard).toEqual([message]);
});

test("Q6, row 68: a replay is refused, reordering within the window is not", () => {
  const { a, b } = pair();
  const wires = Array.from({ length: 1030 }, (_, index) => a.seal(utf8(`${index}`)));
  for (const index of [5, 3, 4, 1023, 100]) b.take(wires[index]!);
  expect(b.heard).toEqual(["5", "3", "4", "1023", "100"].map(utf8));
  for (const index of [5, 3, 4, 1023, 100]) b.take(wires[index]!);
  expect(b.refused).toEqual({ replayed: 5 });
  // 1,024 below the highest is the first that cannot be told from a replay.
  b.take(wires[1029]!);
  b.take(wires[5]!);
  b.take(wires[6]!);
  expect(b.refused).toEqual({ replayed: 6 });
  expect(b.heard.at(-1)).toEqual(utf8("6"));
});

test("Q6, row 68: what a node has sealed itself is refused when somebody turns it round", () => {
  const { a, b } = pair();
  const wire = a.seal(message);
  a.take(wire);
  expect([a.heard, a.refused]).toEqual([[], { replayed: 1 }]);
  b.take(wire);
  expect(b.heard).toEqual([message]);
});

test("Q6: what was sealed more than 30 s ago or ahead is refused", () => {
  const { clock, a, b } = pair();
  const [early, late] = [a.seal(message), a.seal(message)];
  clock.stepWall(30_000);
  b.take(early);
  expect(b.heard.length).toBe(1);
  clock.stepWall(1000);
  b.take(late);
  clock.stepWall(-100_000);
  b.take(late);
  expect([b.heard.length, b.refused]).toEqual([1, { expired: 2 }]);
});

test("Q6: another key, another cluster, a plain datagram and random bytes are refused", () => {
  const { clock, a, b } = pair();
  b.take(new SealedEnd(sealParts(clock, [keyOf(2)])).seal(message));
  b.take(new SealedEnd(sealParts(clock, [keyOf(1)], "other")).seal(message));
  b.take(message);
  b.take(new Uint8Array(0));
  b.take(a.seal(message).subarray(0, ENVELOPE_BYTES - 1));
  expect(b.refused).toEqual({ "unknown-key": 1, forged: 1, plain: 2, malformed: 1 });
  expect([b.heard, b.wire.sent]).toEqual([[], []]);
});

test("Q6: a sender that starts again is another sender, and none shares a nonce with one before", () => {
  const clock = new ManualClock();
  const b = new SealedEnd(sealParts(clock));
  const nonces = new Set<string>();
  for (let start = 0; start < 50; start++) {
    const a = new SealedEnd(sealParts(clock));
    for (let i = 0; i < 3; i++) {
      const wire = a.seal(message);
      nonces.add(wire.subarray(5, 17).toHex());
      b.take(wire);
    }
    clock.advance(10);
  }
  expect(nonces.size).toBe(150);
  expect([b.heard.length, b.refused]).toEqual([150, {}]);
});

test("hutch_gossip_datagrams_refused shows each reason, with what was counted before", () => {
  const { b } = pair();
  b.take(message);
  const metrics = new Metrics();
  b.datagrams.defineMetrics(metrics);
  b.take(message);
  expect(metrics.text()).toContain('hutch_gossip_datagrams_refused_total{reason="plain"} 2\n');
});
