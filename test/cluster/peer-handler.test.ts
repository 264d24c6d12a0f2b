/**
 * What a node does with what another one asks. Invariants, from R3, R4, R9, R12d, R18, R20, R24, R28, R32 and rows 63 to 66, 74:
 *
 *   - a merge is taken by owners only, and one that is refused has written nothing and moved no clock
 *   - a dot of ours from the future is refused; one of our past that we do not have means that we have forgotten: merge it, take another name (R12d)
 *   - an absence is authoritative from an owner that serves, and from nobody else
 *   - nothing that arrives is forwarded again, and nothing is minted but by `coordinate`
 *   - a hint for somebody who has said that it is alive again is not taken
 */
import { afterEach, expect, test } from "bun:test";
import { utf8 } from "../../src/base/bytes.ts";
import { makeActor } from "../../src/causality/actor.ts";
import { HLC_STEPS_PER_MS, hlcOfWallMs } from "../../src/causality/hlc.ts";
import { NO_METADATA } from "../../src/causality/payload.ts";
import type { Record } from "../../src/causality/record.ts";
import { idempotencyKeyOf } from "../../src/cluster/idempotency.ts";
import { encodeState } from "../../src/cluster/join-states.ts";
import type { HintMessage, MergeMessage, PeerReply } from "../../src/cluster/peer-messages.ts";
import { systemKey } from "../../src/cluster/replica-store.ts";
import { levelConsistency } from "../../src/quorum/parse-consistency.ts";
import { stateDigest } from "../../src/kernels/kernels.ts";
import { DRIFT_MAX_MS, type ManyNode, ManyNodes } from "../support/many-nodes.ts";
import { PUT } from "../support/one-node.ts";

let cluster: ManyNodes;
afterEach(() => cluster.close());

async function start(count: number): Promise<ManyNode[]> {
  cluster = await ManyNodes.start(count);
  return cluster.walk("k");
}

const STRANGER = makeActor(new Uint8Array(8).fill(0xee), 1);
const keyOf = (key = "k"): Uint8Array => cluster.address(key).internalKey;
const nowHlc = (): number => hlcOfWallMs(cluster.clock.wallMs());

function stateOf(value: string, counter = nowHlc(), actor = STRANGER): Record {
  const payload = {
    isTombstone: false,
    hlc: counter,
    expiresAtMs: 0,
    contentType: "",
    contentEncoding: "",
    meta: NO_METADATA,
    value: utf8(value),
  };
  return [{ actor, counterMax: counter, values: [{ counter, payload }] }];
}

function mergeOf(record: Record, changes: Partial<MergeMessage> = {}): MergeMessage {
  return {
    kind: "merge",
    internalKey: keyOf(),
    record: encodeState(record),
    purpose: "write",
    isConditional: false,
    side: undefined,
    ...changes,
  };
}

function hintOf(target: ManyNode, record: Record, changes: Partial<HintMessage> = {}): HintMessage {
  return {
    kind: "hint",
    target: target.id,
    targetIncarnation: target.incarnation,
    internalKey: keyOf(),
    record: encodeState(record),
    side: undefined,
    ...changes,
  };
}

const actorOf = (node: ManyNode, incarnation = node.dataIncarnation): Record[0]["actor"] =>
  makeActor(Uint8Array.fromHex(node.id), incarnation);

const ask = (node: ManyNode, request: Parameters<ManyNode["ask"]>[0]): Promise<PeerReply> =>
  cluster.run(
    node.ask(
      request,
      cluster.nodes.find((other) => other !== node)!,
    ),
  );

const readOf = (knownDigest: Uint8Array = new Uint8Array(0)) =>
  ({ kind: "read", internalKey: keyOf(), knownDigest }) as const;

test("row 63: a state for a partition of others is 409 not-owner with the layout's version, and nothing is written", async () => {
  const [, , , d] = await start(4);
  const { partition } = cluster.address("k");
  expect(await ask(d!, mergeOf(stateOf("v")))).toMatchObject({
    kind: "failed",
    code: "not-owner",
    data: { partition, layoutVersion: 1 },
  });
  expect(d!.stored("k")).toEqual([]);
});

test("row 63: the same state as a hint is taken", async () => {
  const [a, , , d] = await start(4);
  cluster.down(a!);
  expect(await ask(d!, hintOf(a!, stateOf("v")))).toEqual({ kind: "stored", isDurable: true });
  expect([d!.stored("k"), d!.hinted("k")]).toEqual([[], ["v"]]);
});

test("row 64: a dot of this node that it never gave out is 400 bad-dot, nothing is written and no clock moves", async () => {
  const [a] = await start(3);
  await a!.put("other", "v");
  const { last } = a!.coordinator.replica.clock;
  const future = stateOf("v", last + 100 * HLC_STEPS_PER_MS, actorOf(a!));
  expect(await ask(a!, mergeOf(future))).toMatchObject({ kind: "failed", code: "bad-dot" });
  expect(a!.stored("k")).toEqual([]);
  expect(a!.coordinator.replica.clock.last).toBe(last);
  expect(a!.amnesias).toBe(0);
});

