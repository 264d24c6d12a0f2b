/** Layouts and what is said about them; buckets, hints and trees as they are kept. */
import fc from "fast-check";
import {
  decodeEntries,
  decodeEntry,
  encodeEntries,
  encodeEntry,
  type BucketEntry,
} from "../../src/cluster/bucket-entry.ts";
import {
  decodeAnswer,
  decodeVisitor,
  encodeAnswer,
  encodeVisitor,
  type Visitor,
} from "../../src/cluster/formation.ts";
import { decodeHint, encodeHint, type Hint, mergeHints } from "../../src/cluster/hint-format.ts";
import { decodeJoin, encodeJoin } from "../../src/cluster/layout-join.ts";
import * as votes from "../../src/cluster/layout-vote.ts";
import { decodeForest, encodeForest } from "../../src/cluster/merkle-store.ts";
import { MerkleForest } from "../../src/merkle/merkle-forest.ts";
import { decodeLayout, encodeLayout } from "../../src/ring/layout.ts";
import { LayoutState } from "../../src/ring/layout-state.ts";
import { type LayoutChange, readChange, writeChange } from "../../src/ring/staged-changes.ts";
import { arbitraryRecord } from "../support/arbitrary-record.ts";
import * as some from "./arbitrary-cluster.ts";
import { bytesOf } from "./causality-decoders.ts";
import { type Decoder, decoder, encoded, readAll, REFUSED } from "./decoder.ts";

const { bytes, nodeId, u32, whole } = some;
const flag = fc.boolean();

// The ring.

const changeOf = (change: LayoutChange): Uint8Array =>
  encoded((writer) => writeChange(writer, change));
const ballot = fc.record({ round: whole, node: nodeId });
const proposal = fc.record({ layout: some.layout, lost: fc.array(nodeId, { maxLength: 3 }) });
const question: fc.Arbitrary<votes.Question> = fc
  .record({
    phase: fc.integer({ min: 1, max: 3 }),
    baseVersion: whole,
    baseHash: u32,
    ballot,
    proposal,
  })
  .map((one) => ({ ...one, proposal: one.phase === 2 ? one.proposal : undefined }));
const vote: fc.Arbitrary<votes.Vote> = fc.record({
  isGranted: flag,
  promised: ballot,
  accepted: fc.option(fc.record({ ballot, proposal }), { nil: undefined }),
});
const life = fc.record({ beforeMs: whole, startedMs: whole, nowMs: whole });
const formed = some.layoutState.map((layouts) => ({
  clusterId: some.CLUSTER_ID,
  clusterSecret: some.CLUSTER_ID,
  layouts,
}));

const ring: readonly Decoder[] = [
  decoder({
    name: "layout",
    covers: ["ring/layout.ts decodeLayout", "ring/layout.ts readMember", "ring/layout.ts readText"],
    valid: some.layout.map(encodeLayout),
    decode: decodeLayout,
    encode: encodeLayout,
    refusals: ["decode"],
  }),
  decoder({
    name: "layout state",
    covers: ["ring/layout-state.ts decode", "ring/layout-state-codec.ts decodeFacts"],
    valid: some.layoutState.map((state) => state.encode().slice()),
    decode: (input) => {
      const state = LayoutState.decode(input);
      // What is done with one that has come: looked at, and joined with our own.
      void [state.hash, state.readLayout, state.members, state.staged, state.lost];
      if (state.merge(state) !== state) throw new Error("joined with itself it is another");
      return state.retired().merge(state).encode().slice();
    },
    encode: (bytesOfState: Uint8Array) => bytesOfState,
    refusals: ["decode"],
    allocationBytes: 1024 * 1024,
  }),
  decoder({
    name: "staged change",
    covers: ["ring/staged-changes.ts readChange"],
    valid: some.change.map(changeOf),
    decode: (input) => readAll(input, readChange),
    encode: changeOf,
    refusals: ["decode"],
  }),
  decoder({
    name: "question of a vote",
    covers: ["cluster/layout-vote.ts decodeQuestion"],
    valid: question.map(votes.encodeQuestion),
    decode: votes.decodeQuestion,
    encode: votes.encodeQuestion,
    refusals: ["decode"],
  }),
  decoder({
    name: "vote",
    covers: ["cluster/layout-vote.ts decodeVote"],
    valid: vote.map(votes.encodeVote),
    decode: votes.decodeVote,
    encode: votes.encodeVote,
    refusals: ["decode"],
  }),
  decoder({
    name: "knock",
    covers: ["cluster/formation.ts decodeVisitor"],
    valid: fc
      .tuple(some.layoutMember, fc.string({ maxLength: 10 }))
      .map(([member, replaces]) => encodeVisitor(member, replaces)),
    decode: decodeVisitor,
    encode: ({ visitor, replaces }: Visitor) => encodeVisitor(visitor, replaces),
    refusals: ["bad-request"],
  }),
  decoder({
    name: "answer to a knock",
    covers: ["cluster/formation.ts decodeAnswer"],
    valid: fc
      .tuple(fc.oneof(formed, some.layoutMember), life)
      .map(([answer, times]) => encodeAnswer(answer, times)),
    decode: (input) => {
      const { answer, life: times } = decodeAnswer(input);
      return encodeAnswer(answer, times);
    },
    encode: (answer: Uint8Array) => answer,
    refusals: ["decode"],
    allocationBytes: 1024 * 1024,
  }),
  decoder({
    name: "join",
    covers: ["cluster/layout-join.ts decodeJoin"],
    valid: fc
      .record({
        member: some.layoutMember,
        isApplied: flag,
        replaces: fc.string({ maxLength: 10 }),
      })
      .map(encodeJoin),
    decode: decodeJoin,
    encode: encodeJoin,
    refusals: ["decode"],
  }),
];

