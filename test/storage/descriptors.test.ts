/** Row 90: no call that needs a file descriptor and does not get one is taken for a broken disk. */
import { expect, test } from "bun:test";
import { utf8 } from "../../src/base/bytes.ts";
import { HutchError } from "../../src/base/errors.ts";
import { Prng } from "../../src/base/prng.ts";
import type { Disk } from "../../src/ports/disk.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import type { DiskCall, DiskCallKind } from "../../src/sim/disk-faults.ts";
import { loadManifest, Manifest } from "../../src/storage/levels/manifest.ts";
import { EMPTY_STATE } from "../../src/storage/levels/manifest-edit.ts";
import { WriteBatch } from "../../src/storage/store.ts";
import type { StoreOptions } from "../../src/storage/store.ts";
import { openStore, SMALL_OPTIONS } from "../support/open-store.ts";
import type { OpenStore, World } from "../support/open-store.ts";
import { StillClock } from "../support/still-clock.ts";

/** The calls that take a descriptor on a real system, if only for a moment. */
const TAKES_DESCRIPTOR: ReadonlySet<DiskCallKind> = new Set<DiskCallKind>([
  "create",
  "open",
  "map",
  "list",
  "syncDirectory",
]);

const OPTIONS: StoreOptions = { ...SMALL_OPTIONS, readMode: "read", blockCacheBytes: 0 };
const KEYS = 12;

function worldOn(disk: Disk): World {
  const prng = new Prng("descriptors");
  const random = { u32: () => prng.u32(), bytes: (length: number) => prng.bytes(length) };
  return { disk, clock: new StillClock(), random };
}

async function settle(): Promise<void> {
  for (let i = 0; i < 200; i++) await Promise.resolve();
}

/** What was acknowledged, by key. */
type Acknowledged = Map<string, string>;

/** Every path that opens files: rotation, flush, compaction, scrub, quarantine, and the stop. */
async function work(opened: OpenStore, disk: SimDisk, acknowledged: Acknowledged): Promise<void> {
  const { store } = opened;
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < KEYS; i++)
      await write(opened, `key-${i}`, `${round} `.repeat(300), acknowledged);
    await shed(() => store.flush());
  }
  await shed(() => store.compact());
  await shed(() => store.scrub());
  const table = [...disk.image.visible.keys()].find((name) => name.endsWith(".sst"))!;
  disk.damage.flipBit(table, 8 * 30);
  await shed(() => store.scrub());
  await settle();
}

async function write(
  { store }: OpenStore,
  key: string,
  value: string,
  acknowledged: Acknowledged,
): Promise<void> {
  await shed(async () => {
    await store.admit();
    await store.apply(new WriteBatch().put(utf8(key), utf8(value)));
    acknowledged.set(key, value);
  });
}

/** A refusal is an answer; it must say that trying again can help. */
async function shed(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    const isRefused = error instanceof HutchError && error.retry === "safe";
    const isStarved = (error as { kind?: string }).kind === "too-many-files";
    if (!isRefused && !isStarved) throw error;
  }
}

function expectSame({ store }: OpenStore, acknowledged: Acknowledged): void {
  for (const [key, value] of acknowledged) {
    try {
      expect(store.get(utf8(key))?.value).toEqual(utf8(value));
    } catch (error) {
      if ((error as HutchError).code !== "data-corrupt") throw error; // the flipped bit
    }
  }
}

