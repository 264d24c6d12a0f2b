/** Deadlines, durability, sessions, stopping: what a coordinator promises around a replica. */
import { expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import type { Store } from "../../src/storage/store.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { GET, ONE, OneNode, codeOf, errorOf, valuesOf } from "../support/one-node.ts";

/** A store whose syncs end when the test says so. */
class SlowSync implements ReplicaStore {
  readonly store: Store;
  isStuck = false;
  failWith: HutchError | undefined;
  /** Entries of the last batch. */
  lastCount = 0;
  private release: (() => void)[] = [];

  constructor(store: Store) {
    this.store = store;
  }

  get failure() {
    return this.store.failure;
  }
  admit(purpose?: "put" | "delete") {
    return this.store.admit(purpose);
  }
  get(key: Uint8Array) {
    return this.store.get(key);
  }
  snapshot() {
    return this.store.snapshot();
  }
  reportDamage(error: unknown) {
    this.store.reportDamage(error);
  }
  async apply(batch: Parameters<Store["apply"]>[0]): Promise<void> {
    this.lastCount = batch.count;
    const applied = this.store.apply(batch);
    if (this.isStuck) await new Promise<void>((resolve) => this.release.push(resolve));
    if (this.failWith !== undefined) throw this.failWith;
    await applied;
  }
  whenDurable(sequence: number) {
    if (!this.isStuck) return this.store.whenDurable(sequence);
    return new Promise<void>((resolve) => this.release.push(resolve));
  }
  go(): void {
    this.isStuck = false;
    for (const resolve of this.release.splice(0)) resolve();
  }
}

async function slowNode(): Promise<{ node: OneNode; slow: SlowSync }> {
  let slow!: SlowSync;
  const node = await OneNode.start({ wrap: (store) => (slow = new SlowSync(store)) });
  return { node, slow };
}

/** Lets all promise jobs run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}

test("row 87, R5: a write whose sync is late is 504 write-indeterminate with its acks, and may become visible", async () => {
  const { node, slow } = await slowNode();
  slow.isStuck = true;
  const write = errorOf(node.put("k", "v", { timeoutMs: 250 }));
  await settle();
  node.clock.advance(300);
  expect(await write).toMatchObject({
    code: "write-indeterminate",
    retry: "safe-with-idempotency-key",
    data: { acks: [{ node: "n1", role: "primary", result: "timeout" }], required: 1 },
  });
  slow.go();
  expect(await node.values("k")).toEqual(["v"]);
});

test("a read of what is not durable yet waits for it, or is 504 read-timeout", async () => {
  const { node, slow } = await slowNode();
  slow.isStuck = true;
  const write = node.put("k", "v");
  await settle();
  let answered = false;
  const read = node.get("k").then((result) => {
    answered = true;
    return result;
  });
  const late = codeOf(node.get("k", { timeoutMs: 20 }));
  node.clock.advance(50);
  expect(await late).toBe("read-timeout");
  expect(answered).toBe(false);
  slow.go();
  await write;
  expect(valuesOf(await read)).toEqual(["v"]);
});

test("a refusal that shows state waits until that state is durable", async () => {
  const { node, slow } = await slowNode();
  slow.isStuck = true;
  void node.put("k", "v");
  await settle();
  let isRefused = false;
  const condition = { kind: "if-none-match", etags: "*" } as const;
  const refused = codeOf(node.put("k", "w", { condition })).then((code) => {
    isRefused = true;
    return code;
  });
  await settle();
  expect(isRefused).toBe(false);
  slow.go();
  expect(await refused).toBe("precondition-failed");
});

test("a listing waits for what it shows and for what it leaves out", async () => {
  const { node, slow } = await slowNode();
  await node.put("k", "v");
  slow.isStuck = true;
  void node.delete("k");
  await settle();
  let isListed = false;
  const listed = node.list().then((page) => {
    isListed = true;
    return page;
  });
  await settle();
  expect(isListed).toBe(false);
  slow.go();
  expect((await listed).keys).toEqual([]);
});

test("row 85: a failed sync is 504 with the node's ack as failed", async () => {
  const { node, slow } = await slowNode();
  slow.failWith = new HutchError("write-indeterminate", "Cannot sync the log: EIO");
  const error = await errorOf(node.put("k", "v"));
  expect(error).toMatchObject({
    code: "write-indeterminate",
    data: { acks: [{ node: "n1", role: "primary", result: "failed" }] },
  });
});

test("row 88: a full disk is 507, and what the replica thought was stored is stored with the next write", async () => {
  const { node, slow } = await slowNode();
  slow.failWith = new HutchError("disk-full", "Cannot write: the disk is full", { retry: "safe" });
  expect(await codeOf(node.put("k", "v"))).toBe("disk-full");
  expect(node.coordinator.bucketNames()).toEqual([]);
  slow.failWith = undefined;
  await node.put("k", "v");
  // The record, the bucket and the clock's ceiling; from then on the record alone.
  expect(slow.lastCount).toBe(3);
  expect(node.coordinator.bucketNames()).toEqual(["demo"]);
  await node.put("k", "w");
  expect(slow.lastCount).toBe(1);
});

test("R46: X-Acks counts a copy as durable only where the mode syncs", async () => {
  const node = await OneNode.start();
  expect((await node.put("k", "v")).acks).toEqual({
    n: 1,
    ok: 1,
    primary: 1,
    hinted: 0,
    durable: 1,
  });
  const careless = await OneNode.start({ isDurable: false });
  expect((await careless.put("k", "v")).acks.durable).toBe(0);
  expect(await codeOf(careless.put("k", "v", { consistency: { ...ONE, dw: 1 } }))).toBe(
    "unavailable",
  );
});

test("R5: a level that cannot be reached is 503 before anything is written", async () => {
  const node = await OneNode.start();
  expect(await codeOf(node.put("k", "v", { consistency: { ...ONE, n: 2, w: 2 } }))).toBe(
    "unavailable",
  );
  expect(await node.values("k")).toEqual([]);
  expect(
    await codeOf(() =>
      node.coordinator.read("demo", utf8("k"), { ...GET, consistency: { ...ONE, n: 2, r: 2 } }),
    ),
  ).toBe("unavailable");
});

test("row 116: stopping refuses what comes and waits for what is in flight", async () => {
  const { node, slow } = await slowNode();
  slow.isStuck = true;
  const write = node.put("k", "v");
  await settle();
  let isStopped = false;
  const stopped = node.coordinator.stop().then(() => (isStopped = true));
  expect(await codeOf(node.put("k", "w"))).toBe("shutting-down");
  expect(await codeOf(() => node.coordinator.read("demo", utf8("k"), GET))).toBe("shutting-down");
  await settle();
  expect(isStopped).toBe(false);
  slow.go();
  await write;
  await stopped;
});

test("R7: a session carries what was written and read; a state that lacks it is session-unsatisfied", async () => {
  const node = await OneNode.start();
  const written = await node.put("k", "v", { session: "new" });
  const read = await node.get("k", { session: written.session });
  expect(read.session).not.toBe("");
  expect((await node.get("k")).session).toBe("");
  const empty = await OneNode.start();
  expect(await codeOf(empty.get("k", { session: read.session }))).toBe("session-unsatisfied");
  expect(await codeOf(empty.get("other", { session: read.session }))).toBe("accepted");
  expect(await codeOf(empty.get("k", { session: "garbage" }))).toBe("bad-session");
  expect(await codeOf(empty.put("k", "v", { session: "garbage" }))).toBe("bad-session");
  expect(await empty.values("k")).toEqual([]);
});

test("a context and a session are checked without a read or a write", async () => {
  const node = await OneNode.start();
  const { coordinator } = node;
  const { context, session } = await node.put("k", "v", { session: "new" });
  const codeOfCheck = (check: () => void) => codeOf((async () => check())());
  coordinator.checkContext("demo", utf8("k"), context);
  coordinator.checkSession("new");
  coordinator.checkSession(session);
  const other = () => coordinator.checkContext("demo", utf8("other"), context);
  expect(await codeOfCheck(other)).toBe("context-mismatch");
  const garbage = () => coordinator.checkContext("demo", utf8("k"), "garbage");
  expect(await codeOfCheck(garbage)).toBe("bad-context");
  expect(await codeOfCheck(() => coordinator.checkSession("garbage"))).toBe("bad-session");
});

test("a merge into a lww bucket answers how many concurrent values it dropped, side by side too", async () => {
  const from = await OneNode.start();
  await from.coordinator.setBucket("demo", "put", { blindPut: "sibling" });
  for (const value of ["1", "2", "3"]) await from.put("k", value);
  await from.put("l", "1");
  await from.put("l", "2");
  const into = await OneNode.start();
  await into.coordinator.setBucket("demo", "put", { conflicts: "lww" });
  const merges: Promise<number>[] = [];
  for await (const exported of from.coordinator.export("demo", utf8("")))
    merges.push(into.coordinator.importMerge("demo", exported));
  expect((await Promise.all(merges)).sort()).toEqual([1, 2]);
  for await (const exported of from.coordinator.export("demo", utf8("")))
    expect(await into.coordinator.importMerge("demo", exported)).toBe(0);
});

test("explain shows partition, owner, dots and state hash, also of an absent key", async () => {
  const node = await OneNode.start();
  const absent = await node.coordinator.explain("demo", utf8("k"));
  expect(absent.owners).toMatchObject([
    { node: "n1", role: "primary", dots: [], stateHash: "", hlc: "" },
  ]);
  const { state } = await node.put("k", "v");
  const { owners, partition, isEqual, fallbacks } = await node.coordinator.explain(
    "demo",
    utf8("k"),
  );
  expect(owners[0]!.dots).toEqual([state.siblings[0]!.dot]);
  expect(owners[0]!.stateHash).toMatch(/^[0-9a-f]{32}$/);
  expect(partition).toBe(node.coordinator.partitionOf("demo", utf8("k")));
  expect({ isEqual, fallbacks }).toEqual({ isEqual: true, fallbacks: [] });
});

test("a value in an answer is not a view that storage may reuse", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("demo", "put", { blindPut: "sibling" });
  await node.put("k", "first");
  const { state } = await node.put("k", "second");
  expect(valuesOf(state)).toEqual(["second", "first"]);
  // The memtable is shared memory.
  for (const { value } of state.siblings) expect(value.buffer).toBeInstanceOf(ArrayBuffer);
  const [listed] = (await node.list({ withValues: true })).keys;
  for (const { value } of listed!.state!.siblings) expect(value.buffer).toBeInstanceOf(ArrayBuffer);
});

test("row 95: a wall clock that jumps an hour forward refuses writes and expires nothing, until it is believed", async () => {
  const node = await OneNode.start();
  await node.put("k", "v", { expiry: { kind: "after", ttlMs: 1_800_000 } });
  node.clock.stepWall(3_600_000);
  expect(await codeOf(node.put("k", "w"))).toBe("clock-skew");
  expect(await node.values("k")).toEqual(["v"]);
  node.clock.stepWall(-3_600_000);
  expect(await codeOf(node.put("k", "w"))).toBe("accepted");
  node.clock.stepWall(3_600_000);
  expect(await codeOf(node.put("k", "x"))).toBe("clock-skew");
  node.clock.advance(61_000);
  expect(await codeOf(node.put("k", "x"))).toBe("accepted");
});

test("row 95: a wall clock that is set back an hour does not bring back what has expired", async () => {
  const node = await OneNode.start();
  await node.put("k", "v", { expiry: { kind: "after", ttlMs: 1000 } });
  node.clock.advance(2000);
  expect(await node.values("k")).toEqual(["-"]);
  node.clock.stepWall(-3_600_000);
  expect(await node.values("k")).toEqual(["-"]);
  await node.put("t", "v", { expiry: { kind: "after", ttlMs: 1000 } });
  node.clock.advance(2000);
  expect(await node.values("t")).toEqual(["-"]);
});
