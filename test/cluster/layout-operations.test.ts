/** Changes of the ring as operators make them, on one node's view: n1 to n4 own the ring, n3 is down, n6 waits outside. */
import { describe, expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import { AdminJobs } from "../../src/cluster/admin-jobs.ts";
import { ClusterView } from "../../src/cluster/cluster-view.ts";
import type { ChangeProgress } from "../../src/cluster/layout-control.ts";
import { LayoutOperations } from "../../src/cluster/layout-operations.ts";
import type { Liveness, Member } from "../../src/gossip/member.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { assignLayout } from "../../src/ring/assignment.ts";
import { LayoutState } from "../../src/ring/layout-state.ts";
import { planTransfers } from "../../src/ring/transfer-plan.ts";
import { FakeLayoutControl } from "../support/fake-layout-control.ts";
import { ManualClock } from "../support/fake-kv.ts";

const Q = 16;
const BYTES = 1000;
const idOf = (name: string): string => name.replace("n", "a").padStart(16, "0");
const zoneOf = (name: string) => ({ dc: "dc1", rack: "rack1", host: `host-${name}` });

function member(name: string, liveness: Liveness = "alive"): Member {
  const record = {
    id: idOf(name),
    name,
    peerAddress: `127.0.0.1:71${name.slice(1)}`,
    clientAddress: `127.0.0.1:70${name.slice(1)}`,
    zone: zoneOf(name),
    weight: 1,
    incarnation: 1,
    version: 1,
    phase: "serving" as const,
    layoutVersion: 1,
    layoutHash: 0,
    bucketsHash: 0,
  };
  return { record, liveness };
}

function setUp({ names = ["n1", "n2", "n3", "n4"], n = 3 } = {}) {
  const members = names.map((name) => {
    const { id, zone, weight, peerAddress } = member(name).record;
    return { id, name, zone, weight, peerAddress };
  });
  const layout = assignLayout({ version: 1, q: Q, n, members });
  const control = new FakeLayoutControl(layout, n);
  const known = [...names, "n6"].map((name) => member(name, name === "n3" ? "down" : "alive"));
  const byId = new Map(known.map((each) => [each.record.id, each]));
  const clock = new ManualClock();
  const jobs = new AdminJobs(silentLogger);
  const operations = new LayoutOperations({
    control,
    clock,
    jobs,
    view: () => new ClusterView(control.state(), idOf("n1"), byId),
    copyBytes: async () => () => BYTES,
  });
  return { operations, control, clock, jobs, layout, members: byId };
}

/** `code: message`, or "" where it worked. */
async function refusal(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
    return "";
  } catch (error) {
    return error instanceof HutchError ? `${error.code}: ${error.message}` : String(error);
  }
}

const unforced = { isForced: false };
const forced = { isForced: true };

function progressOf(changes: Partial<ChangeProgress> = {}): ChangeProgress {
  return {
    version: 2,
    readVersion: 1,
    nodes: 4,
    acknowledged: 0,
    synced: 0,
    transfersDone: 0,
    transfersTotal: 0,
    bytesSent: 0,
    waitingFor: [],
    ...changes,
  };
}

