/** Five real nodes through a day of operations, each test on the cluster that the one before it left: nodes end, die, and are strangers. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Prng } from "../../src/base/prng.ts";
import {
  countsOf,
  indexOf,
  metricOf,
  nodesSeenBy,
  put,
  routeOf,
  statesSeenBy,
  until,
  untilAllUp,
  untilNoHints,
  untilSeen,
} from "../support/cluster-eyes.ts";
import { ClusterLoad } from "../support/cluster-load.ts";
import { ClusterProcess, freePort, hutch, startCommand } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(120_000);

const ALL = [0, 1, 2, 3, 4];
const ARGS = ["--partitions", "16"];
const except = (...gone: readonly number[]): number[] => ALL.filter((each) => !gone.includes(each));

let directory = "";
let cluster: ClusterProcess;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), "hutch-e2e-"));
  cluster = await ClusterProcess.start(ALL.length, directory, { args: ARGS });
});

afterAll(async () => {
  await cluster.stop();
  rmSync(directory, { recursive: true, force: true });
});

const codeOf = async (answer: Response): Promise<string> =>
  ((await answer.json()) as { code: string }).code;

async function read(index: number, key: string, headers: Record<string, string> = {}) {
  const answer = await fetch(cluster.key(index, "demo", key), { headers });
  return { status: answer.status, text: await answer.text(), headers: answer.headers };
}

describe("buckets", () => {
  const propertiesAt = async (index: number): Promise<unknown> =>
    (await fetch(`${cluster.url(index)}/v1/buckets/last`)).json();

  test("properties are in force on every node at once", async () => {
    const answer = await fetch(`${cluster.url(0)}/v1/buckets/last`, {
      method: "PUT",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ conflicts: "lww", siblingsMax: 7 }),
    });
    expect(answer.status).toBe(200);
    for (const index of ALL) {
      expect(await propertiesAt(index)).toMatchObject({ conflicts: "lww", siblingsMax: 7 });
      const written = await put(cluster.key(index, "last", `k${index}`), "v");
      expect(written.headers.get("x-conflict-mode")).toBe("lww");
    }
  });

  test("row 110: they, and all data, survive the death of all nodes at once and a restart in random order", async () => {
    const load = new ClusterLoad(cluster, { seed: 110, bucket: "r110", through: ALL, pauseMs: 5 });
    load.start();
    await until(
      "writes",
      () => Promise.resolve(load.acknowledged),
      (count) => count >= 300,
    );
    await Promise.all(ALL.map((index) => cluster.kill(index, "SIGKILL")));
    await load.stop();
    const prng = new Prng(`row-110/${Date.now()}`);
    const order = ALL.map((index) => ({ index, place: prng.float() }))
      .sort((a, b) => a.place - b.place)
      .map(({ index }) => index);
    const starts = order.map(async (index, turn) => {
      await Bun.sleep(turn * 100);
      await cluster.restart(index);
    });
    await Promise.all(starts);
    await untilAllUp(cluster);
    expect([order, await load.checkAll(ALL), load.violations]).toEqual([order, [], []]);
    for (const index of ALL)
      expect(await propertiesAt(index)).toMatchObject({ conflicts: "lww", siblingsMax: 7 });
  });
});

describe("strangers", () => {
  /** A fresh node that is told that the cluster's first node is a seed. */
  function stranger(name: string, ...args: readonly string[]) {
    const [listen, peer] = [`127.0.0.1:${freePort()}`, `127.0.0.1:${freePort()}`];
    const own = ["--node-id", name, "--listen", listen, "--peer", peer];
    const seeds = ["--seeds", `${cluster.peerAddress(0)},${peer}`];
    const dataDir = ["--data-dir", join(directory, `stranger-${name}-${peer.split(":")[1]}`)];
    return { listen, peer, args: ["serve", ...own, ...seeds, ...dataDir, ...ARGS, ...args] };
  }

  test("row 102: a fresh node with a name that another has ends with 78 and says why", async () => {
    const { exitCode, stderr } = await hutch(stranger("n3").args);
    expect(stderr).toContain('another one is called "n3"');
    expect(exitCode).toBe(78);
  });

  test("row 108: a node of another cluster's name is not let in, and both sides say so", async () => {
    const refusedBefore = await metricOf(cluster, 0, "hutch_peer_server_refused_links_total");
    const other = stranger("n9", "--cluster", "other", "--log-level", "info");
    const node = startCommand(other.args);
    try {
      expect(await node.untilNoted("of another cluster")).toContain("waiting_for_cluster");
      expect((await fetch(`http://${other.listen}/readyz`)).status).toBe(503);
    } finally {
      await node.end("SIGKILL");
    }
    expect(await metricOf(cluster, 0, "hutch_peer_server_refused_links_total")).toBeGreaterThan(
      refusedBefore,
    );
    expect((await nodesSeenBy(cluster, 0)).map(({ id }) => id)).not.toContain("n9");
  });

  test("row 108: a node of another cluster at the address of one of ours stays a stranger", async () => {
    await cluster.kill(4, "SIGKILL");
    // The same name of the cluster, another id: founded by itself.
    const own = ["--node-id", "n5", "--listen", `127.0.0.1:${freePort()}`];
    const peer = ["--peer", cluster.peerAddress(4)];
    const dataDir = ["--data-dir", join(directory, "other-cluster")];
    const node = startCommand(["serve", ...own, ...peer, ...dataDir, ...ARGS]);
    try {
      const url = own[3]!;
      await node.until("ready");
      await untilSeen(cluster, except(4), 4, ["down"]);
      // Long enough for a few rounds of gossip, which reach the stranger.
      await Bun.sleep(1000);
      for (const index of except(4)) {
        const states = await statesSeenBy(cluster, index);
        expect(states).toBe("n1 up, n2 up, n3 up, n4 up, n5 down");
      }
      const theirs = await (await fetch(`http://${url}/v1/cluster`)).json();
      const ours = await (await fetch(`${cluster.url(0)}/v1/cluster`)).json();
      expect(theirs).toMatchObject({ nodes: { up: 1 }, name: (ours as { name: string }).name });
      expect((theirs as { id: string }).id).not.toBe((ours as { id: string }).id);
      // Whoever has found it silent before comes again after a pause.
      const refused = /^hutch_peer_server_refused_links_total [1-9]/m;
      const metrics = async () => (await fetch(`http://${url}/metrics`)).text();
      for (let i = 0; i < 100 && !refused.test(await metrics()); i++) await Bun.sleep(100);
      expect(await metrics()).toMatch(refused);
      expect(await node.end("SIGTERM")).toBe(0);
    } finally {
      await node.end("SIGKILL");
    }
    await cluster.restart(4);
    await untilAllUp(cluster);
  });
});

