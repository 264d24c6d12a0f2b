/** Old states after a collection (R27, R42): late hints and packets, old replicas, restored backups. None of them brings a deleted value back (I5). */
import { expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { type Record, decodeRecord } from "../../src/causality/record.ts";
import { encodeState } from "../../src/cluster/join-states.ts";
import type { MergeMessage, PeerReply } from "../../src/cluster/peer-messages.ts";
import { CorruptionError } from "../../src/base/errors.ts";
import { equalBytes } from "../../src/base/bytes.ts";
import { SUSPECTS_KEPT_MS } from "../../src/cluster/suspect-store.ts";
import type { Suspects } from "../../src/cluster/suspects.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import {
  GC_DELAY_MS,
  collectAll,
  copiesOf,
  deletionsOf,
  sleep,
  startCollecting,
} from "../support/collecting-cluster.ts";
import { HOUR_MS, type ManyNode, type ManyNodes } from "../support/many-nodes.ts";

const suspectsOf = (node: ManyNode): Suspects => deletionsOf(node).suspects;

/** `k` has been written, deleted and collected everywhere; what its first owner held when it had the value. */
async function collected(count = 3): Promise<{ cluster: ManyNodes; old: Uint8Array }> {
  const cluster = await startCollecting(count);
  const [first] = cluster.walk("k");
  await cluster.run(first!.put("k", "old"));
  const old = encodeState(first!.recordOf("k"));
  await cluster.run(first!.delete("k"));
  await cluster.pass(100);
  await sleep(cluster, GC_DELAY_MS + HOUR_MS);
  expect((await collectAll(cluster)).collected).toBe(1);
  return { cluster, old };
}

function merged(
  cluster: ManyNodes,
  to: ManyNode,
  from: ManyNode,
  record: Uint8Array,
  purpose: MergeMessage["purpose"],
  key = "k",
): Promise<PeerReply> {
  const { internalKey } = cluster.address(key);
  const how = { isConditional: false, side: undefined } as const;
  return cluster.run(to.ask({ kind: "merge", internalKey, record, purpose, ...how }, from));
}

const textOf = (reply: PeerReply): string => (reply.kind === "failed" ? reply.code : reply.kind);

/** Puts a record under the key as if it had always been there. */
function plant(cluster: ManyNodes, node: ManyNode, record: Uint8Array, key = "k"): Promise<void> {
  const { internalKey } = cluster.address(key);
  return cluster.run(node.opened.store.apply(new WriteBatch().put(internalKey, record)));
}

test("R27, I5: a late hint brings nothing back; it is taken into the side table, so that its sender can let go of it", async () => {
  const { cluster, old } = await collected(5);
  const [first, second] = cluster.walk("k");
  const sender = cluster.walk("k")[4]!;
  expect(textOf(await merged(cluster, first!, sender, old, "handoff"))).toBe("stored");
  expect(copiesOf(cluster, "k")).toEqual(["", "", "", "", ""]);
  expect(suspectsOf(first!).quarantine.list(undefined, 10)).toHaveLength(1);
  expect(suspectsOf(first!).counters.resurrections).toBe(1);
  expect(await cluster.run(second!.values("k"))).toEqual([]);
  await cluster.close();
});

test.each(["write", "repair"] as const)(
  "R42, I5: a late packet (%s) is refused, with nothing stored under the key",
  async (purpose) => {
    const { cluster, old } = await collected(5);
    for (const owner of cluster.walk("k").slice(0, 3)) {
      const reply = await merged(cluster, owner, cluster.walk("k")[4]!, old, purpose);
      expect(textOf(reply)).toBe("suspect-state");
    }
    expect(copiesOf(cluster, "k")).toEqual(["", "", "", "", ""]);
    await cluster.close();
  },
);

test("R42: what is newer than the floor costs no question, also after collections", async () => {
  const { cluster } = await collected();
  const before = cluster.countSent("repair");
  await cluster.run(cluster.nodes[0]!.put("k", "new"));
  await cluster.run(cluster.nodes[0]!.put("another", "new"));
  await cluster.pass(100);
  expect(cluster.countSent("repair")).toBe(before);
  expect(copiesOf(cluster, "k")).toEqual(["new", "new", "new"]);
  await cluster.close();
});