// Buckets, hints, trees.

const properties = fc.record(
  {
    n: fc.integer({ min: 1, max: 15 }),
    conflicts: fc.constantFrom("siblings" as const, "lww" as const),
    strict: flag,
    ttl: fc.nat(1000),
  },
  { requiredKeys: [] },
);
const entry: fc.Arbitrary<BucketEntry> = fc.record({
  name: fc.stringMatching(/^[a-z0-9]{1,20}$/),
  hlc: whole,
  node: nodeId,
  explicit: properties,
  isDeleted: flag,
  copiesSince: whole,
});
const hint: fc.Arbitrary<Hint> = fc.record({
  storedAtMs: whole,
  sides: fc.array(fc.record({ key: bytes, value: bytes }), { maxLength: 3 }),
  record: arbitraryRecord.map(bytesOf),
});
const LEAF_COUNT = 4096;
const LEAF_BYTES = 8;
const TREES_MAX = 256;
const BASIS = 99;
const forest = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(LEAF_COUNT - 1), u32, u32), {
    maxLength: 6,
  })
  .map((entries) => {
    const made = new MerkleForest(LEAF_COUNT);
    for (const one of entries) made.toggle(...one);
    return encodeForest(BASIS, { forest: made, builtAtMs: 1000 });
  });

/** Roots by number of copies. An empty tree is as good as none. */
function contentOf({ trees }: MerkleForest): [copies: number, root: number[]][] {
  const roots = [...trees].map(([copies, tree]): [number, number[]] => [copies, [...tree.root()]]);
  return roots.filter(([, [low, high]]) => low !== 0 || high !== 0);
}

const kept: readonly Decoder[] = [
  decoder({
    name: "bucket entry",
    covers: ["cluster/bucket-entry.ts decodeEntry"],
    valid: entry.map(encodeEntry),
    decode: (input) => decodeEntry("demo", input),
    encode: encodeEntry,
    refusals: ["decode"],
  }),
  decoder({
    name: "bucket entries",
    covers: ["cluster/bucket-entry.ts decodeEntries"],
    valid: fc.array(entry, { maxLength: 3 }).map(encodeEntries),
    decode: decodeEntries,
    encode: encodeEntries,
    refusals: ["decode"],
  }),
  decoder({
    name: "hint",
    covers: ["cluster/hint-format.ts decodeHint", "cluster/replica-store.ts decodeStored"],
    valid: hint.map(encodeHint),
    decode: decodeHint,
    encode: encodeHint,
    refusals: ["data-corrupt"],
  }),
  decoder({
    name: "two hints",
    covers: ["cluster/hint-format.ts decodeHint"],
    valid: hint.map(encodeHint),
    decode: (input) => {
      const decoded = decodeHint(input);
      return mergeHints(decoded, decoded).storedAtMs;
    },
    refusals: ["data-corrupt", "decode"],
  }),
  decoder({
    name: "Merkle trees",
    covers: ["cluster/merkle-store.ts decodeForest"],
    valid: forest,
    decode: (input) => {
      const saved = decodeForest(input, LEAF_COUNT, BASIS);
      return saved === undefined ? REFUSED : contentOf(saved.forest);
    },
    allocationBytes: TREES_MAX * LEAF_COUNT * LEAF_BYTES,
    refusals: [],
  }),
];

export const RING_DECODERS: readonly Decoder[] = [...ring, ...kept];
