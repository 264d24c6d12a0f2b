/** Small entries that a node keeps for itself in its store, each read by the part of the node that wrote it. */
import fc from "fast-check";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { ClockCeiling } from "../../src/cluster/clock-ceiling.ts";
import { FallbackActor } from "../../src/cluster/fallback-actor.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { SuspectStore } from "../../src/cluster/suspect-store.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import type { WriteBatch } from "../../src/storage/store.ts";
import { arbitraryRecord } from "../support/arbitrary-record.ts";
import { nodeId, whole } from "./arbitrary-cluster.ts";
import { bytesOf } from "./causality-decoders.ts";
import { type Decoder, decoder } from "./decoder.ts";

const NODE = new Uint8Array(8).fill(1);
const NOW_MS = 1_800_000_000_000;

/** A store that answers every question with `value`. */
function storeOf(value: Uint8Array, applied: WriteBatch[] = []): ReplicaStore {
  const nothing = { isValid: false, seek: () => undefined };
  const part = {
    get: () => ({ value }),
    apply: (batch: WriteBatch) => {
      applied.push(batch);
      return Promise.resolve();
    },
    snapshot: () => ({ iterator: () => nothing, close: () => undefined, lostRanges: [] }),
    reportDamage: () => undefined,
  };
  return part as unknown as ReplicaStore; // of which nothing else is asked here
}

const number = whole.map((value) => {
  const writer = new ByteWriter(9);
  writer.u8(1);
  writer.u64(value);
  return writer.finish();
});

const suspect = fc.tuple(whole, nodeId, arbitraryRecord).map(([sinceMs, broughtBy, record]) => {
  const writer = new ByteWriter(64);
  writer.u8(1);
  writer.u64(sinceMs);
  writer.raw(Uint8Array.fromHex(broughtBy));
  writer.raw(bytesOf(record));
  return writer.finish();
});

export const OWN_ENTRIES_DECODERS: readonly Decoder[] = [
  decoder({
    name: "clock ceiling",
    covers: ["cluster/clock-ceiling.ts readCeiling"],
    valid: number,
    decode: (input) => {
      const { stored } = new ClockCeiling(storeOf(input), silentLogger);
      if (!(Number.isSafeInteger(stored) && stored >= 0)) throw new Error(`${stored} is no time`);
      return stored;
    },
    refusals: [],
  }),
  decoder({
    name: "lease of a fallback",
    covers: ["cluster/fallback-actor.ts readLease"],
    valid: fc.integer({ min: 0x80000000, max: 0xfffff000 }).map((end) => {
      const writer = new ByteWriter(9);
      writer.u8(1);
      writer.u64(end);
      return writer.finish();
    }),
    decode: (input) => {
      const applied: WriteBatch[] = [];
      const fallback = new FallbackActor(
        storeOf(input, applied),
        NODE,
        () => NOW_MS,
        () => 0,
      );
      void fallback.prepare();
      return applied[0]!.values[0]!;
    },
    refusals: [],
  }),
  decoder({
    name: "suspect",
    covers: ["cluster/suspect-store.ts get"],
    valid: suspect,
    decode: (input) => new SuspectStore(storeOf(input)).get(NODE),
    refusals: [],
  }),
];