/** A value older than the floor of its partition that only some of the owners have. */
async function hole(holders: number): Promise<{ cluster: ManyNodes; record: Uint8Array }> {
  const cluster = await startCollecting(3);
  const owners = cluster.walk("real");
  await cluster.run(owners[0]!.put("real", "v"));
  await cluster.pass(100);
  const record = encodeState(owners[0]!.recordOf("real"));
  const { partition, internalKey } = cluster.address("real");
  for (const owner of owners.slice(holders))
    await cluster.run(owner.opened.store.apply(new WriteBatch().delete(internalKey)));
  await sleep(cluster, GC_DELAY_MS);
  for (const owner of owners)
    deletionsOf(owner).facts.learnFloor(partition, newest(decodeRecord(record)) + 5);
  return { cluster, record };
}

const newest = (record: Record): number => Math.max(...record.map(({ counterMax }) => counterMax));

test("R42: what a quorum of the owners has is a hole of ours, and is filled", async () => {
  const { cluster, record } = await hole(2);
  for (const node of cluster.nodes) await deletionsOf(node).facts.resetOwnedSince();
  const [, second, third] = cluster.walk("real");
  expect(textOf(await merged(cluster, third!, second!, record, "repair", "real"))).toBe("stored");
  expect(copiesOf(cluster, "real")).toEqual(["v", "v", "v"]);
  await cluster.close();
});

test("R42: what one owner has that has held the partition without a gap is real, and is applied everywhere", async () => {
  const { cluster, record } = await hole(1);
  const [first, second, third] = cluster.walk("real");
  for (const node of [second!, third!]) {
    await deletionsOf(node).facts.resetOwnedSince();
    expect(textOf(await merged(cluster, node, first!, record, "repair", "real"))).toBe("stored");
  }
  expect(copiesOf(cluster, "real")).toEqual(["v", "v", "v"]);
  // It stands by itself, too.
  expect(await cluster.run(suspectsOf(first!).review(cluster.address("real").internalKey))).toBe(
    "kept",
  );
  await cluster.close();
});

test("R42: a read meets it, and its repair asks the others before it mends the hole", async () => {
  const { cluster } = await hole(1);
  const [, second] = cluster.walk("real");
  expect(await cluster.run(second!.values("real", { level: "ALL" }))).toEqual(["v"]);
  await cluster.pass(500);
  expect(copiesOf(cluster, "real")).toEqual(["v", "v", "v"]);
  await cluster.close();
});

test("R42: while too few owners answer nothing is decided: the sender keeps it and comes again", async () => {
  const { cluster, record } = await hole(2);
  for (const node of cluster.nodes) await deletionsOf(node).facts.resetOwnedSince();
  const [first, second, third] = cluster.walk("real");
  cluster.intercept = ({ to, request }) =>
    request.kind === "repair" && (to === first || to === second) ? "refused" : undefined;
  expect(textOf(await merged(cluster, third!, second!, record, "handoff", "real"))).toBe(
    "unavailable",
  );
  expect(third!.stored("real")).toEqual([]);
  cluster.intercept = undefined;
  expect(textOf(await merged(cluster, third!, second!, record, "handoff", "real"))).toBe("stored");
  expect(third!.stored("real")).toEqual(["v"]);
  await cluster.close();
});

test("R4, R42: an owner that is syncing has no vote", async () => {
  const { cluster, old } = await collected();
  const [first, second, third] = cluster.walk("k");
  cluster.setPhase("syncing", second!, third!);
  expect(textOf(await merged(cluster, first!, second!, old, "handoff"))).toBe("unavailable");
  expect(suspectsOf(first!).quarantine.held.count).toBe(0);
  await cluster.close();
});

test("R42: an old state joined with a new write is taken apart: the write stays, the old value does not come back", async () => {
  const { cluster, old } = await collected(5);
  const [first] = cluster.walk("k");
  const other = cluster.walk("k")[4]!;
  await cluster.run(first!.put("k", "new"));
  const both = [...decodeRecord(old), ...first!.recordOf("k")]
    .filter((entry, i, all) => all.findIndex(({ actor }) => actor === entry.actor) === i)
    .map((entry) => ({ ...entry, actor: entry.actor }));
  // The minter is one actor, so its own later dot covers the old one; give the old value to a foreign one.
  const foreign = decodeRecord(old).map((entry) => ({
    ...entry,
    actor: `${other.id}00000001` as (typeof entry)["actor"],
  }));
  const record = encodeState(
    [...foreign, ...both.filter(({ counterMax }) => counterMax > newest(decodeRecord(old)))].sort(
      (a, b) => (a.actor < b.actor ? -1 : 1),
    ),
  );
  expect(textOf(await merged(cluster, first!, other, record, "handoff"))).toBe("stored");
  expect(first!.stored("k")).toEqual(["new"]);
  const kept = suspectsOf(first!).quarantine.list(undefined, 10);
  expect(kept.map(({ broughtBy }) => broughtBy)).toEqual([other.id]);
  await cluster.close();
});

