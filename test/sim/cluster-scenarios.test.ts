/** Whole nodes in virtual time through the scenarios of FAULTS.md section 6, one by one; runs over seeds are in `cluster.test.ts`. */
import { describe, expect, test } from "bun:test";
import { createStorageJobs } from "../../src/storage/jobs.ts";
import { zstdCompression } from "../../src/bun/compression.ts";
import { retainEntries } from "../../src/causality/retention.ts";
import { SimWorld } from "../../src/sim/world.ts";
import type { Answer } from "../../src/simulator/clients.ts";
import { SimCluster, type SimClusterOptions } from "../../src/simulator/cluster.ts";

const SIBLINGS_TYPE = "application/vnd.hutch.siblings+json";
/** Gossip has noticed a death or a cut, and an end of it, long before. */
const NOTICE_MS = 10_000;

function formed(seed: string, options: SimClusterOptions = {}): SimCluster {
  return new SimCluster(seed, options).form();
}

function put(
  cluster: SimCluster,
  node: number,
  key: string,
  body: string,
  headers: { [name: string]: string } = {},
): Answer {
  return cluster.request(node, `/v1/kv/b/${key}`, { method: "PUT", body, headers });
}

function get(
  cluster: SimCluster,
  node: number,
  key: string,
  headers: { [name: string]: string } = {},
): Answer {
  return cluster.request(node, `/v1/kv/b/${key}`, { headers });
}

function remove(cluster: SimCluster, node: number, key: string): Answer {
  return cluster.request(node, `/v1/kv/b/${key}`, { method: "DELETE" });
}

function valuesOf({ text }: Answer): string[] {
  const { siblings } = JSON.parse(text) as { siblings: { value?: string }[] };
  return siblings.map(({ value }) => value ?? "(deleted)").sort();
}

const contextOf = (answer: Answer): { [name: string]: string } => ({
  "X-Causal-Context": answer.headers.get("X-Causal-Context")!,
});
const indexes = ({ names }: SimCluster): number[] => names.map((_, i) => i);

/** A node that is none of the owners of the key. */
function stranger(cluster: SimCluster, key: string): number {
  const owners = cluster.ownersOf("b", key);
  return indexes(cluster).find((i) => !owners.includes(i))!;
}

describe("the demonstration", () => {
  test("row 113: the owner is killed, a write is hinted, everybody reads it, the owner gets it when it is back", () => {
    const cluster = formed("demo");
    expect(put(cluster, 0, "hello", "before").status).toBe(204);
    const [owner] = cluster.ownersOf("b", "hello");
    cluster.crash(owner!);
    cluster.world.run(NOTICE_MS);
    const writer = indexes(cluster).find((i) => i !== owner)!;
    const written = put(cluster, writer, "hello", "after", { "X-Consistency": "w=3" });
    expect(written.status).toBe(204);
    expect(written.headers.get("X-Acks")).toBe("n=3, ok=3, primary=2, hinted=1, durable=3");
    for (const i of indexes(cluster))
      if (i !== owner) expect(get(cluster, i, "hello").text).toBe("after");
    expect(cluster.hintsAt(writer)).toEqual([
      expect.objectContaining({ node: cluster.names[owner!], count: 1 }),
    ]);
    cluster.restart(owner!);
    cluster.quiesce();
    const { equal, fallbacks } = cluster.explain(writer, "b", "hello");
    expect([equal, fallbacks]).toEqual([true, []]);
    expect(get(cluster, owner!, "hello", { "X-Consistency": "ONE" }).text).toBe("after");
  });

  test("a partition of three nodes takes writes on both sides; they come back as siblings and one put resolves them", () => {
    const cluster = formed("split", { nodes: 3 });
    expect(put(cluster, 0, "doc", "old").status).toBe(204);
    cluster.world.network.partition(["n1", "n2"], ["n3"]);
    cluster.world.run(NOTICE_MS);
    expect(put(cluster, 0, "doc", "left").status).toBe(204);
    expect(put(cluster, 2, "doc", "refused").status).toBe(503);
    expect(put(cluster, 2, "doc", "right", { "X-Consistency": "ONE" }).status).toBe(204);
    cluster.heal();
    cluster.quiesce();
    for (const i of indexes(cluster)) {
      const both = get(cluster, i, "doc");
      expect(both.status).toBe(300);
      expect(valuesOf(both)).toEqual(["left", "right"]);
    }
    const resolved = put(cluster, 1, "doc", "both", contextOf(get(cluster, 1, "doc")));
    expect(resolved.status).toBe(204);
    cluster.world.run(1000);
    for (const i of indexes(cluster)) expect(get(cluster, i, "doc").text).toBe("both");
    expect(new Set(cluster.stateOf(0, "b", "doc")).size).toBe(1);
  });

  test("R9: puts without a context through one node after the other leave one value", () => {
    const cluster = formed("blind puts");
    for (let round = 0; round < 10; round++)
      expect(put(cluster, round % 5, "counter", `${round}`).status).toBe(204);
    const answer = get(cluster, 3, "counter", { "X-Consistency": "ALL" });
    expect([answer.status, answer.text]).toEqual([200, "9"]);
  });
});

