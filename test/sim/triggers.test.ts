/** FAULTS.md 2.8: what faults can wait for does happen, and what strikes at a call of the disk strikes before the call does anything. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { SimCrash } from "../../src/sim/crash.ts";
import { SimWorld } from "../../src/sim/world.ts";
import type { SimCluster } from "../../src/simulator/cluster.ts";
import { damageTable, tablesOf } from "../../src/simulator/damage.ts";
import { diskCallName, fileClass, type Happening } from "../../src/simulator/happenings.ts";
import { Nemesis } from "../../src/simulator/nemesis.ts";
import { SimOperator } from "../../src/simulator/operator.ts";
import type { Fault } from "../../src/simulator/plan.ts";
import {
  drawTrigger,
  isTrigger,
  TRIGGER_NAMES,
  type TriggerName,
  TRIGGERS,
  TriggerSource,
} from "../../src/simulator/triggers.ts";
import { fill, formed, get, post, put, remove } from "../support/sim-requests.ts";

setDefaultTimeout(60_000);

/** Counts what a cluster tells from now on; `hear` hears it before it is counted. */
function counted(
  cluster: SimCluster,
  hear: (event: string) => void = () => {},
): Map<string, number> {
  const counts = new Map<string, number>();
  cluster.onHappening = ({ event }) => {
    hear(event);
    counts.set(event, (counts.get(event) ?? 0) + 1);
  };
  return counts;
}

function expectHeard(counts: ReadonlyMap<string, number>, names: readonly TriggerName[]): void {
  expect(names.filter((name) => (counts.get(name) ?? 0) === 0)).toEqual([]);
}

/** Calls `strike` at the n-th `event`, with the node where it happens. */
function atNth(cluster: SimCluster, event: string, nth: number, strike: (index: number) => void) {
  let left = nth;
  cluster.onHappening = (happening: Happening) => {
    if (happening.event !== event || --left !== 0) return;
    strike(happening.index);
  };
}

/** Writes, whatever becomes of it. */
function writeUntil(cluster: SimCluster, isOver: () => boolean): void {
  const init = { method: "PUT", body: "x".repeat(700) };
  for (let i = 0; i < 400 && !isOver(); i++)
    cluster.world.runUntil(cluster.send(i % 3, `/v1/kv/b/k${i}`, init));
}

const lots = (cluster: SimCluster, count: number, prefix: string): void => {
  for (let i = 0; i < count; i++)
    put(cluster, i % cluster.present.length, `${prefix}${i}`, "x".repeat(700));
};

describe("triggers happen", () => {
  /** Groups of the table that a scenario has shown; the last test wants all of them. */
  const shown = new Set<TriggerName>();
  const show = (counts: ReadonlyMap<string, number>, ...names: TriggerName[]): void => {
    expectHeard(counts, names);
    for (const name of names) shown.add(name);
  };

  test("writing: the log, flushes, compactions, the manifest; a restart reads them", () => {
    const cluster = formed("triggers/store", { flags: { hintWindowMs: "0" } });
    const counts = counted(cluster);
    lots(cluster, 400, "k");
    cluster.crash(2);
    cluster.world.run(500);
    cluster.restart(2);
    cluster.quiesce();
    cluster.world.run(5000);
    show(counts, "wal-append", "wal-sync", "wal-rotate", "flush-begin", "flush-install");
    show(counts, "compaction-begin", "compaction-install", "scrub", "forward", "ack-sent");
    show(counts, "table-create", "table-rename", "table-remove");
    show(counts, "manifest-edit", "manifest-sync", "manifest-switch", "dir-sync", "recovery");
    show(counts, "alive-mark", "syncing", "serving", "hints-asked");
    expect(counts.get("flush-begin")).toBe(counts.get("job flush")!);
    expect(counts.get("compaction-install")).toBe(counts.get("job compact ends")!);
  });

  test("a node that was away: hints are stored, kept and replayed", () => {
    const cluster = formed("triggers/away", { nodes: 5 });
    const counts = counted(cluster);
    fill(cluster, 40);
    cluster.crash(0);
    cluster.world.run(3000);
    fill(cluster, 60, "missed");
    cluster.restart(0);
    cluster.quiesce();
    show(counts, "hint-store", "hint-replay", "hint-sent");
  });

  test("a disk that is put back: reads and trees mend its copies", () => {
    const cluster = formed("triggers/stale");
    fill(cluster, 60, "before");
    const image = cluster.imageOf(2);
    fill(cluster, 60);
    const counts = counted(cluster);
    cluster.crash(2);
    cluster.replaceDisk(2, image);
    cluster.restart(2);
    cluster.waitFor("it is back", () => cluster.isStarted(2), 5000);
    for (let i = 0; i < 60; i++) get(cluster, i % 2, `k${i}`, { "X-Consistency": "ALL" });
    cluster.world.run(8000);
    show(counts, "read-repair", "tree-roots", "tree-hashes");
  });

  test("deletions are collected in two phases; what is imported from before is suspect", () => {
    const cluster = formed("triggers/collect");
    const counts = counted(cluster);
    fill(cluster, 30);
    for (const i of cluster.present) post(cluster, i, "/v1/admin/flush");
    cluster.world.run(1000);
    const { text: dump } = cluster.request(0, "/v1/export/b");
    for (let i = 0; i < 30; i++) remove(cluster, 0, `k${i}`);
    cluster.world.run(20_000);
    show(counts, "collect-phase-1", "collect-phase-2");
    const init = { method: "POST", body: dump };
    expect(cluster.request(0, "/v1/import/b?mode=merge", init).status).toBe(200);
    cluster.world.run(2000);
    show(counts, "suspect-asked");
  });

  test("the ring: a vote, a join, layouts, streams, one that cannot be handed over, and a leave", () => {
    const cluster = formed("triggers/ring");
    const operator = new SimOperator(cluster);
    const counts = counted(cluster, (event) => {
      // The first that arrives is the last: nobody can hand it anything over.
      if (event === "stream-chunk" && !counts.has(event))
        cluster.after(0, () => cluster.crash(late));
    });
    fill(cluster, 60);
    const late = operator.join();
    cluster.waitFor("records are streamed", () => counts.has("stream-chunk"), 30_000);
    cluster.world.run(1000);
    show(counts, "handover-waits");
    cluster.restart(late);
    cluster.quiesce();
    show(
      counts,
      "vote",
      "join",
      "layout-spread",
      "layout-apply",
      "stream-chunk",
      "stream-sent",
      "range-compare",
    );
    void operator.leave(late);
    cluster.waitFor("it has left", () => cluster.gone.has(late), 60_000);
    show(counts, "leave");
  });

  test("damage: a table is put aside and saved; other copies of a bucket: trees are built anew", () => {
    const cluster = formed("triggers/damage");
    const counts = counted(cluster);
    fill(cluster, 100);
    for (const i of cluster.present) post(cluster, i, "/v1/admin/flush");
    cluster.world.run(2000);
    for (const path of tablesOf(cluster, 1))
      damageTable(cluster, 1, path, "data", new Prng("triggers/damage"));
    cluster.world.run(8000);
    show(counts, "table-quarantine", "salvage");
    const init = { method: "PATCH", body: JSON.stringify({ n: 2 }) };
    expect(cluster.request(0, "/v1/buckets/b", init).status).toBe(200);
    cluster.world.run(3000);
    show(counts, "tree-rebuild");
  });

  test("no name of the table has been left out", () => {
    expect(TRIGGER_NAMES.filter((name) => !shown.has(name))).toEqual([]);
  });
});

