/** A bucket's number of copies and its conflict mode change while it is written to, read, and its nodes die (row 107, R6). */
import { describe, expect, test } from "bun:test";
import { bucketPrefix, internalKeyOf } from "../../src/ring/partition.ts";
import { SimCluster } from "../../src/simulator/cluster.ts";

const BUCKET = "b";
const KEYS = 24;
const SEEDS = [1, 2, 3];
const WRITERS = 4;
const CHANGE_MS_MAX = 120_000;
const SIBLINGS = { Accept: "application/vnd.hutch.siblings+json" };

/** Writers with keys of their own, and readers that want of each key at least what was acknowledged when they asked. */
class SteadyWork {
  readonly acknowledged = new Map<string, number>();
  readonly complaints: string[] = [];
  reads = 0;
  private readonly cluster: SimCluster;
  private readonly headers: { [name: string]: string };
  private isOver = false;
  private loops: Promise<void>[] = [];

  constructor(cluster: SimCluster, headers: { [name: string]: string } = {}) {
    this.cluster = cluster;
    this.headers = headers;
  }

  start(): this {
    for (let writer = 0; writer < WRITERS; writer++) this.loops.push(this.write(writer));
    for (let reader = 0; reader < 2; reader++) this.loops.push(this.read(reader));
    return this;
  }

  stop(): void {
    this.isOver = true;
    this.cluster.world.runUntil(Promise.all(this.loops));
  }

  private anyone(turn: number): number {
    const up = this.cluster.present.filter((i) => this.cluster.isStarted(i));
    return up[turn % up.length]!;
  }

  private async write(writer: number): Promise<void> {
    for (let turn = 0; !this.isOver; turn++) {
      const key = `k${writer + WRITERS * (turn % (KEYS / WRITERS))}`;
      const init = { method: "PUT", body: `${turn}`, headers: this.headers };
      const answer = await this.cluster.send(
        this.anyone(turn + writer),
        `/v1/kv/${BUCKET}/${key}`,
        init,
      );
      if (typeof answer !== "string" && answer.status === 204) this.acknowledged.set(key, turn);
      await this.cluster.sleep(20);
    }
  }

  private async read(reader: number): Promise<void> {
    for (let turn = reader; !this.isOver; turn++) {
      await this.check(`k${(turn * 7) % KEYS}`, this.anyone(turn));
      await this.cluster.sleep(5);
    }
  }

  async check(key: string, node: number): Promise<void> {
    const least = this.acknowledged.get(key);
    const path = `/v1/kv/${BUCKET}/${key}`;
    const answer = await this.cluster.send(node, path, { headers: SIBLINGS });
    if (typeof answer === "string" || answer.status >= 500 || least === undefined) return;
    this.reads++;
    const newest = answer.status === 404 ? -1 : newestOf(answer.text);
    if (newest < least)
      this.complaints.push(
        `${this.cluster.nowMs.toFixed(0)} ms: ${key} at node ${node} is ${newest}, ${least} was acknowledged`,
      );
  }
}

function newestOf(text: string): number {
  const { siblings } = JSON.parse(text) as { siblings: { value?: string }[] };
  return Math.max(...siblings.map(({ value }) => Number(value ?? -1)));
}

/** Asks until the change is agreed on, and waits until all nodes have followed it. */
function change(cluster: SimCluster, node: number, properties: object): void {
  const init = { method: "PATCH", body: JSON.stringify(properties) };
  const isTaken = (): boolean => {
    if (!cluster.isStarted(node)) return false;
    const answer = cluster.world.runUntil(cluster.send(node, `/v1/buckets/${BUCKET}`, init));
    return typeof answer !== "string" && answer.status === 200;
  };
  cluster.waitFor(`${JSON.stringify(properties)} is taken`, isTaken, CHANGE_MS_MAX);
}

function isFollowed(cluster: SimCluster): boolean {
  return cluster.present.every((i) => cluster.isStarted(i)) && cluster.isOneLayout();
}

function strike(cluster: SimCluster, index: number): void {
  cluster.crash(index);
  cluster.world.run(3000);
  cluster.restart(index);
}