describe("deaths", () => {
  test("row 110: all nodes die at once and come back in any order; nothing acknowledged is lost", () => {
    const cluster = formed("all at once");
    const keys = Array.from({ length: 20 }, (_, i) => `k${i}`);
    for (const [i, key] of keys.entries())
      expect(put(cluster, i % 5, key, `value of ${key}`).status).toBe(204);
    for (const i of indexes(cluster))
      if (i % 2 === 0) cluster.powerLoss(i);
      else cluster.crash(i);
    for (const i of [3, 0, 4, 1, 2]) {
      cluster.restart(i);
      cluster.world.run(700);
    }
    cluster.quiesce();
    for (const [i, key] of keys.entries())
      expect(get(cluster, (i + 2) % 5, key).text).toBe(`value of ${key}`);
  });

  test("row 114: a coordinator that dies in the middle leaves all or nothing, and the owners agree", () => {
    for (let stopUs = 300; stopUs <= 3000; stopUs += 300) {
      const cluster = formed(`mid-write ${stopUs}`);
      expect(put(cluster, 0, "k", "old", { "X-Consistency": "ALL" }).status).toBe(204);
      const [coordinator] = cluster.ownersOf("b", "k");
      const sent = cluster.send(coordinator!, "/v1/kv/b/k", { method: "PUT", body: "new" });
      cluster.world.run(stopUs / 1000);
      cluster.crash(coordinator!);
      const heard = cluster.world.runUntil(sent);
      cluster.restart(coordinator!);
      cluster.quiesce();
      // A link to a process that went silently ends when it is used.
      const all = { "X-Consistency": "ALL" };
      cluster.waitFor("all answer", () => get(cluster, 1, "k", all).status === 200, 5000);
      const found = get(cluster, 1, "k", all);
      if (typeof heard !== "string" && heard.status === 204) expect(found.text).toBe("new");
      expect(["old", "new"]).toContain(found.text);
      cluster.world.run(1000);
      expect(new Set(cluster.stateOf(1, "b", "k")).size).toBe(1);
    }
  });

  test("row 116: a node that is stopped under load refuses with shutting-down and nothing else; nothing is lost", () => {
    const cluster = formed("stop");
    const statuses: string[] = [];
    const acknowledged: string[] = [];
    const endMs = cluster.nowMs + 3000;
    const client = async (name: string, node: number): Promise<void> => {
      for (let i = 0; cluster.nowMs < endMs; i++) {
        const key = `${name}-${i}`;
        const heard = await cluster.send(node, `/v1/kv/b/${key}`, { method: "PUT", body: key });
        if (typeof heard === "string") return;
        if (heard.status === 204) acknowledged.push(key);
        else statuses.push(`${heard.status} ${(JSON.parse(heard.text) as { code: string }).code}`);
        await cluster.sleep(20);
      }
    };
    const clients = Promise.all([client("a", 2), client("b", 2), client("c", 0), client("d", 1)]);
    cluster.world.run(1000);
    cluster.world.runUntil(cluster.stop(2), 15_000);
    cluster.world.runUntil(clients);
    expect(statuses.filter((status) => status !== "503 shutting-down")).toEqual([]);
    cluster.restart(2);
    cluster.quiesce();
    expect(acknowledged.length).toBeGreaterThan(200);
    for (const key of acknowledged) expect(get(cluster, 4, key).text).toBe(key);
  });

  test("S3: a key that is deleted while an owner is away stays deleted when it is back", () => {
    const cluster = formed("deleted");
    expect(put(cluster, 0, "k", "x", { "X-Consistency": "ALL" }).status).toBe(204);
    const [owner] = cluster.ownersOf("b", "k");
    cluster.powerLoss(owner!);
    cluster.world.run(NOTICE_MS);
    const other = (owner! + 1) % 5;
    expect(remove(cluster, other, "k").status).toBe(204);
    cluster.restart(owner!);
    cluster.quiesce();
    for (const i of indexes(cluster)) {
      const answer = get(cluster, i, "k", { "X-Consistency": "ONE" });
      expect([answer.status, answer.headers.get("X-Tombstone")]).toEqual([404, "true"]);
    }
    expect(new Set(cluster.stateOf(other, "b", "k")).size).toBe(1);
  });
});