test("R42: what an owner knows to be superseded is left to that owner, and not kept for anybody", async () => {
  const { cluster, record } = await hole(2);
  const [first, second, third] = cluster.walk("real");
  await cluster.run(second!.delete("real", { level: "ONE", context: "" }));
  for (const node of [first!, third!])
    await cluster.run(
      node.opened.store.apply(new WriteBatch().delete(cluster.address("real").internalKey)),
    );
  expect(textOf(await merged(cluster, third!, first!, record, "repair", "real"))).toBe("stored");
  expect(third!.stored("real")).toEqual([]);
  expect(suspectsOf(third!).counters.superseded).toBe(1);
  expect(suspectsOf(third!).quarantine.held.count).toBe(0);
  await cluster.close();
});

test("R43, R42, row 93: an old replica that is not believed withdraws what nobody can vouch for, and the copies are equal", async () => {
  const { cluster, old } = await collected();
  const [first, second, third] = cluster.walk("k");
  await plant(cluster, third!, old);
  await deletionsOf(third!).facts.resetOwnedSince();
  const real = await cluster.run(third!.put("real", "v"));
  expect(real).toBeDefined();
  for (const other of [first!, second!])
    expect(textOf(await merged(cluster, other, third!, old, "repair"))).toBe("suspect-state");
  const { internalKey } = cluster.address("k");
  expect(await cluster.run(suspectsOf(third!).review(internalKey))).toBe("withdrawn");
  expect(await cluster.run(suspectsOf(third!).review(internalKey))).toBe("kept");
  expect(copiesOf(cluster, "k")).toEqual(["", "", ""]);
  expect(await cluster.run(third!.values("real"))).toEqual(["v"]);
  const [kept] = suspectsOf(third!).quarantine.list(undefined, 10);
  expect(kept!.broughtBy).toBe(third!.id);
  await cluster.close();
});

test("R43: a review without a quorum changes nothing", async () => {
  const { cluster, old } = await collected();
  const [first, second, third] = cluster.walk("k");
  await plant(cluster, third!, old);
  await deletionsOf(third!).facts.resetOwnedSince();
  cluster.down(first!, second!);
  const review = cluster.run(suspectsOf(third!).review(cluster.address("k").internalKey));
  expect(await review.catch((thrown: { code: string }) => thrown.code)).toBe("unavailable");
  expect(third!.stored("k")).toEqual(["old"]);
  await cluster.close();
});

test("R42: the operator can accept what was set aside: it comes to all owners, once", async () => {
  const { cluster, old } = await collected(5);
  const [first, second] = cluster.walk("k");
  await merged(cluster, first!, cluster.walk("k")[4]!, old, "handoff");
  await merged(cluster, second!, cluster.walk("k")[4]!, old, "handoff");
  const { internalKey } = cluster.address("k");
  expect(await cluster.run(suspectsOf(first!).accept(internalKey))).toBe(true);
  expect(copiesOf(cluster, "k").slice(0, 3)).toEqual(["old", "old", "old"]);
  for (const node of [first!, second!]) expect(suspectsOf(node).quarantine.held.count).toBe(0);
  expect(await cluster.run(suspectsOf(first!).accept(internalKey))).toBe(false);
  await cluster.close();
});

test("R42: what was set aside is there after a restart, and goes after thirty days", async () => {
  const { cluster, old } = await collected(5);
  const [first] = cluster.walk("k");
  await merged(cluster, first!, cluster.walk("k")[4]!, old, "handoff");
  await cluster.run(first!.restart());
  const { quarantine } = suspectsOf(first!);
  expect(quarantine.held.count).toBe(1);
  const nowMs = first!.coordinator.nowMs();
  expect(await cluster.run(quarantine.sweep(nowMs))).toBe(0);
  expect(await cluster.run(quarantine.sweep(nowMs + SUSPECTS_KEPT_MS + 1))).toBe(1);
  expect(quarantine.held).toEqual({ count: 0, bytes: 0 });
  await cluster.close();
});