test("row 66: a state from beyond the drift is 409 clock-skew; nothing is written and no clock moves", async () => {
  const [a, , , d] = await start(4);
  await a!.put("other", "v");
  const { last } = a!.coordinator.replica.clock;
  const ahead = stateOf("v", nowHlc() + (DRIFT_MAX_MS + 50) * HLC_STEPS_PER_MS);
  expect(await ask(a!, mergeOf(ahead))).toMatchObject({ kind: "failed", code: "clock-skew" });
  expect(await ask(d!, hintOf(a!, ahead))).toMatchObject({ kind: "failed", code: "clock-skew" });
  expect([a!.stored("k"), d!.hinted("k")]).toEqual([[], []]);
  expect(a!.coordinator.replica.clock.last).toBe(last);
});

test("R20: a state within the drift is taken, and the next write is stamped after it", async () => {
  const [a] = await start(3);
  const ahead = nowHlc() + (DRIFT_MAX_MS - 50) * HLC_STEPS_PER_MS;
  expect(await ask(a!, mergeOf(stateOf("v", ahead)))).toMatchObject({ kind: "stored" });
  await cluster.run(a!.put("k", "w"));
  expect(a!.stored("k")).toEqual(["w"]);
  expect(a!.recordOf("k").every(({ counterMax }) => counterMax >= ahead)).toBe(true);
});

/** A node whose copy has lost one key: it has minted it, and its disk says it never has. */
async function forgotten(): Promise<{ readonly a: ManyNode; readonly lost: Record }> {
  const [a] = await start(3);
  await a!.put("seen", "v");
  const lost = stateOf("lost", a!.coordinator.replica.clock.last, actorOf(a!));
  return { a: a!, lost };
}

test("R12d: a dot of this node's past that it does not have is merged, and it mints under another name from then on", async () => {
  const { a, lost } = await forgotten();
  expect(await ask(a, mergeOf(lost))).toMatchObject({ kind: "stored" });
  expect(a.amnesias).toBe(1);
  expect(a.stored("k")).toEqual(["lost"]);
  const before = a.recordOf("k")[0]!.actor;
  await cluster.run(a.put("k", "next"));
  const minter = a.recordOf("k").find(({ values }) => values.length > 0)!.actor;
  expect(minter).toBe(actorOf(a, 2));
  expect(minter).not.toBe(before);
});

test("R12d: the same when read repair or a read before a write finds it", async () => {
  const { a, lost } = await forgotten();
  const [, b, c] = cluster.walk("k");
  for (const node of [b, c]) await ask(node!, mergeOf(lost));
  await cluster.run(a.get("k", { level: "ALL" }));
  await cluster.pass(50);
  expect(a.amnesias).toBe(1);
  await cluster.close();
  const again = await forgotten();
  const others = cluster.walk("k").filter((node) => node !== again.a);
  for (const node of others) await ask(node, mergeOf(again.lost));
  const condition = { kind: "if-none-match", etags: "*" } as const;
  await cluster.run(again.a.put("k", "v", { condition }).catch(() => undefined));
  expect(again.a.amnesias).toBe(1);
});

test("R12d: what this node has is no amnesia, however often it comes back", async () => {
  const [a, b] = await start(3);
  await a!.put("k", "v");
  await a!.put("k", "w");
  await cluster.pass(50);
  for (const record of [a!.recordOf("k"), b!.recordOf("k")])
    expect(await ask(a!, mergeOf(record))).toMatchObject({ kind: "stored" });
  expect(a!.amnesias).toBe(0);
});

test("R18: a conditional merge is refused, with nothing written, by who holds something else", async () => {
  const [a] = await start(3);
  await ask(a!, mergeOf(stateOf("here")));
  const other = stateOf("new", nowHlc(), makeActor(new Uint8Array(8).fill(0xdd), 1));
  expect(await ask(a!, mergeOf(other, { isConditional: true }))).toMatchObject({
    kind: "failed",
    code: "precondition-failed",
  });
  expect(a!.stored("k")).toEqual(["here"]);
  expect(await ask(a!, mergeOf(stateOf("here"), { isConditional: true }))).toMatchObject({
    kind: "stored",
  });
});

test("R4: an absence is authoritative from an owner that serves, and from nobody else", async () => {
  const [a, b, , d] = await start(4);
  cluster.setPhase("syncing", b!);
  const said = async (node: ManyNode): Promise<unknown> => ask(node, readOf());
  expect(await said(a!)).toMatchObject({ state: "absent", isServing: true });
  expect(await said(b!)).toMatchObject({ state: "absent", isServing: false });
  expect(await said(d!)).toMatchObject({ state: "absent", isServing: false });
});

test("R4: a fallback shows what it keeps for others, joined over all of them", async () => {
  const [a, b, , d] = await start(4);
  cluster.down(a!, b!);
  await ask(d!, hintOf(a!, stateOf("1")));
  await ask(d!, hintOf(b!, stateOf("2", nowHlc(), makeActor(new Uint8Array(8).fill(0xdd), 1))));
  expect(await ask(d!, readOf())).toMatchObject({ state: "present", isServing: false });
  expect(d!.hinted("k")).toEqual(["1", "2"]);
});