describe("what strikes at a call of the disk", () => {
  const DISK: readonly TriggerName[] = [
    "wal-append",
    "wal-sync",
    "wal-rotate",
    "flush-install",
    "table-create",
    "table-rename",
    "manifest-edit",
    "manifest-sync",
    "dir-sync",
  ];

  test.each(DISK)("%s: the node dies at the second of these calls, and comes back", (name) => {
    const cluster = formed(`triggers/at/${name}`);
    const happening = TRIGGERS[name].on;
    let heard = 0;
    let victim = -1;
    let wasCalls = 0;
    cluster.onHappening = ({ event, index, isDiskCall }) => {
      if (event !== name || victim >= 0 || ++heard < 2) return;
      expect(isDiskCall).toBe(true);
      victim = index;
      wasCalls = cluster.machines[index]!.disk.callCount;
      cluster.crash(index);
    };
    writeUntil(cluster, () => victim >= 0);
    expect(victim).toBeGreaterThanOrEqual(0);
    const { disk } = cluster.machines[victim]!;
    // Nothing was called after it.
    expect(disk.callCount).toBe(wasCalls);
    expect(diskCallName(disk.calls.at(-1)!)).toBe(happening);
    expect(() => disk.list("")).toThrow(SimCrash);
    cluster.world.run(100);
    cluster.restart(victim);
    cluster.quiesce();
    expect(cluster.failures).toEqual([]);
  });

  test("manifest-switch: after a power loss at the rename CURRENT names the old manifest", () => {
    const cluster = formed("triggers/switch");
    fill(cluster, 20);
    const { image } = cluster.machines[1]!.disk;
    const before = textAt(image, "CURRENT");
    cluster.crash(1);
    atNth(cluster, "manifest-switch", 1, (index) => cluster.crash(index));
    cluster.restart(1);
    cluster.world.run(1000);
    expect(cluster.isUp(1)).toBe(false);
    expect(textAt(image, "CURRENT")).toBe(before);
    expect(textAt(image, "CURRENT.tmp")).not.toBe(before);
    cluster.onHappening = undefined;
    cluster.restart(1);
    cluster.quiesce();
    expect(textAt(cluster.machines[1]!.disk.image, "CURRENT")).not.toBe(before);
  });

  test("dir-sync: the names that were to be synced are not", () => {
    const cluster = formed("triggers/directory");
    let pending = 0;
    let victim = -1;
    atNth(cluster, "dir-sync", 1, (index) => {
      victim = index;
      pending = cluster.machines[index]!.disk.image.pending.length;
      cluster.crash(index);
    });
    writeUntil(cluster, () => victim >= 0);
    expect(victim).toBeGreaterThanOrEqual(0);
    expect(pending).toBeGreaterThan(0);
    expect(cluster.machines[victim]!.disk.image.pending).toHaveLength(pending);
  });

  test("the nemesis does so: a power loss at the third table-rename leaves that table without its name", () => {
    const cluster = formed("triggers/nemesis");
    const fault: Fault = {
      kind: "power loss",
      when: { on: "table-rename", nth: 3 },
      forMs: 60_000,
      nodes: [0],
      chance: "x",
    };
    new Nemesis(cluster, { downAtOnceMax: 1 }).schedule([fault]);
    writeUntil(cluster, () => cluster.present.some((i) => !cluster.isUp(i)));
    const victim = cluster.present.find((i) => !cluster.isUp(i))!;
    const machine = cluster.machines[victim]!;
    expect(machine.hasPower).toBe(false);
    const last = machine.disk.calls.at(-1)!;
    expect(diskCallName(last)).toBe("disk rename table.tmp");
    expect(machine.disk.image.visible.has(last.path)).toBe(true);
    expect(machine.disk.image.visible.has(last.path.slice(0, -".tmp".length))).toBe(false);
  });

  test("a fault of the disk that is planned there meets that very call", () => {
    const world = new SimWorld(1);
    const node = world.node("a");
    node.onDiskCall = ({ kind }) => {
      if (kind === "create") node.disk.faults.failNth("create", 1, "no-space");
    };
    expect(() => node.disk.create("x")).toThrow("no-space");
    expect(node.disk.sizeOf("x")).toBe(-1);
  });
});