describe("show()", () => {
  test("says what each node carries, and that nothing is staged or under way", async () => {
    const { operations } = setUp();
    const shown = await operations.show();
    expect(shown).toMatchObject({
      version: 1,
      q: Q,
      n: 3,
      staged: [],
      conflicts: [],
      change: null,
    });
    expect(shown.nodes.map(({ id, partitions }) => [id, partitions])).toEqual([
      ["n1", 12],
      ["n2", 12],
      ["n3", 12],
      ["n4", 12],
    ]);
    expect(shown.spread.widest).toEqual({ dcs: 1, racks: 1, hosts: 3 });
    expect("preview" in shown).toBe(false);
  });

  test("the spread is that of the zones where nodes are today", async () => {
    const { operations, members } = setUp({ names: ["n1", "n2", "n3"], n: 2 });
    const moved = members.get(idOf("n1"))!;
    members.set(idOf("n1"), {
      ...moved,
      record: { ...moved.record, zone: { ...moved.record.zone, rack: "rack2" } },
    });
    const { spread } = await operations.show();
    expect(spread.widest.racks).toBe(2);
    // Two of three nodes are in the old rack: partitions that only they own are below.
    expect(spread.below.length).toBeGreaterThan(0);
    expect(spread.below.length).toBeLessThan(Q);
  });

  test("a change under way is shown by the names of nodes", async () => {
    const { operations, control } = setUp();
    control.under = progressOf({ transfersDone: 3, transfersTotal: 9, waitingFor: [idOf("n3")] });
    expect((await operations.show()).change).toMatchObject({
      version: 2,
      transfers: { done: 3, total: 9 },
      waitingFor: ["n3"],
    });
  });
});

describe("preview() and stage()", () => {
  test("R57: a preview is what applying makes, to the copy, and stages nothing", async () => {
    const { operations, control, layout } = setUp();
    const requests = [
      { id: "n6", action: "join" },
      { id: "n2", weight: 2 },
    ] as const;
    const shown = await operations.preview(requests);
    expect(control.state().staged.size).toBe(0);
    expect(shown.staged.map(({ id, action }) => [id, action])).toEqual([
      ["n2", "update"],
      ["n6", "join"],
    ]);
    await operations.stage(requests);
    const staged = await operations.show();
    expect(staged.preview!).toEqual(shown.preview!);
    await operations.apply(2, unforced);
    const transfers = planTransfers(layout, control.state().newest);
    expect(shown.preview!.moves).toEqual({
      partitions: transfers.length,
      bytes: transfers.length * BYTES,
    });
    expect(shown.preview!.version).toBe(2);
    for (const { id, after } of shown.preview!.nodes)
      expect((await operations.show()).nodes.find((node) => node.id === id)!.partitions).toBe(
        after,
      );
  });

  test("a zone given in part keeps the rest; a weight comes on top of a staged join", async () => {
    const { operations, control } = setUp();
    await operations.stage([{ id: "n2", zone: { rack: "rack9" } }]);
    await operations.stage([{ id: "n2", zone: { host: "h9" } }]);
    await operations.stage([{ id: "n6", action: "join" }]);
    await operations.stage([{ id: "n6", weight: 3 }]);
    const { staged } = await operations.show();
    expect(staged).toMatchObject([
      { id: "n2", action: "update", zone: { dc: "dc1", rack: "rack9", host: "h9" } },
      { id: "n6", action: "join", weight: 3 },
    ]);
    await operations.stage([{ id: "n6", action: "none" }]);
    expect((await operations.show()).staged).toHaveLength(1);
    await operations.revert();
    expect(control.state().staged.size).toBe(0);
  });

  test("names and ids are the same; what nobody knows, or what is no member, is refused", async () => {
    const { operations } = setUp();
    await operations.stage([{ id: idOf("n4"), weight: 2 }]);
    expect((await operations.show()).staged).toMatchObject([{ id: "n4", weight: 2 }]);
    const stage = (request: Parameters<typeof operations.stage>[0][number]) =>
      refusal(operations.stage([request]));
    expect(await stage({ id: "n99", weight: 2 })).toStartWith("bad-request: Cannot find node");
    expect(await stage({ id: "n6", weight: 2 })).toStartWith("layout-conflict: ");
    expect(await stage({ id: "n6", action: "leave" })).toStartWith("layout-conflict: ");
    expect(await stage({ id: "n2", action: "join" })).toStartWith("layout-conflict: ");
    expect(await stage({ id: "n3", action: "replace", with: "n99" })).toStartWith("bad-request: ");
    const leave = operations.changeNode({ id: "n99", action: "leave" }, unforced);
    expect(await refusal(leave)).toStartWith("no-such-route: ");
  });

  test("what would leave no node at all is refused before it is staged", async () => {
    const { operations, control } = setUp({ names: ["n1"], n: 1 });
    const attempt = operations.stage([{ id: "n1", action: "leave" }]);
    expect(await refusal(attempt)).toStartWith("layout-conflict: ");
    expect(control.state().staged.size).toBe(0);
  });
});

