import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Prng } from "../../src/base/prng.ts";
import { crc32 } from "../../src/kernels/kernels.ts";
import type { MemberRecord } from "../../src/gossip/member.ts";
import {
  decodeMessage,
  type Heartbeat,
  HEARTBEATS_MAX,
  MESSAGE_BYTES_MAX,
  type Message,
  type MessageHead,
  MessageWriter,
  UPDATE_BYTES_MAX,
} from "../../src/gossip/message.ts";
import {
  ADDRESS_BYTES_MAX,
  decodeTable,
  encodeTable,
  encodeUpdate,
  fitsRecord,
  RECORD_BYTES_MAX,
  type Update,
} from "../../src/gossip/update.ts";
import { CLUSTER_ID, recordOf } from "./gossip-run.ts";

const id = fc.uint8Array({ minLength: 8, maxLength: 8 }).map((bytes) => bytes.toHex());
const u32 = fc.integer({ min: 0, max: 0xffffffff });
const large = fc.maxSafeNat();
const text = (max: number): fc.Arbitrary<string> =>
  fc.string({ maxLength: max, unit: "binary-ascii" });
const record: fc.Arbitrary<MemberRecord> = fc.record({
  id,
  name: text(64),
  peerAddress: text(100),
  clientAddress: text(100),
  zone: fc.record({ dc: text(20), rack: text(20), host: text(20) }),
  weight: fc.nat(100_000).map((thousandths) => thousandths / 1000),
  incarnation: large,
  version: large,
  phase: fc.constantFrom("syncing", "serving", "leaving", "left"),
  layoutVersion: large,
  layoutHash: u32,
  bucketsHash: u32,
});
const update: fc.Arbitrary<Update> = fc.oneof(
  fc.record({ kind: fc.constant("record" as const), record }),
  fc.record({
    kind: fc.constantFrom("suspect" as const, "down" as const),
    id,
    incarnation: large,
    by: id,
  }),
);
const head: fc.Arbitrary<MessageHead> = fc.record({
  kind: fc.constantFrom("ping", "ack", "ping-request", "indirect-ack", "news"),
  wantsRecord: fc.boolean(),
  isReached: fc.boolean(),
  sender: id,
  target: id,
  sequence: u32,
  incarnation: large,
  version: large,
  heartbeat: large,
  digest: u32,
});
const heartbeat: fc.Arbitrary<Heartbeat> = fc.record({ id, generation: large, heartbeat: large });
const message = fc
  .tuple(
    head,
    fc.array(update, { maxLength: 40 }),
    fc.array(heartbeat, { maxLength: HEARTBEATS_MAX }),
  )
  .map(([its, updates, heartbeats]): Message => ({ ...its, updates, heartbeats }));

/** The datagram, and what of the message fitted in. */
function encode(whole: Message): { bytes: Uint8Array; fitted: Message } {
  const writer = new MessageWriter(CLUSTER_ID);
  writer.begin(whole);
  const updates = whole.updates.filter((one) => writer.addUpdate(encodeUpdate(one)));
  return { bytes: writer.finish(whole.heartbeats), fitted: { ...whole, updates } };
}

const sample = fc.sample(message, { numRuns: 20, seed: 3 }).map((one) => encode(one).bytes);

/** Repairs the checksum, so that the decoder behind it is met. */
function seal(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer).setUint32(1, crc32(bytes.subarray(5)), true);
  return bytes;
}