test("R42: an import of an old state into a cluster that has collected it is told that it is suspect", async () => {
  const { cluster, old } = await collected();
  const [first] = cluster.walk("k");
  const { coordinator } = first!;
  const { bucket, address } = first!.coordinator.locate(cluster.address("k").internalKey);
  const merge = coordinator.replica.merge(bucket, address, decodeRecord(old), coordinator.nowMs());
  const code = await cluster.run(
    Promise.resolve(merge).catch((thrown: { code: string }) => thrown.code),
  );
  expect(code).toBe("suspect-state");
  expect(first!.stored("k")).toEqual([]);
  await cluster.close();
});

test("R42, row 80: what damage has left of a collected key is judged by the others, though it cannot be read here", async () => {
  const { cluster, old } = await collected();
  const [first] = cluster.walk("k");
  const { coordinator, opened } = first!;
  const { internalKey } = cluster.address("k");
  const { bucket, address } = coordinator.locate(internalKey);
  const get = opened.store.get.bind(opened.store);
  opened.store.get = (key) => {
    if (equalBytes(key, internalKey)) throw new CorruptionError("lost", "", -1);
    return get(key);
  };
  const source = { node: first!.id, purpose: "exchange", ownedSince: 0 } as const;
  const how = { isHealing: true, source };
  const merge = coordinator.replica.merge(
    bucket,
    address,
    decodeRecord(old),
    coordinator.nowMs(),
    how,
  );
  const code = await cluster.run(
    Promise.resolve(merge).catch((thrown: { code: string }) => thrown.code),
  );
  expect(code).toBe("suspect-state");
  await cluster.close();
});

test.each([1, 2, 3, 4, 5, 6])(
  "I5: whatever old states come back, however late and to whom, nothing that was deleted is read again, seed %d",
  async (seed) => {
    const prng = new Prng(`resurrection/${seed}`);
    const cluster = await startCollecting(5);
    const keys = Array.from({ length: 12 }, (_, i) => `k${i}`);
    const olds = new Map<string, Uint8Array[]>();
    const faulty = (): void => {
      const victim = prng.below(8);
      cluster.intercept = ({ to, request }) => {
        const isHit = to.index === victim && request.kind !== "coordinate";
        return isHit ? (["lost", "refused", "mute", "cut"] as const)[seed % 4] : undefined;
      };
    };
    const seen = (key: string): void => {
      for (const node of cluster.walk(key).slice(0, 3)) {
        const record = node.recordOf(key);
        if (record.length > 0) olds.set(key, [...(olds.get(key) ?? []), encodeState(record)]);
      }
    };
    for (const key of keys) {
      const node = cluster.nodes[prng.below(5)]!;
      for (let i = 0; i <= prng.below(3); i++) await cluster.run(node.put(key, `${key}/${i}`));
      await cluster.pass(50);
      seen(key);
    }
    for (const key of keys) {
      const node = cluster.nodes[prng.below(5)]!;
      const { context } = await cluster.run(node.get(key, { level: "ALL" }));
      await cluster.run(node.delete(key, { context }));
    }
    await cluster.pass(1000);
    await sleep(cluster, GC_DELAY_MS + HOUR_MS);
    for (let round = 0; round < 6; round++) {
      faulty();
      await collectAll(cluster);
      if (prng.chance(0.5)) {
        cluster.intercept = undefined;
        const node = cluster.nodes[prng.below(5)]!;
        await cluster.run(node.restart());
        await cluster.run(deletionsOf(node).ownershipChanged());
      }
      for (let i = 0; i < 12; i++) {
        const key = keys[prng.below(keys.length)]!;
        const to = cluster.walk(key)[prng.below(3)]!;
        const record = olds.get(key)![prng.below(olds.get(key)!.length)]!;
        const purpose = (["write", "repair", "handoff"] as const)[prng.below(3)]!;
        await merged(cluster, to, cluster.nodes[prng.below(5)]!, record, purpose, key);
        expect(to.stored(key).filter((value) => value !== "-")).toEqual([]);
      }
    }
    cluster.intercept = undefined;
    await collectAll(cluster);
    await collectAll(cluster);
    for (const key of keys) {
      expect(copiesOf(cluster, key)).toEqual(["", "", "", "", ""]);
      expect(await cluster.run(cluster.nodes[0]!.values(key, { level: "ALL" }))).toEqual([]);
    }
    await cluster.close();
  },
  20_000,
);