describe("deaths", () => {
  test("R7: a session reads its writes on every other node after the one that took them was killed", async () => {
    const keys = Array.from({ length: 20 }, (_, number) => `session-${number}`);
    const all = { "X-Consistency": "ALL" };
    for (const key of keys)
      expect((await put(cluster.key(0, "demo", key), "old", all)).status).toBe(204);
    const taken = await Promise.all(
      keys.map(async (key) => {
        const answer = await put(cluster.key(1, "demo", key), "new", { "X-Session": "new" });
        return { key, status: answer.status, session: answer.headers.get("x-session")! };
      }),
    );
    await cluster.kill(1, "SIGKILL");
    for (const { key, status, session } of taken) {
      expect([key, status]).toEqual([key, 204]);
      for (const index of except(1)) {
        const own = { "X-Session": session, "X-Consistency": "ONE" };
        const { status: found, text, headers } = await read(index, key, own);
        expect([key, index, found, text]).toEqual([key, index, 200, "new"]);
        expect(headers.get("x-session")).not.toBe("");
      }
    }
  });

  test("R7: what only a dead node has is refused, never answered with something older", async () => {
    // n2 is dead. A write of level ONE may be on its first owner alone when that dies, too.
    const key = await keyOwnedBy(2);
    await put(cluster.key(2, "demo", key), "old");
    const level = { "X-Session": "new", "X-Consistency": "ONE" };
    const answer = await put(cluster.key(2, "demo", key), "new", level);
    const session = answer.headers.get("x-session")!;
    await cluster.kill(2, "SIGKILL");
    for (const index of except(1, 2)) {
      const { status, text } = await read(index, key, {
        "X-Session": session,
        "X-Consistency": "ONE",
      });
      if (status === 200) expect(text).toBe("new");
      else
        expect([status, (JSON.parse(text) as { code: string }).code]).toEqual([
          503,
          "session-unsatisfied",
        ]);
    }
    await cluster.restart(2);
    await untilSeen(cluster, except(1, 2), 2, ["up"]);
    const { status, text } = await read(0, key, { "X-Session": session });
    expect([status, text]).toEqual([200, "new"]);
  });

  /** A key of which node `index` is the first owner and node 1 none. */
  async function keyOwnedBy(index: number): Promise<string> {
    for (let number = 0; ; number++) {
      const { owners } = await routeOf(cluster, 0, `demo/only-${number}`);
      if (indexOf(owners[0]!) === index && !owners.includes("n2")) return `only-${number}`;
    }
  }

  test("row 71: with one of five dead, none of the others is suspected for ten seconds", async () => {
    await untilSeen(cluster, except(1), 1, ["down"]);
    await until(
      "the other four are up",
      () => statesSeenBy(cluster, 2),
      (states) => states === "n1 up, n2 down, n3 up, n4 up, n5 up",
    );
    const failedBefore = await probesFailed();
    for (let look = 0; look < 20; look++) {
      for (const index of except(1))
        expect([index, await statesSeenBy(cluster, index)]).toEqual([
          index,
          "n1 up, n2 down, n3 up, n4 up, n5 up",
        ]);
      await Bun.sleep(400);
    }
    expect(await probesFailed()).toEqual(failedBefore);
  });

  /** Of nodes that are believed to be alive. */
  const probesFailed = (): Promise<readonly number[]> =>
    Promise.all(
      except(1).map((index) => metricOf(cluster, index, "hutch_gossip_suspicions_total")),
    );

  test("row 113: with too few owners up a strict write is refused and nowhere to be seen, a sloppy one is kept", async () => {
    const key = await keyWith(except(1), (owners) => owners.includes("n2"));
    const { owners } = await routeOf(cluster, 0, `demo/${key}`);
    const second = indexOf(owners.find((owner) => owner !== "n2")!);
    const left = except(1, second);
    await cluster.kill(second, "SIGKILL");
    await untilSeen(cluster, left, second, ["down"]);

    const strict = { "X-Consistency": "r=2, w=2, sloppy=?0" };
    for (const index of left) {
      const refused = await put(cluster.key(index, "demo", key), "strict", strict);
      expect([refused.status, await codeOf(refused)]).toEqual([503, "unavailable"]);
      expect(refused.headers.get("retry-after")).not.toBeNull();
    }
    const sloppy = await put(cluster.key(left[0]!, "demo", `${key}/sloppy`), "kept");
    expect(sloppy.status).toBe(204);

    await Promise.all([cluster.restart(1), cluster.restart(second)]);
    await untilAllUp(cluster);
    await untilNoHints(cluster, 0);
    for (const index of ALL) {
      expect([index, (await read(index, key, { "X-Consistency": "ALL" })).status]).toEqual([
        index,
        404,
      ]);
      expect((await read(index, `${key}/sloppy`)).text).toBe("kept");
    }
  });

  async function keyWith(
    through: readonly number[],
    isWanted: (owners: readonly string[]) => boolean,
  ): Promise<string> {
    for (let number = 0; ; number++) {
      const { owners } = await routeOf(cluster, through[0]!, `demo/strict-${number}`);
      if (isWanted(owners)) return `strict-${number}`;
    }
  }
});