describe("decodeMessage()", () => {
  test("gives back what was written, within 1,400 bytes", () => {
    fc.assert(
      fc.property(message, (whole) => {
        const { bytes, fitted } = encode(whole);
        expect(bytes.length).toBeLessThanOrEqual(MESSAGE_BYTES_MAX);
        expect(decodeMessage(bytes, CLUSTER_ID)).toEqual(fitted);
      }),
    );
  });

  test("a datagram filled to the last byte has at most 1,400", () => {
    const writer = new MessageWriter(CLUSTER_ID);
    const max = Number.MAX_SAFE_INTEGER;
    const [one] = fc.sample(head, { numRuns: 1, seed: 1 });
    writer.begin({ ...one!, incarnation: max, version: max, heartbeat: max });
    expect(writer.addUpdate(new Uint8Array(UPDATE_BYTES_MAX))).toBeTrue();
    expect(writer.addUpdate(new Uint8Array(1))).toBeFalse();
    const full = { id: "00".repeat(8), generation: max, heartbeat: max };
    const bytes = writer.finish(Array.from({ length: HEARTBEATS_MAX }, () => full));
    expect(bytes.length).toBeWithin(1300, MESSAGE_BYTES_MAX + 1);
  });

  test("rejects every prefix, and anything longer", () => {
    for (const bytes of sample) {
      for (let length = 0; length < bytes.length; length++)
        expect(decodeMessage(bytes.slice(0, length), CLUSTER_ID)).toBe("malformed");
      expect(decodeMessage(new Uint8Array([...bytes, 0]), CLUSTER_ID)).toBe("malformed");
    }
  });

  test("rejects every prefix and every extra byte under a right checksum, too", () => {
    for (const bytes of sample) {
      for (let length = 5; length < bytes.length; length++)
        expect(decodeMessage(seal(bytes.slice(0, length)), CLUSTER_ID)).toBeString();
      expect(decodeMessage(seal(new Uint8Array([...bytes, 0])), CLUSTER_ID)).toBe("malformed");
    }
  });

  test("rejects every changed bit", () => {
    const bytes = sample[0]!;
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const changed = bytes.slice();
      changed[bit >> 3]! ^= 1 << (bit & 7);
      expect(decodeMessage(changed, CLUSTER_ID)).toBe("malformed");
    }
  });

  test("never throws for mutations under a right checksum", () => {
    const prng = new Prng("mutations");
    let accepted = 0;
    for (let i = 0; i < 20_000; i++) {
      const bytes = sample[i % sample.length]!.slice();
      for (let count = prng.between(1, 4); count > 0; count--)
        bytes[5 + prng.below(bytes.length - 5)] = prng.below(256);
      if (typeof decodeMessage(seal(bytes), CLUSTER_ID) !== "string") accepted++;
    }
    expect(accepted).toBeWithin(100, 20_000);
  });

  test("row 67: 0, 1, 13 and 65,507 random bytes are malformed", () => {
    const prng = new Prng(67);
    for (const length of [0, 1, 13, 400, 65_507])
      for (let i = 0; i < (length > 1000 ? 5 : 200); i++)
        expect(decodeMessage(prng.bytes(length), CLUSTER_ID)).toBe("malformed");
  });

  test("row 108: a datagram of another cluster is told from damage", () => {
    expect(decodeMessage(sample[0]!, new Uint8Array(16))).toBe("wrong-cluster");
  });
});

describe("a table of members", () => {
  const members = fc.array(
    fc.record({
      record,
      liveness: fc.constantFrom("alive" as const, "suspect" as const, "down" as const),
    }),
    { maxLength: 10 },
  );

  test("comes back as it was", () => {
    fc.assert(
      fc.property(members, (table) => expect(decodeTable(encodeTable(table))).toEqual(table)),
    );
  });

  test("is refused for every prefix, and for a count that the bytes cannot hold", () => {
    const bytes = encodeTable([{ record: recordOf(1), liveness: "alive" }]);
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeTable(bytes.slice(0, length))).toThrow("Cannot");
    expect(() => decodeTable(new Uint8Array([1, 0xff, 0xff, 0x7f]))).toThrow("Cannot read members");
  });

  test("the longest record has RECORD_BYTES_MAX bytes, and longer names do not fit", () => {
    const zone = { dc: "d".repeat(64), rack: "r".repeat(64), host: "h".repeat(64) };
    const address = "a".repeat(ADDRESS_BYTES_MAX);
    const most = Number.MAX_SAFE_INTEGER;
    const numbers = { incarnation: most, version: most, layoutVersion: most, weight: most / 1e6 };
    const longest = {
      ...recordOf(1),
      ...numbers,
      zone,
      name: "n".repeat(64),
      peerAddress: address,
      clientAddress: address,
    };
    expect(fitsRecord(longest)).toBeTrue();
    const { length } = encodeUpdate({ kind: "record", record: longest });
    expect(length).toBeWithin(RECORD_BYTES_MAX - 10, RECORD_BYTES_MAX + 2);
    expect(length).toBeLessThan(UPDATE_BYTES_MAX);
    expect(fitsRecord({ ...longest, name: "é".repeat(33) })).toBeFalse();
    expect(fitsRecord({ ...longest, peerAddress: `${address}a` })).toBeFalse();
    expect(fitsRecord({ ...longest, zone: { ...zone, rack: "r".repeat(65) } })).toBeFalse();
  });
});
