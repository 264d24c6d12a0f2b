import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { DecodeError } from "../../src/base/byte-reader.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { Prng } from "../../src/base/prng.ts";
import type { PeerReply, PeerRequest } from "../../src/cluster/peer-messages.ts";
import {
  BATCH_HEAD_BYTES,
  beginBatch,
  commonVersion,
  decodeHello,
  encodeHello,
  FrameReader,
  type Hello,
  sealBatch,
  setBudget,
  VERSIONS,
  writeReplyFrame,
  writeRequestFrame,
} from "../../src/cluster/peer-protocol.ts";
import { crc32 } from "../../src/kernels/kernels.ts";
import { arbitraryReply, arbitraryFramedRequest } from "../support/arbitrary-peer-message.ts";

const VERSION = 1;

function batchOf(requests: readonly PeerRequest[], replies: readonly PeerReply[]): Uint8Array {
  const batch = beginBatch(0, VERSION);
  requests.forEach((request, i) => {
    const start = batch.length;
    writeRequestFrame(batch, i + 1, request);
    setBudget(batch, start, 100 + i);
  });
  replies.forEach((reply, i) => writeReplyFrame(batch, 1000 * (i + 1), reply));
  return sealBatch(batch);
}

function readAll(message: Uint8Array): (PeerRequest | PeerReply | undefined)[] {
  const frames = new FrameReader(message, VERSION);
  const all = [];
  while (frames.next()) all.push(frames.isReply ? frames.readReply() : frames.readRequest());
  return all;
}

/** The same message under a checksum that fits. */
function resealed(message: Uint8Array): Uint8Array {
  const copy = message.slice();
  new DataView(copy.buffer).setUint32(1, crc32(copy.subarray(5)), true);
  return copy;
}

/** What reading it throws; anything but a `DecodeError` is a defect. */
function complaint(read: () => unknown): DecodeError | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

const merge: PeerRequest = {
  kind: "merge",
  internalKey: utf8("k"),
  record: utf8("record"),
  purpose: "write",
  isConditional: false,
  side: undefined,
};

describe("peer protocol", () => {
  test("every message of every kind survives the way", () => {
    fc.assert(
      fc.property(
        fc.array(arbitraryFramedRequest, { maxLength: 4 }),
        fc.array(arbitraryReply, { maxLength: 4 }),
        (requests, replies) => {
          expect(readAll(batchOf(requests, replies))).toEqual([...requests, ...replies]);
        },
      ),
      { numRuns: 1000 },
    );
  });

  test("N1: a request carries its id and its budget", () => {
    const frames = new FrameReader(batchOf([merge, { kind: "status" }], []), VERSION);
    expect(frames.next()).toBe(true);
    expect([frames.id, frames.budgetMs, frames.isReply]).toEqual([1, 100, false]);
    expect(frames.next()).toBe(true);
    expect([frames.id, frames.budgetMs]).toEqual([2, 101]);
    expect(frames.next()).toBe(false);
  });

  test("bytes of the format do not change", () => {
    expect(batchOf([merge], [{ kind: "stored", isDurable: true }]).toHex()).toBe(
      "01" + "ae4a2ed4" + "00000000" + "02" + "0f000000" + "64000000" + "01" + "00" + "016b" +
        "06" + "7265636f7264" + "82" + "03000000" + "e807" + "01", // prettier-ignore
    );
  });

  test("records and keys are views on the message", () => {
    const message = batchOf([merge], []);
    const [read] = readAll(message) as [typeof merge & { kind: "merge" }];
    expect(read.record.buffer).toBe(message.buffer);
    expect(read.internalKey.buffer).toBe(message.buffer);
  });

  test("row 62: no prefix of a batch is one, under any checksum", () => {
    fc.assert(
      fc.property(arbitraryFramedRequest, arbitraryReply, (request, reply) => {
        const message = batchOf([request], [reply]);
        const first = batchOf([request], []).length;
        for (let length = 0; length < message.length; length++) {
          const prefix = message.slice(0, length);
          expect(complaint(() => readAll(prefix))).toBeInstanceOf(DecodeError);
          const isWhole = length === BATCH_HEAD_BYTES || length === first;
          if (length >= 5 && !isWhole)
            expect(complaint(() => readAll(resealed(prefix)))).toBeInstanceOf(DecodeError);
        }
      }),
      { numRuns: 50 },
    );
  });

  test("row 62: every flipped bit is noticed", () => {
    const message = batchOf([merge], [{ kind: "stored", isDurable: true }]);
    for (let bit = 0; bit < message.length * 8; bit++) {
      const flipped = message.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(complaint(() => readAll(flipped))).toBeInstanceOf(DecodeError);
    }
  });

  test("row 62: trailing bytes, in a frame or behind it, are refused", () => {
    const message = batchOf([merge], []);
    const longer = new Uint8Array(message.length + 1);
    longer.set(message);
    expect(complaint(() => readAll(resealed(longer)))).toBeInstanceOf(DecodeError);
    longer[BATCH_HEAD_BYTES + 1]!++; // the frame's own length takes the byte in
    expect(complaint(() => readAll(resealed(longer)))?.message).toContain("its content does not");
  });

  test("row 62: lengths up to 2^32 and 2^53 are refused before anything is made", () => {
    const message = batchOf([merge], []);
    const frame = message.slice();
    frame.fill(0xff, BATCH_HEAD_BYTES + 1, BATCH_HEAD_BYTES + 5);
    expect(complaint(() => readAll(resealed(frame)))).toBeInstanceOf(DecodeError);
    const inner = batchOf([{ ...merge, internalKey: new Uint8Array(12) }], []);
    inner.set([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], 20); // the length of the key
    expect(complaint(() => readAll(resealed(inner)))).toBeInstanceOf(DecodeError);
  });

  test("row 62: damage under a good checksum gives a message or a DecodeError, never more", () => {
    const prng = new Prng("peer-protocol");
    let refused = 0;
    fc.assert(
      fc.property(arbitraryFramedRequest, arbitraryReply, (request, reply) => {
        const message = batchOf([request], [reply]);
        for (let round = 0; round < 20; round++) {
          const damaged = message.slice();
          for (let i = prng.between(1, 4); i > 0; i--)
            damaged[prng.between(5, message.length - 1)] = prng.below(256);
          if (complaint(() => readAll(resealed(damaged))) !== undefined) refused++;
        }
      }),
      { numRuns: 300 },
    );
    expect(refused).toBeGreaterThan(1000);
  });

  test("row 62: random bytes are refused", () => {
    const prng = new Prng("noise");
    for (let round = 0; round < 2000; round++) {
      const noise = prng.bytes(prng.between(0, 200));
      expect(complaint(() => readAll(noise))).toBeInstanceOf(DecodeError);
      if (noise.length < 5) continue;
      noise[0] = VERSION;
      complaint(() => readAll(resealed(noise)));
    }
  });

  test("R62: a kind of request that is not known is passed over, a kind of reply is not", () => {
    const message = batchOf([merge, { kind: "status" }], []);
    message[BATCH_HEAD_BYTES] = 99;
    expect(readAll(resealed(message))).toEqual([undefined, { kind: "status" }]);
    const reply = batchOf([], [{ kind: "stored", isDurable: true }]);
    reply[BATCH_HEAD_BYTES] = 200;
    expect(complaint(() => readAll(resealed(reply)))).toBeInstanceOf(DecodeError);
  });

  test("a batch of another version is refused", () => {
    const message = batchOf([merge], []);
    message[0] = 2;
    expect(complaint(() => readAll(message))?.message).toContain("version 2, want 1");
  });

  test("facts of a failure that cannot be told stay behind, its code and message do not", () => {
    const failed: PeerReply = {
      kind: "failed",
      code: "overloaded",
      message: "m".repeat(10_000),
      retry: "safe",
      data: { big: "x".repeat(100_000), count: 1n },
    };
    const [read] = readAll(batchOf([], [failed])) as [PeerReply & { kind: "failed" }];
    expect(read).toEqual({ ...failed, message: "m".repeat(2048), data: {} });
  });

  test("a code that only a newer peer knows is `internal` here", () => {
    const failed = { kind: "failed", code: "brand-new", message: "", retry: "no", data: {} };
    const [read] = readAll(batchOf([], [failed as unknown as PeerReply]));
    expect(read).toEqual({ ...failed, code: "internal" } as unknown as PeerReply);
  });
});

