/** The store against a plain map, on the real disk: any mixture of operations, flushes, compactions and restarts gives the same answers. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Prng } from "../../src/base/prng.ts";
import { utf8, hex } from "../../src/base/bytes.ts";
import { BunClock } from "../../src/bun/clock.ts";
import { BunDisk } from "../../src/bun/disk.ts";
import { BunRandom } from "../../src/bun/random.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import type { Store } from "../../src/storage/store.ts";
import { openStore, SMALL_OPTIONS } from "../support/open-store.ts";

const root = mkdtempSync(join(tmpdir(), "hutch-store-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let directories = 0;
function world() {
  return {
    disk: new BunDisk(join(root, String(directories++))),
    clock: new BunClock(),
    random: new BunRandom(),
  };
}

function contentOf(store: Store): Map<string, string> {
  const snapshot = store.snapshot();
  const content = new Map<string, string>();
  const iterator = snapshot.iterator();
  for (iterator.seekToFirst(); iterator.isValid; iterator.next())
    content.set(
      hex(iterator.keyBytes.slice(iterator.keyStart, iterator.keyEnd)),
      hex(iterator.valueBytes.slice(iterator.valueStart, iterator.valueEnd)),
    );
  snapshot.close();
  return content;
}

function expectSame(store: Store, model: Map<string, string>): void {
  expect([...contentOf(store)]).toEqual([...model].sort(([a], [b]) => (a < b ? -1 : 1)));
  for (const [key, value] of model)
    expect(hex(store.get(Uint8Array.fromHex(key))!.value)).toBe(value);
}

test.each([1, 2, 3])(
  "Store answers as a map does, seed %d",
  async (seed) => {
    const prng = new Prng(seed);
    const where = world();
    const model = new Map<string, string>();
    let opened = await openStore(where);
    for (let step = 0; step < 3000; step++) {
      const dice = prng.below(1000);
      if (dice < 4) await opened.store.flush();
      else if (dice < 5) await opened.store.compact();
      else if (dice < 7) {
        await opened.close();
        opened = await openStore(where);
      } else {
        await opened.store.admit();
        await opened.store.apply(randomBatch(prng, model));
      }
      if (step % 500 === 0) expectSame(opened.store, model);
    }
    expectSame(opened.store, model);
    await opened.store.compact();
    expectSame(opened.store, model);
    const absent = prng.bytes(30);
    expect(opened.store.get(absent)).toBeUndefined();
    await opened.close();
  },
  30_000,
);

function randomBatch(prng: Prng, model: Map<string, string>): WriteBatch {
  const batch = new WriteBatch();
  for (let i = prng.between(1, 4); i > 0; i--) {
    const key = concatKey(prng.below(8), prng.below(200));
    if (prng.chance(0.2)) {
      batch.delete(key);
      model.delete(hex(key));
    } else {
      const value = prng.chance(0.02) ? prng.bytes(5000) : prng.bytes(prng.below(60));
      batch.put(key, value);
      model.set(hex(key), hex(value));
    }
  }
  return batch;
}

function concatKey(partition: number, id: number): Uint8Array {
  return new Uint8Array([0, partition, ...utf8(`bucket\0key-${id}`)]);
}

test("Store.snapshot() sees nothing that is applied after it", async () => {
  const opened = await openStore(world());
  const { store } = opened;
  const key = utf8("k");
  await store.apply(new WriteBatch().put(key, utf8("1")));
  const before = store.snapshot();
  await store.apply(new WriteBatch().put(key, utf8("2")).put(utf8("new"), utf8("x")));
  await store.flush();
  await store.compact();
  expect(before.get(key)?.value).toEqual(utf8("1"));
  expect(before.get(utf8("new"))).toBeUndefined();
  expect(store.get(key)?.value).toEqual(utf8("2"));
  const iterator = before.iterator();
  iterator.seekToFirst();
  expect(iterator.isValid).toBe(true);
  iterator.next();
  expect(iterator.isValid).toBe(false);
  before.close();
  await opened.close();
});

test.each(["always", "group", "os"] as const)(
  "Store keeps concurrent batches across a restart, fsync %s",
  async (fsync) => {
    const where = world();
    const options = { ...SMALL_OPTIONS, fsync };
    let opened = await openStore(where, options);
    const { store } = opened;
    await Promise.all(
      Array.from({ length: 300 }, (_, i) =>
        store.apply(new WriteBatch().put(utf8(`key-${i}`), utf8(`value-${i}`))),
      ),
    );
    await opened.close();
    opened = await openStore(where, options);
    for (let i = 0; i < 300; i++)
      expect(opened.store.get(utf8(`key-${i}`))?.value).toEqual(utf8(`value-${i}`));
    await opened.close();
  },
);

test("Store.whenDurable() is undefined once the batch is durable", async () => {
  const opened = await openStore(world());
  const applied = opened.store.apply(new WriteBatch().put(utf8("a"), utf8("b")));
  const { sequence } = opened.store.get(utf8("a"))!;
  expect(opened.store.whenDurable(sequence)).toBeInstanceOf(Promise);
  await applied;
  expect(opened.store.whenDurable(sequence)).toBeUndefined();
  await opened.close();
});

test("Store takes a value larger than its memtable", async () => {
  const where = world();
  let opened = await openStore(where);
  const large = new Prng(9).bytes(300_000);
  await opened.store.apply(
    new WriteBatch().put(utf8("large"), large).put(utf8("small"), utf8("s")),
  );
  expect(opened.store.get(utf8("large"))?.value).toEqual(large);
  await opened.store.flush();
  expect(opened.store.get(utf8("large"))?.value).toEqual(large);
  await opened.close();
  opened = await openStore(where);
  expect(opened.store.get(utf8("large"))?.value).toEqual(large);
  await opened.close();
});