describe("who answers", () => {
  test("row 73: a node that accepts and never answers is waited for once; the others serve", () => {
    const cluster = formed("silent");
    const [owner] = cluster.ownersOf("b", "k");
    const asker = stranger(cluster, "k");
    expect(put(cluster, asker, "k", "0").status).toBe(204);
    cluster.pause(owner!, 60_000);
    const startMs = cluster.nowMs;
    for (let i = 1; i <= 10; i++) {
      expect(put(cluster, asker, "k", `${i}`).status).toBe(204);
      expect(valuesOf(get(cluster, asker, "k", { Accept: SIBLINGS_TYPE }))).toContain(`${i}`);
    }
    // One timeout of a replica, not one for each.
    expect(cluster.nowMs - startMs).toBeLessThan(3000);
    cluster.world.run(60_000);
    cluster.quiesce();
    expect(get(cluster, owner!, "k", { Accept: SIBLINGS_TYPE }).text).toContain(`"10"`);
  });

  test("row 113: with fewer than W owners a strict write is refused and leaves nothing, a sloppy one is hinted", () => {
    const cluster = formed("few");
    const [first, second, third] = cluster.ownersOf("b", "k");
    const asker = stranger(cluster, "k");
    cluster.crash(first!);
    cluster.crash(second!);
    cluster.world.run(NOTICE_MS);
    const strict = put(cluster, asker, "k", "strict", { "X-Consistency": "sloppy=?0" });
    expect([strict.status, JSON.parse(strict.text).code]).toEqual([503, "unavailable"]);
    expect(put(cluster, asker, "k", "all", { "X-Consistency": "ALL" }).status).toBe(503);
    expect(get(cluster, third!, "k", { "X-Consistency": "ONE" }).status).toBe(404);
    const sloppy = put(cluster, asker, "k", "sloppy");
    expect([sloppy.status, sloppy.headers.get("X-Acks")]).toEqual([
      204,
      expect.stringContaining("primary=1, hinted=1"),
    ]);
    cluster.restart(first!);
    cluster.restart(second!);
    cluster.quiesce();
    for (const i of indexes(cluster)) expect(get(cluster, i, "k").text).toBe("sloppy");
  });

  test("R7: a session reads its write on any node, also after the node that took it is killed", () => {
    const cluster = formed("session");
    const [owner] = cluster.ownersOf("b", "k");
    const session = { "X-Session": "new", "X-Consistency": "ONE" };
    const written = put(cluster, owner!, "k", "mine", session);
    const token = { "X-Session": written.headers.get("X-Session")!, "X-Consistency": "ONE" };
    cluster.crash(owner!);
    for (let round = 0; round < 20; round++) {
      for (const i of indexes(cluster)) {
        if (i === owner) continue;
        const read = get(cluster, i, "k", token);
        expect([200, 503]).toContain(read.status);
        if (read.status === 200) expect(read.text).toBe("mine");
        else expect(read.text).toContain("session-unsatisfied");
      }
      cluster.world.run(500);
    }
    cluster.restart(owner!);
    cluster.quiesce();
    for (const i of indexes(cluster)) expect(get(cluster, i, "k", token).text).toBe("mine");
  });

  test("N3: a retry under an idempotency key on another node is the same write, though others have written since", () => {
    const cluster = formed("retry");
    const key = { "Idempotency-Key": "once" };
    const first = put(cluster, 0, "k", "first", key);
    const second = put(cluster, 1, "k", "second", contextOf(first));
    expect([first.status, second.status]).toEqual([204, 204]);
    for (const i of indexes(cluster)) {
      const again = put(cluster, i, "k", "first", key);
      expect(again.status).toBe(204);
      expect(again.headers.get("X-Causal-Context")).toBe(first.headers.get("X-Causal-Context")!);
    }
    for (const i of indexes(cluster)) expect(get(cluster, i, "k").text).toBe("second");
    expect(put(cluster, 4, "k", "other", key).status).toBe(422);
  });

  test("N3: the retry of a conditional write is the same write, though the condition does not hold any more", () => {
    const cluster = formed("conditional retry");
    const once = { "Idempotency-Key": "once", "If-None-Match": "*" };
    const first = put(cluster, 0, "k", "first", once);
    expect([first.status, put(cluster, 1, "k", "second").status]).toEqual([204, 204]);
    for (const i of indexes(cluster)) expect(put(cluster, i, "k", "first", once).status).toBe(204);
    for (const i of indexes(cluster)) expect(get(cluster, i, "k").text).toBe("second");
  });
});