function storedAt(
  cluster: SimCluster,
  index: number,
  name: string,
): { key: Uint8Array; record: Uint8Array } | undefined {
  const { coordinator } = cluster.clusterOf(index);
  const bytes = new TextEncoder().encode(name);
  const partition = coordinator.partitionOf(BUCKET, bytes);
  const key = internalKeyOf(partition, bucketPrefix(BUCKET), bytes);
  const record = cluster.node(index).inside.store.get(key)?.value.slice();
  return record && { key, record };
}

/** Indexes of all nodes with something of the key on their disk. */
function holdersOf(cluster: SimCluster, key: string): number[] {
  return cluster.present.filter((i) => storedAt(cluster, i, key) !== undefined);
}

function keysWritten(cluster: SimCluster, count: number): string[] {
  const keys = Array.from({ length: count }, (_, i) => `k${i}`);
  for (const key of keys)
    cluster.request(0, `/v1/kv/${BUCKET}/${key}`, { method: "PUT", body: "1" });
  cluster.quiesce();
  return keys;
}

describe("row 107: n is changed while the bucket is in use", () => {
  for (const seed of SEEDS)
    test(`3 -> 1 -> 3 -> 5 under writes and crashes: nothing acknowledged is ever missing (seed ${seed})`, () => {
      const cluster = new SimCluster(`copies ${seed}`).form();
      const work = new SteadyWork(cluster).start();
      cluster.world.run(2000);
      for (const [step, n] of [1, 3, 5].entries()) {
        change(cluster, step, { n });
        cluster.world.run((seed * 97 + step * 31) % 300);
        strike(cluster, (seed + step) % 5);
        cluster.waitFor(`all follow n = ${n}`, () => isFollowed(cluster), CHANGE_MS_MAX);
        cluster.world.run(2000);
      }
      work.stop();
      expect(work.complaints).toEqual([]);
      expect(work.reads).toBeGreaterThan(1000);
      expectConverged(cluster, work, 5);
    }, 60_000);

  test("who has no share in a bucket any more keeps nothing of it; other buckets stay", () => {
    const cluster = new SimCluster("copies shrink").form();
    for (let i = 0; i < 30; i++) {
      cluster.request(0, `/v1/kv/${BUCKET}/k${i}`, { method: "PUT", body: "1" });
      cluster.request(0, `/v1/kv/other/k${i}`, { method: "PUT", body: "1" });
    }
    cluster.quiesce();
    change(cluster, 1, { n: 1 });
    cluster.waitFor("all follow", () => isFollowed(cluster), CHANGE_MS_MAX);
    cluster.world.run(5000);
    for (let i = 0; i < 30; i++) {
      expect(holdersOf(cluster, `k${i}`)).toEqual([...cluster.ownersOf(BUCKET, `k${i}`)]);
      expect(cluster.explain(2, "other", `k${i}`).owners.map(({ dots }) => dots.length)).toEqual([
        1, 1, 1,
      ]);
    }
  }, 60_000);

  test("R6: the owner that stays gets what only the others had", () => {
    const cluster = new SimCluster("copies fewer").form();
    const keys = keysWritten(cluster, 30);
    for (const key of keys) {
      const [first] = cluster.ownersOf(BUCKET, key);
      const dropped = cluster
        .clusterOf(first!)
        .convergence.dropRecords([storedAt(cluster, first!, key)!]);
      cluster.world.runUntil(dropped);
    }
    change(cluster, 1, { n: 1 });
    cluster.waitFor("all follow", () => isFollowed(cluster), CHANGE_MS_MAX);
    for (const key of keys) expect(cluster.request(2, `/v1/kv/${BUCKET}/${key}`).text).toBe("1");
  }, 60_000);

  test("R6: what trees have not seen yet is not taken for handed over", () => {
    const cluster = new SimCluster("copies trees").form();
    keysWritten(cluster, 5);
    const { trees } = cluster.clusterOf(2).convergence;
    const { isTrusted } = trees;
    trees.isTrusted = () => false;
    change(cluster, 1, { n: 5 });
    cluster.world.run(20_000);
    expect(cluster.isOneLayout()).toBe(false);
    trees.isTrusted = isTrusted;
    cluster.waitFor("all follow", () => isFollowed(cluster), CHANGE_MS_MAX);
  }, 60_000);

  test("a second change waits for the first, and a change of the ring for both", () => {
    const cluster = new SimCluster("copies twice").form();
    cluster.request(0, `/v1/kv/${BUCKET}/a`, { method: "PUT", body: "1" });
    cluster.crash(4);
    cluster.world.run(5000);
    change(cluster, 0, { n: 5 });
    const again = { method: "PATCH", body: '{"n":1}' };
    expect(cluster.request(1, `/v1/buckets/${BUCKET}`, again).status).toBe(409);
    expect(cluster.request(1, `/v1/buckets/${BUCKET}`, again).text).toContain("layout-conflict");
    // Everything else of it may change, and what is wanted is shown.
    const ttl = { method: "PATCH", body: '{"ttl":0,"n":5}' };
    expect(cluster.request(2, `/v1/buckets/${BUCKET}`, ttl).status).toBe(200);
    expect(cluster.json<{ n: number }>(3, `/v1/buckets/${BUCKET}`).n).toBe(5);
    // Reads and quorums go by what all nodes have.
    const read = cluster.request(3, `/v1/kv/${BUCKET}/a`);
    expect(read.headers.get("X-Replies")).toStartWith("n=3,");
    expect(read.headers.get("X-Effective-N")).toBe("3");
    cluster.restart(4);
    cluster.waitFor("all follow", () => isFollowed(cluster), CHANGE_MS_MAX);
    expect(cluster.request(3, `/v1/kv/${BUCKET}/a`).headers.get("X-Replies")).toStartWith("n=5,");
    change(cluster, 1, { n: 1 });
  }, 60_000);

  test("a bucket that was deleted has as many copies as any new one", () => {
    const cluster = new SimCluster("copies delete").form();
    const put = { method: "PUT", body: '{"n":5}' };
    expect(cluster.request(0, `/v1/buckets/${BUCKET}`, put).status).toBe(200);
    cluster.request(0, `/v1/kv/${BUCKET}/a`, { method: "PUT", body: "1" });
    cluster.request(0, `/v1/kv/${BUCKET}/a`, { method: "DELETE" });
    expect(cluster.request(1, `/v1/buckets/${BUCKET}`, { method: "DELETE" }).status).toBe(204);
    cluster.waitFor("all follow", () => isFollowed(cluster), CHANGE_MS_MAX);
    cluster.world.run(2000);
    expect(cluster.json<{ n: number }>(2, `/v1/buckets/${BUCKET}`).n).toBe(3);
    expect(cluster.request(2, `/v1/kv/${BUCKET}/a`).status).toBe(404);
    const written = cluster.request(2, `/v1/kv/${BUCKET}/a`, { method: "PUT", body: "2" });
    expect(written.headers.get("X-Acks")).toStartWith("n=3,");
  }, 60_000);
});