test("R32: an equal state is answered without its bytes", async () => {
  const [a] = await start(3);
  await ask(a!, mergeOf(stateOf("v")));
  const digest = stateDigest(encodeState(a!.recordOf("k")));
  expect(await ask(a!, readOf(digest))).toMatchObject({ state: "same" });
  expect(await ask(a!, readOf(new Uint8Array(16)))).toMatchObject({ state: "present" });
});

test("D4: a hint for a node that has said since then that it is alive is refused", async () => {
  const [a, b, , d] = await start(4);
  cluster.down(a!);
  const late = hintOf(a!, stateOf("v"));
  cluster.up("syncing", a!);
  const asked = { kind: "hints-held", incarnation: a!.incarnation, isRepaired: false } as const;
  expect(await cluster.run(d!.ask(asked, a!))).toMatchObject({ count: 0, isIncomplete: false });
  expect(await ask(d!, late)).toMatchObject({ kind: "failed", code: "unavailable" });
  expect(await ask(d!, hintOf(b!, stateOf("v")))).toMatchObject({ kind: "stored" });
});

test("D4: hints-held tells how many there are", async () => {
  const [a, , , d] = await start(4);
  cluster.down(a!);
  await ask(d!, hintOf(a!, stateOf("v")));
  await ask(d!, hintOf(a!, stateOf("v"), { internalKey: keyOf("other") }));
  const asked = { kind: "hints-held", incarnation: a!.incarnation, isRepaired: false } as const;
  expect(await cluster.run(d!.ask(asked, a!))).toMatchObject({ count: 2 });
});

test("row 74: a record, a key or a bucket that cannot be is 400, and nothing is written", async () => {
  const [a, , , d] = await start(4);
  const garbage = new Uint8Array([9, 9]);
  const key = keyOf();
  const elsewhere = key.slice();
  elsewhere[1] = (elsewhere[1]! + 1) % 16;
  expect(await ask(a!, mergeOf(stateOf("v"), { record: garbage }))).toMatchObject({
    code: "bad-request",
  });
  expect(await ask(d!, hintOf(a!, stateOf("v"), { record: garbage }))).toMatchObject({
    code: "bad-request",
  });
  const keys: Uint8Array[] = [
    garbage,
    new Uint8Array(0),
    systemKey("fallback-incarnation"),
    elsewhere,
  ];
  keys.push(idempotencyKeyOf(key, "order"));
  for (const internalKey of keys) {
    expect(await ask(a!, mergeOf(stateOf("v"), { internalKey }))).toMatchObject({
      kind: "failed",
      code: "bad-request",
    });
    expect(await ask(d!, hintOf(a!, stateOf("v"), { internalKey }))).toMatchObject({
      kind: "failed",
      code: "bad-request",
    });
  }
  expect(a!.stored("k")).toEqual([]);
});

test("N3: the memory of a write comes with it, and is told to who asks", async () => {
  const [a, b] = await start(3);
  await cluster.run(a!.put("k", "v", { idempotencyKey: "order" }));
  await cluster.pass(50);
  const internalKey = idempotencyKeyOf(keyOf(), "order");
  const message = { kind: "read", internalKey, knownDigest: new Uint8Array(0) } as const;
  expect(await ask(b!, message)).toMatchObject({ kind: "record", state: "present" });
});

test("R9: coordinate mints once here and forwards to nobody; who may not mint refuses", async () => {
  const [a, b, , d] = await start(4);
  cluster.setPhase("syncing", b!);
  const message = {
    kind: "coordinate",
    bucket: "demo",
    key: utf8("k"),
    request: { ...PUT, value: utf8("v"), consistency: levelConsistency("QUORUM", 3, false) },
  } as const;
  for (const node of [b, d])
    expect(await ask(node!, message)).toMatchObject({ kind: "failed", code: "unavailable" });
  const reply = await ask(a!, message);
  expect(reply).toMatchObject({ kind: "coordinated", isReplay: false, acks: { n: 3 } });
  expect(a!.coordinator.counters.minted).toBe(1);
  expect(cluster.countSent("coordinate")).toBe(0);
});

test("R9: handoff, repair and merge mint nothing", async () => {
  const [a] = await start(3);
  for (const purpose of ["write", "repair", "handoff"] as const)
    await ask(a!, mergeOf(stateOf("v"), { purpose }));
  expect(a!.coordinator.counters.minted).toBe(0);
  expect(a!.recordOf("k")).toEqual(stateOf("v", a!.recordOf("k")[0]!.counterMax));
});

test("a node that is stopping takes no client's write from others", async () => {
  const [a] = await start(3);
  await a!.coordinator.stop();
  const message = {
    kind: "coordinate",
    bucket: "demo",
    key: utf8("k"),
    request: { ...PUT, consistency: levelConsistency("QUORUM", 3, false) },
  } as const;
  expect(await ask(a!, message)).toMatchObject({ kind: "failed", code: "shutting-down" });
});