describe("networks", () => {
  test("row 108: two clusters that share a seed address do not merge", () => {
    const jobs = createStorageJobs(zstdCompression, retainEntries);
    const world = new SimWorld("two clusters", { jobs });
    const left = new SimCluster("left", { world, nodes: 3, prefix: "l", basePort: 7101 }).form();
    const seeds = [7201, 7202, 7203].map((port) => `127.0.0.1:${port}`);
    const right = new SimCluster("right", {
      world,
      nodes: 3,
      prefix: "r",
      basePort: 7201,
      seeds: [...seeds, "127.0.0.1:7101"],
      flags: { cluster: "other" },
    });
    for (const i of [0, 1, 2]) right.start(i);
    world.run(NOTICE_MS);
    // A seed that is not of this cluster keeps it from being founded; it does not become part of the other one.
    expect([0, 1, 2].map((i) => right.isStarted(i))).toEqual([false, false, false]);
    const { nodes } = left.json<{ nodes: { id: string }[] }>(0, "/v1/cluster/nodes");
    expect(nodes.map(({ id }) => id)).toEqual(["l1", "l2", "l3"]);
    expect(put(left, 0, "k", "of the left").status).toBe(204);
    expect(left.failures).toEqual([]);
  });

  test("row 111: one-way cuts, a bridge and a flapping link lose nothing, and all agree again", () => {
    const cluster = formed("links");
    const acknowledged = new Map<string, string>();
    let value = 0;
    const write = (): void => {
      for (const i of indexes(cluster)) {
        const key = `k${value % 7}-${i}`;
        const body = `${value++}`;
        if (put(cluster, i, key, body).status === 204) acknowledged.set(key, body);
      }
    };
    const { network } = cluster.world;
    const cuts: (() => () => void)[] = [
      () => network.block("n1", "n2"),
      () => network.bridge(["n1", "n2"], ["n4", "n5"]),
      () => network.isolate("n3", cluster.names),
    ];
    for (const cut of cuts) {
      const heal = cut();
      for (let round = 0; round < 8; round++) {
        write();
        cluster.world.run(500);
      }
      heal();
    }
    for (let flap = 0; flap < 60; flap++) {
      const heal = network.partition(["n2"], ["n5"]);
      cluster.world.run(500);
      if (flap % 10 === 0) write();
      heal();
      cluster.world.run(500);
    }
    const healedMs = cluster.nowMs;
    cluster.quiesce();
    expect(cluster.nowMs - healedMs).toBeLessThan(30_000);
    expect(acknowledged.size).toBeGreaterThan(20);
    for (const [key, body] of acknowledged) {
      const all = { Accept: SIBLINGS_TYPE, "X-Consistency": "ALL" };
      expect(valuesOf(get(cluster, 1, key, all))).toContain(body);
    }
    const rings = cluster.names.map((_, i) => cluster.request(i, "/v1/cluster/ring").text);
    expect(new Set(rings).size).toBe(1);
  });

  test("N1: a write that a partition has kept does not come back when it heals", () => {
    const cluster = formed("late");
    const [first] = cluster.ownersOf("b", "k");
    const asker = stranger(cluster, "k");
    expect(put(cluster, asker, "k", "0").status).toBe(204);
    // The asker believes the first owner to be there and forwards; nobody answers, the next owner takes it.
    cluster.world.network.partition([cluster.names[first!]!], [cluster.names[asker]!]);
    expect(put(cluster, asker, "k", "1").status).toBe(204);
    const other = cluster.ownersOf("b", "k")[1]!;
    const gone = remove(cluster, other, "k");
    expect(gone.status).toBe(204);
    cluster.world.run(3000);
    cluster.heal();
    cluster.quiesce();
    cluster.world.run(5000);
    for (const i of indexes(cluster)) expect(get(cluster, i, "k").status).toBe(404);
  });

  test("R2: the 404 of a deletion that not all owners know says that it was mended; the next one has nothing to mend", () => {
    const cluster = formed("mended-2", { nodes: 3, flags: { repairIntervalMs: "1h" } });
    const all = { "X-Consistency": "r=3" };
    expect(put(cluster, 0, "k", "x", { "X-Consistency": "ALL" }).status).toBe(204);
    const heal = cluster.world.network.partition(["n1", "n2"], ["n3"]);
    expect(remove(cluster, 0, "k").status).toBe(204);
    cluster.world.run(300);
    heal();
    const answers: Answer[] = [];
    const isGone = (): boolean => {
      answers.push(get(cluster, 0, "k", all));
      return answers.at(-1)!.status === 404;
    };
    cluster.waitFor("three owners answer", isGone, 5000);
    expect(answers.at(-1)!.headers.get("X-Read-Repair")).toBe("done");
    expect(new Set(cluster.stateOf(0, "b", "k")).size).toBe(1);
    expect(get(cluster, 0, "k", all).headers.get("X-Read-Repair")).toBe(null);
  });
});