describe("row 116: SIGTERM of one node under load", () => {
  test("ends with 0 within 15 s; clients see nothing but shutting-down; nothing is lost", async () => {
    const load = new ClusterLoad(cluster, { seed: 116, bucket: "r116", through: ALL });
    load.start();
    await Bun.sleep(1000);
    const startedMs = performance.now();
    const { child } = cluster.node(3);
    await cluster.kill(3, "SIGTERM");
    expect(performance.now() - startedMs).toBeLessThan(15_000);
    expect(child.exitCode).toBe(0);
    load.talkTo(except(3));
    await Bun.sleep(2000);
    await load.stop();
    const unusual = [...load.unusualWrites, ...load.unusualReads].map(({ what }) => what);
    // Its own clients are told to go elsewhere, or find its door closed.
    const isExpected =
      /^n4 (503 shutting-down|.*(ConnectionRefused|ECONNRESET|ECONNREFUSED|Unable to connect|socket))/;
    expect(unusual.filter((what) => !isExpected.test(what))).toEqual([]);
    expect([await load.checkAll(except(3)), load.violations]).toEqual([[], []]);

    await cluster.restart(3);
    await untilAllUp(cluster);
    await untilNoHints(cluster, 0);
    expect([await load.checkAll(ALL), load.violations]).toEqual([[], []]);
    expect(
      countsOf((await put(cluster.key(3, "demo", "k"), "v")).headers.get("x-acks")),
    ).toMatchObject({
      hinted: 0,
    });
  });
});