test("row 90: whichever call finds no descriptor, the store stays up, sheds or retries, and keeps what it acknowledged", async () => {
  const calls: DiskCall[] = [];
  for (let nth = 0; nth === 0 || nth <= calls.length; nth++) {
    if (nth > 0 && !TAKES_DESCRIPTOR.has(calls[nth - 1]!.kind)) continue;
    const disk = new SimDisk({ seed: "descriptors" });
    const opened = await openStore(worldOn(disk), OPTIONS);
    const before = disk.callCount;
    if (nth > 0) disk.faults.failNth("any", nth, "too-many-files");
    const acknowledged: Acknowledged = new Map();
    try {
      await work(opened, disk, acknowledged);
    } catch (error) {
      throw new Error(`call ${nth}, ${JSON.stringify(calls[nth - 1])}`, { cause: error });
    }
    expect(`${nth}: ${opened.store.failure?.message}`).toBe(`${nth}: undefined`);
    expectSame(opened, acknowledged);
    await write(opened, "after", "1", acknowledged);
    expect(acknowledged.get("after")).toBe("1");
    if (nth === 0) calls.push(...disk.calls.slice(before));
    await opened.close();
    expect(opened.store.failure).toBeUndefined();
    const again = await openStore(worldOn(disk.kill()), OPTIONS);
    expectSame(again, acknowledged);
    await again.close();
  }
  expect(calls.length).toBeGreaterThan(200);
}, 60_000);

test("row 90: none left for a while: writes are refused until there are some, and none that was acknowledged is lost", async () => {
  const disk = new SimDisk({ seed: "starved" });
  const opened = await openStore(worldOn(disk), OPTIONS);
  const acknowledged: Acknowledged = new Map();
  disk.faults.openFilesMax = 0;
  for (let i = 0; i < 40; i++) await write(opened, `key-${i}`, "x".repeat(400), acknowledged);
  expect(opened.store.failure).toBeUndefined();
  expectSame(opened, acknowledged);
  disk.faults.openFilesMax = Infinity;
  for (let i = 0; i < 40; i++) await write(opened, `key-${i}`, "y".repeat(400), acknowledged);
  expect(acknowledged.get("key-39")).toBe("y".repeat(400));
  expectSame(opened, acknowledged);
  await opened.close();
});

test("row 90: a manifest that cannot be rewritten for want of a descriptor goes on; the next start reads every edit", async () => {
  const owner = { clusterId: new Uint8Array(16), nodeId: new Uint8Array(8) };
  const edits = 40;
  const calls: DiskCall[] = [];
  for (let nth = 0; nth === 0 || nth <= calls.length; nth++) {
    const kind = calls[nth - 1]?.kind;
    // The disk keeps a descriptor of its root: this one never needs another.
    if (kind !== undefined && (kind === "syncDirectory" || !TAKES_DESCRIPTOR.has(kind))) continue;
    const disk = new SimDisk({ seed: "manifest" });
    const manifest = new Manifest(disk, owner, EMPTY_STATE, () => 7, 400);
    const before = disk.callCount;
    if (nth > 0) disk.faults.failNth("any", nth, "too-many-files");
    let last = 0;
    for (let i = 1; i <= edits; i++)
      await manifest.append(
        () => ({ flushedSequence: i }),
        () => (last = i),
      );
    expect(last).toBe(edits);
    await manifest.close();
    if (nth === 0) calls.push(...disk.calls.slice(before));
    const found = loadManifest(disk.kill(), owner);
    expect(`${nth}: ${found?.state.flushedSequence}`).toBe(`${nth}: ${edits}`);
  }
  expect(calls.filter(({ kind }) => kind === "rename").length).toBeGreaterThan(2);
});

test("row 90: the switch to a new manifest that cannot be made durable stops it: edits might go where no start reads them", async () => {
  const owner = { clusterId: new Uint8Array(16), nodeId: new Uint8Array(8) };
  const disk = new SimDisk({ seed: "switch" });
  const manifest = new Manifest(disk, owner, EMPTY_STATE, () => 7, 1);
  disk.faults.failNth("syncDirectory", 2, "too-many-files");
  const append = (): Promise<void> =>
    manifest.append(
      () => ({ flushedSequence: 1 }),
      () => undefined,
    );
  await expect(append()).rejects.toThrow("Cannot switch");
  await expect(append()).rejects.toThrow("Cannot switch");
});