const textAt = (image: { visible: ReadonlyMap<string, unknown> }, path: string): string => {
  const inode = image.visible.get(path) as { visible: { slice(): Uint8Array } };
  return new TextDecoder().decode(inode.visible.slice());
};

describe("the table", () => {
  test("names are words with hyphens, and each stands for a happening", () => {
    for (const name of TRIGGER_NAMES) {
      expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
      expect(isTrigger(name)).toBe(true);
      expect(isTrigger(TRIGGERS[name].on)).toBe(true);
      expect(TRIGGERS[name].nthMax).toBeGreaterThan(0);
    }
    expect(isTrigger("disk sync log")).toBe(true);
    expect(isTrigger("Flush begin")).toBe(false);
  });

  test("all of them are drawn, within their bounds", () => {
    const prng = new Prng("triggers");
    const drawn = Array.from({ length: 2000 }, () => drawTrigger(prng));
    expect(new Set(drawn.map(({ on }) => on)).size).toBe(TRIGGER_NAMES.length);
    for (const { on, nth } of drawn) {
      expect(nth).toBeGreaterThanOrEqual(1);
      expect(nth).toBeLessThanOrEqual(TRIGGERS[on].nthMax);
    }
  });

  test("what waits for something else first waits for it at its own node, each time", () => {
    const source = new TriggerSource();
    const heard: string[] = [];
    source.listener = ({ index, event }) => void heard.push(`${index} ${event}`);
    const count = (): number => heard.filter((line) => line.endsWith("compaction-install")).length;
    source.tell(0, "disk append manifest", true);
    expect(count()).toBe(0);
    source.tell(1, "job compact ends");
    source.tell(0, "disk append manifest", true);
    expect(count()).toBe(0);
    source.tell(1, "disk append manifest", true);
    source.tell(1, "disk append manifest", true);
    expect(count()).toBe(1);
    expect(heard).toContain("1 compaction-install");
  });

  test.each([
    ["000000000042.wal", "log"],
    ["000000000043.sst", "table"],
    ["000000000043.sst.tmp", "table.tmp"],
    ["000000000043.sst.corrupt", "table.corrupt"],
    ["000000000044.manifest", "manifest"],
    ["CURRENT", "current"],
    ["CURRENT.tmp", "current.tmp"],
    ["IDENTITY", "identity"],
    ["ALIVE.tmp", "alive.tmp"],
    ["LOCK", "lock"],
    ["", "directory"],
    ["notes.txt", "other"],
    ["deep/000000000042.wal", "other"],
  ])('the file "%s" is of the class "%s"', (path, wanted) => {
    expect(fileClass(path)).toBe(wanted);
  });
});

describe("jobs", () => {
  test("tell when they begin, end and fail", async () => {
    const world = new SimWorld(1, {
      jobs: {
        good: { lane: "x", run: async () => 1 },
        bad: { lane: "x", run: () => Promise.reject(new Error("broken")) },
      },
    });
    const node = world.node("a");
    const heard: string[] = [];
    node.onJob = (kind, stage) => void heard.push(`${kind} ${stage}`);
    expect(world.runUntil(node.workers.run<null, number>("good", null))).toBe(1);
    expect(() => world.runUntil(node.workers.run("bad", null))).toThrow("broken");
    node.crash();
    node.restart();
    world.runUntil(node.workers.run("good", null));
    expect(heard).toEqual([
      "good begins",
      "good ends",
      "bad begins",
      "bad fails",
      "good begins",
      "good ends",
    ]);
  });
});