describe("apply()", () => {
  test("R57: takes the version that was shown, and no other", async () => {
    const { operations, control } = setUp();
    expect(await refusal(operations.apply(2, unforced))).toContain("nothing is staged");
    await operations.stage([{ id: "n2", weight: 2 }]);
    expect(await refusal(operations.apply(3, unforced))).toStartWith("layout-conflict: ");
    expect((await operations.apply(2, unforced)).kind).toBe("layout");
    expect(control.state().newest.version).toBe(2);
    expect(control.forced).toEqual([false]);
  });

  test("rows 104, 105: objections are shown with the preview, and refuse unless forced", async () => {
    const { operations, control } = setUp();
    const { preview } = await operations.stage([
      { id: "n1", action: "leave" },
      { id: "n2", action: "remove" },
    ]);
    const codes = preview!.objections.map(({ code }) => code);
    expect(codes).toEqual(["node-alive", "would-underreplicate"]);
    expect(await refusal(operations.apply(2, unforced))).toStartWith("node-alive: ");
    expect(control.state().newest.version).toBe(1);
    await operations.apply(2, forced);
    expect(control.forced).toEqual([true]);
  });
});

describe("leave, remove, replace", () => {
  test("row 104: a leave that leaves fewer than n nodes is refused unless forced", async () => {
    const { operations, control } = setUp({ names: ["n1", "n2", "n4"] });
    const leave = (options: { readonly isForced: boolean }) =>
      operations.changeNode({ id: "n2", action: "leave" }, options);
    expect(await refusal(leave(unforced))).toStartWith("would-underreplicate: ");
    expect(control.state().staged.size).toBe(0);
    expect((await leave(forced)).kind).toBe("leave");
    expect(control.state().newest.members).toHaveLength(2);
  });

  test("row 105: a node that is up is removed by force only, one that is down at once", async () => {
    const { operations, control } = setUp();
    const remove = (id: string, isForced: boolean) =>
      operations.changeNode({ id, action: "remove" }, { isForced });
    expect(await refusal(remove("n2", false))).toStartWith("node-alive: ");
    expect(control.state().staged.size).toBe(0);
    await remove("n3", false);
    expect([...control.state().removed.keys()]).toEqual([idOf("n3")]);
    await remove("n2", true);
    expect(control.state().removed.has(idOf("n2"))).toBe(true);
  });

  test("a node that is down cannot leave: nobody would hand over what it holds", async () => {
    const { operations } = setUp();
    const leave = operations.changeNode({ id: "n3", action: "leave" }, unforced);
    expect(await refusal(leave)).toMatch(/^unavailable: .*remove or replace/);
  });

  test("row 115: the heir takes exactly the copies of the dead node, which is gone for ever", async () => {
    const { operations, control, layout } = setUp();
    const replace = (id: string, heir: string) =>
      operations.changeNode({ id, action: "replace", with: heir }, unforced);
    expect(await refusal(replace("n2", "n6"))).toStartWith("node-alive: ");
    expect(await refusal(replace("n3", "n4"))).toStartWith("layout-conflict: ");
    expect((await replace("n3", "n6")).kind).toBe("replace");
    const transfers = planTransfers(layout, control.state().newest);
    expect(transfers).toHaveLength(12);
    for (const { source, target } of transfers)
      expect([source, target]).toEqual([idOf("n3"), idOf("n6")]);
    expect(control.state().removed.has(idOf("n3"))).toBe(true);
  });

  test("the successor of a dead node may have its name", async () => {
    const { operations, control, members } = setUp();
    const fresh = member("n3");
    members.set("00000000000000ff", {
      ...fresh,
      record: { ...fresh.record, id: "00000000000000ff" },
    });
    await operations.changeNode({ id: "n3", action: "replace", with: "n3" }, unforced);
    const ids = control.state().newest.members.map(({ id }) => id);
    expect(ids).toContain("00000000000000ff");
    expect(ids).not.toContain(idOf("n3"));
  });

  test("row 103: what others have staged is not taken along, and a lost vote leaves nothing", async () => {
    const { operations, control } = setUp();
    await operations.stage([{ id: "n4", weight: 2 }]);
    const leave = () => operations.changeNode({ id: "n2", action: "leave" }, unforced);
    expect(await refusal(leave())).toMatch(/^layout-conflict: .*n4/);
    await operations.revert();
    control.failure = new HutchError("layout-conflict", "Cannot apply: others were first");
    expect(await refusal(leave())).toBe("layout-conflict: Cannot apply: others were first");
    expect(control.state().staged.size).toBe(0);
    expect(control.state().newest.version).toBe(1);
  });
});