const hello: Hello = {
  versions: VERSIONS,
  purpose: "member",
  clusterId: new Uint8Array(16).fill(7),
  clusterName: "käse",
  nodeId: "00112233aabbccdd",
  incarnation: 65_536 * 12 + 3,
};

describe("hello", () => {
  test("N14: tells cluster, node, incarnation and versions", () => {
    expect(decodeHello(encodeHello(hello))).toEqual(hello);
    const knock = { ...hello, purpose: "knock" as const, clusterId: new Uint8Array(16) };
    expect(decodeHello(encodeHello(knock))).toEqual(knock);
  });

  test("row 62: no prefix, no flipped bit and no longer one is accepted", () => {
    const bytes = encodeHello(hello);
    for (let length = 0; length < bytes.length; length++)
      expect(complaint(() => decodeHello(bytes.slice(0, length)))).toBeInstanceOf(DecodeError);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >> 3]! ^= 1 << (bit & 7);
      expect(complaint(() => decodeHello(flipped))).toBeInstanceOf(DecodeError);
    }
    const longer = withCrc(new Uint8Array([...bytes, 0]));
    expect(complaint(() => decodeHello(longer))).toBeInstanceOf(DecodeError);
  });

  test("row 61: one of a later version is read as far as it is known", () => {
    const later = encodeHello({ ...hello, versions: { min: 3, max: 4 } });
    const extended = withCrc(new Uint8Array([...later, 1, 2, 3]));
    expect(decodeHello(extended).versions).toEqual({ min: 3, max: 4 });
  });

  test("R62: the version of a link is the highest that both sides speak", () => {
    expect(commonVersion({ min: 1, max: 3 }, { min: 2, max: 5 })).toBe(3);
    expect(commonVersion({ min: 2, max: 5 }, { min: 1, max: 2 })).toBe(2);
    expect(commonVersion({ min: 1, max: 1 }, { min: 3, max: 4 })).toBeUndefined();
    expect(commonVersion({ min: 3, max: 4 }, { min: 1, max: 1 })).toBeUndefined();
  });
});

function withCrc(bytes: Uint8Array): Uint8Array {
  new DataView(bytes.buffer).setUint32(0, crc32(bytes.subarray(4)), true);
  return bytes;
}
