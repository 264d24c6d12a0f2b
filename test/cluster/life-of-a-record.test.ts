/** Replica and storage together: what compaction keeps, and power losses. */
import { expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { retainEntries } from "../../src/causality/retention.ts";
import { IDEMPOTENCY_WINDOW_MS } from "../../src/cluster/idempotency.ts";
import { addressOf, bucketPrefix, partitionBitsOf } from "../../src/ring/partition.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { OneNode, codeOf } from "../support/one-node.ts";

test("R40, C26: compaction by itself forgets nothing but the memory of retries, however long the dead are dead", async () => {
  const clock = new ManualClock();
  const node = await OneNode.start({
    clock,
    retention: retainEntries,
    store: { retention: () => ({ nowMs: clock.wallMs() }) },
  });
  await node.put("live", "v", { idempotencyKey: "once" });
  await node.put("expired", "v", { expiry: { kind: "after", ttlMs: 1000 } });
  await node.delete("deleted");
  await node.opened.store.compact();
  // The three keys, the memory of the retry, the bucket, the clock's ceiling.
  expect(node.opened.store.stats().entryCount).toBe(6);
  clock.advance(365 * 86_400_000 + IDEMPOTENCY_WINDOW_MS);
  await node.opened.store.compact();
  expect(node.opened.store.stats().entryCount).toBe(5);
  expect((await node.get("deleted")).isTombstone).toBe(true);
  expect((await node.get("expired")).isTombstone).toBe(true);
  expect(await node.values("live")).toEqual(["v"]);
});

/** Per key: all values in the order written, and how many of them are known to be in. */
interface Written {
  readonly values: string[];
  acknowledged: number;
}

async function writeUntilPowerLoss(
  node: OneNode,
  life: number,
  prng: Prng,
  keys: Map<string, Written>,
): Promise<string[]> {
  const dots: string[] = [];
  for (let i = 0; i < 30; i++) {
    const key = `k${prng.below(8)}`;
    const written = keys.get(key) ?? { values: [], acknowledged: 0 };
    keys.set(key, written);
    const count = written.values.push(`${life}/${i}`);
    const write = node.put(key, written.values.at(-1)!).then(({ state }) => {
      written.acknowledged = Math.max(written.acknowledged, count);
      dots.push(state.siblings[0]!.dot);
    });
    if (prng.chance(0.5)) await write;
    else write.catch(() => undefined);
  }
  return dots;
}

test.each([1, 2, 3, 4, 5, 6, 7, 8])(
  "row 76, R11: no acknowledged write is lost to a power loss, and no dot is used twice, seed %d",
  async (seed) => {
    const prng = new Prng(`power/${seed}`);
    const clock = new ManualClock();
    const keys = new Map<string, Written>();
    const dots: string[] = [];
    let disk = new SimDisk({ seed });
    for (let life = 1; life <= 6; life++) {
      const node = await OneNode.start({ disk, clock, incarnation: life });
      for (const [key, { values, acknowledged }] of keys) {
        const [shown] = await node.values(key);
        // Something written later and not acknowledged may be there instead.
        if (acknowledged > 0) expect(values.slice(acknowledged - 1)).toContain(shown!);
      }
      dots.push(...(await writeUntilPowerLoss(node, life, prng, keys)));
      disk = disk.powerLoss("strict");
      clock.stepWall(-prng.below(5000));
    }
    expect(dots.length).toBeGreaterThan(30);
    expect(new Set(dots).size).toBe(dots.length);
  },
);

test("a record that passes its checksum and is none is data-corrupt, never an absent key", async () => {
  const node = await OneNode.start();
  await node.put("k", "v");
  const { internalKey } = addressOf(bucketPrefix("demo"), utf8("k"), partitionBitsOf(16));
  for (const garbage of [new Uint8Array(0), utf8("garbage"), new Uint8Array([2, 1, 2])]) {
    await node.opened.store.apply(new WriteBatch().put(internalKey, garbage));
    expect(await codeOf(node.get("k"))).toBe("data-corrupt");
    expect(await codeOf(node.put("k", "w"))).toBe("data-corrupt");
    expect(await codeOf(node.list())).toBe("data-corrupt");
  }
});