describe("the job of a change", () => {
  const turns = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await Promise.resolve();
  };

  test("goes forward with it, says what holds it back, and ends with it", async () => {
    const { operations, control, clock } = setUp();
    control.under = progressOf({ acknowledged: 2, waitingFor: [idOf("n3")] });
    const job = await operations.changeNode({ id: "n2", action: "leave" }, unforced);
    expect(job).toMatchObject({ kind: "leave", state: "running", progress: 0.05 });
    expect(job.detail).toContain("waiting for n3");
    let last = job.progress;
    for (const changes of [
      { acknowledged: 4, transfersDone: 1, transfersTotal: 4 },
      { acknowledged: 4, synced: 2, transfersDone: 4, transfersTotal: 4 },
      { acknowledged: 4, synced: 1, transfersDone: 4, transfersTotal: 8 },
    ]) {
      control.under = progressOf(changes);
      clock.advance(1000);
      await turns();
      expect(job.progress).toBeGreaterThanOrEqual(last);
      expect(job.progress).toBeLessThan(1);
      last = job.progress;
    }
    control.under = undefined;
    clock.advance(1000);
    await turns();
    expect(job).toMatchObject({ state: "done", progress: 1 });
    expect(job.detail).toContain("version 2");
  });

  test("fails where a later version takes the change back", async () => {
    const { operations, control, clock } = setUp();
    control.under = progressOf();
    const job = await operations.changeNode({ id: "n2", action: "leave" }, unforced);
    await operations.revert();
    control.under = undefined;
    clock.advance(1000);
    await turns();
    expect(job).toMatchObject({ state: "failed" });
    expect(job.detail).toContain("version 3 took it back");
  });

  test("ends when the node does", async () => {
    const { operations, control, clock } = setUp();
    control.under = progressOf();
    const job = await operations.changeNode({ id: "n2", action: "leave" }, unforced);
    operations.close();
    clock.advance(1000);
    await turns();
    expect(job).toMatchObject({ state: "failed", detail: expect.stringContaining("goes on") });
  });
});

describe("a cluster of one", () => {
  const { layout } = setUp({ names: ["n1"], n: 1 });
  const operations = new LayoutOperations({
    jobs: new AdminJobs(silentLogger),
    view: () => new ClusterView(LayoutState.first(layout), idOf("n1"), new Map()),
    copyBytes: async () => () => BYTES,
  });

  test("shows its layout and says why it cannot change", async () => {
    expect(await operations.show()).toMatchObject({
      version: 1,
      nodes: [{ id: "n1" }],
      change: null,
    });
    for (const attempt of [
      () => operations.stage([{ id: "n1", weight: 2 }]),
      () => operations.preview([{ id: "n1", weight: 2 }]),
      () => operations.apply(2, unforced),
      () => operations.revert(),
      () => operations.changeNode({ id: "n1", action: "leave" }, unforced),
    ])
      expect(await refusal(attempt())).toMatch(/^layout-conflict: .*cluster of one/);
  });
});
