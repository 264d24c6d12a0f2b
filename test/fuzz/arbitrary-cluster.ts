/** Random members, layouts and what nodes tell of each other. */
import fc from "fast-check";
import type { NodeId } from "../../src/gossip/member.ts";
import type { Member, MemberRecord } from "../../src/gossip/member.ts";
import {
  type Heartbeat,
  HEARTBEATS_MAX,
  type Message,
  type MessageHead,
  MessageWriter,
} from "../../src/gossip/message.ts";
import { encodeUpdate, type Update } from "../../src/gossip/update.ts";
import { assignLayout } from "../../src/ring/assignment.ts";
import type { Layout, LayoutMember } from "../../src/ring/layout.ts";
import { LayoutState } from "../../src/ring/layout-state.ts";
import type { LayoutChange } from "../../src/ring/staged-changes.ts";
import { arbitraryMembers, memberOf } from "../ring/ring-fixtures.ts";
import { arbitrarySteps, LayoutWorld } from "../ring/layout-world.ts";

export const CLUSTER_ID = new Uint8Array(16).fill(7);

export const bytes = fc.uint8Array({ maxLength: 24 });
export const u32 = fc.integer({ min: 0, max: 0xffffffff });
export const whole = fc.oneof(fc.nat(1000), fc.maxSafeNat());
export const nodeId: fc.Arbitrary<NodeId> = fc
  .uint8Array({ minLength: 8, maxLength: 8 })
  .map((id) => id.toHex());
const text = (max: number): fc.Arbitrary<string> =>
  fc.string({ maxLength: max, unit: "binary-ascii" });

// Gossip.

const record: fc.Arbitrary<MemberRecord> = fc.record({
  id: nodeId,
  name: text(20),
  peerAddress: text(30),
  clientAddress: text(30),
  zone: fc.record({ dc: text(8), rack: text(8), host: text(8) }),
  weight: fc.nat(100_000).map((thousandths) => thousandths / 1000),
  incarnation: whole,
  version: whole,
  phase: fc.constantFrom("syncing", "serving", "leaving", "left"),
  layoutVersion: whole,
  layoutHash: u32,
  bucketsHash: u32,
});

export const update: fc.Arbitrary<Update> = fc.oneof(
  fc.record({ kind: fc.constant("record" as const), record }),
  fc.record({
    kind: fc.constantFrom("suspect" as const, "down" as const),
    id: nodeId,
    incarnation: whole,
    by: nodeId,
  }),
);

const head: fc.Arbitrary<MessageHead> = fc.record({
  kind: fc.constantFrom("ping", "ack", "ping-request", "indirect-ack", "news"),
  wantsRecord: fc.boolean(),
  isReached: fc.boolean(),
  sender: nodeId,
  target: nodeId,
  sequence: u32,
  incarnation: whole,
  version: whole,
  heartbeat: whole,
  digest: u32,
});
const heartbeat: fc.Arbitrary<Heartbeat> = fc.record({
  id: nodeId,
  generation: whole,
  heartbeat: whole,
});

export const datagram: fc.Arbitrary<Uint8Array> = fc
  .record({
    head,
    updates: fc.array(update, { maxLength: 4 }),
    heartbeats: fc.array(heartbeat, { maxLength: HEARTBEATS_MAX }),
  })
  .map(({ head: its, updates, heartbeats }) => datagramOf({ ...its, updates, heartbeats }));

/** Updates for which there is no room stay behind. */
export function datagramOf(message: Message): Uint8Array {
  const writer = new MessageWriter(CLUSTER_ID);
  writer.begin(message);
  for (const one of message.updates) writer.addUpdate(encodeUpdate(one));
  return writer.finish(message.heartbeats);
}

export const memberTable: fc.Arbitrary<Member[]> = fc.array(
  fc.record({ record, liveness: fc.constantFrom("alive", "suspect", "down") }),
  { maxLength: 3 },
);

// The ring.

const layoutWith = (members: readonly LayoutMember[], version: number): Layout =>
  assignLayout({ version, q: 16, n: Math.min(3, members.length), members });

export const layoutMember: fc.Arbitrary<LayoutMember> = fc
  .tuple(fc.nat(9), text(8), fc.integer({ min: 1, max: 1000 }))
  .map(([index, rack, weight]) => memberOf(index, { rack }, weight));

export const layout: fc.Arbitrary<Layout> = fc
  .tuple(
    arbitraryMembers().map((members) => members.slice(0, 6)),
    fc.integer({ min: 1, max: 2 ** 40 }),
    fc.option(fc.record({ bucket: text(8), n: fc.integer({ min: 1, max: 16 }) }), {
      nil: undefined,
    }),
  )
  .map(([members, version, copies]) => ({
    ...layoutWith(members.length === 0 ? [memberOf(0)] : members, version),
    ...(copies && { copies: { ...copies, before: 3 } }),
  }));

export const change: fc.Arbitrary<LayoutChange> = fc.oneof(
  fc.record({
    kind: fc.constantFrom("none" as const, "leave" as const, "remove" as const),
    node: nodeId,
  }),
  layoutMember.map((member): LayoutChange => ({ kind: "join", member })),
  fc
    .tuple(layoutMember, nodeId)
    .map(([member, replaces]): LayoutChange => ({ kind: "join", member, replaces })),
  fc
    .tuple(nodeId, layoutMember)
    .map(([node, { weight, zone }]): LayoutChange => ({ kind: "update", node, weight, zone })),
);

/** States that nodes come to which change the ring together. */
export const layoutState: fc.Arbitrary<LayoutState> = fc
  .tuple(arbitrarySteps(30), fc.boolean(), fc.nat(1000))
  .map(([steps, isForced, at]) => {
    const { seen } = new LayoutWorld({ isForced }).run(steps);
    return seen[at % seen.length]!;
  });