test("row 107: the conflict mode is changed under concurrent writes, and the copies become equal", () => {
  const cluster = new SimCluster("modes").form();
  const work = new SteadyWork(cluster, { "X-Consistency": "ONE" }).start();
  cluster.world.run(1000);
  for (const conflicts of ["lww", "siblings", "lww", "siblings"]) {
    change(cluster, 0, { conflicts, blindPut: "sibling", siblingsMax: 1000 });
    cluster.world.run(1500);
    change(cluster, 1, { blindPut: "supersede" });
    cluster.world.run(500);
  }
  work.stop();
  expectConverged(cluster, work, 3);
}, 60_000);

/** All owners of every key have the same, nobody else has anything, and it is what was acknowledged. */
function expectConverged(cluster: SimCluster, work: SteadyWork, n: number): void {
  cluster.quiesce();
  cluster.world.runUntil(
    Promise.all(cluster.present.map((i) => cluster.clusterOf(i).convergence.repairAll(() => {}))),
  );
  for (const key of work.acknowledged.keys()) {
    const states = new Set(cluster.stateOf(0, BUCKET, key));
    expect([key, states.size]).toEqual([key, 1]);
    expect(holdersOf(cluster, key)).toEqual([...cluster.ownersOf(BUCKET, key)].sort());
    expect(cluster.ownersOf(BUCKET, key).length).toBe(n);
    cluster.world.runUntil(work.check(key, 0));
  }
  expect(work.complaints).toEqual([]);
}
