/** What a client sees of a node whose machine misbehaves, in virtual time. */
import { expect, test } from "bun:test";
import { NodeOnSim } from "../support/sim-node.ts";

const codeOf = (answer: { text: string }): unknown =>
  (JSON.parse(answer.text) as { code: unknown }).code;

test("row 87: an fdatasync of 5 s: the write is 504, its key is not shown before it is safe, other reads go on", () => {
  const sim = new NodeOnSim(87);
  expect(sim.put("before", "1").status).toBe(204);
  sim.machine.disk.faults.syncDelayMs = { min: 5000, max: 5000 };
  const slow = sim.put("slow", "2");
  expect(slow.status).toBe(504);
  expect(codeOf(slow)).toBe("write-indeterminate");
  expect(sim.get("before").text).toBe("1");
  sim.machine.disk.faults.syncDelayMs = { min: 1, max: 1 };
  sim.world.run(6000);
  expect(sim.get("slow").text).toBe("2");
  expect(sim.put("after", "3").status).toBe(204);
});

test("row 87: an fdatasync that never returns: writes are 504, reads go on, after 30 s the node gives up with disk-stuck", () => {
  const sim = new NodeOnSim(187);
  sim.put("before", "1");
  let failure = "";
  sim.node.onFailure((error) => (failure = error.code));
  sim.machine.disk.faults.syncDelayMs = "never";
  expect(sim.put("stuck", "2").status).toBe(504);
  expect(sim.get("before").text).toBe("1");
  sim.world.run(31_000);
  expect(failure).toBe("disk-stuck");
  expect(sim.put("late", "3").status).toBe(503);
  sim.machine.disk.faults.syncDelayMs = { min: 1, max: 1 };
  sim.restart("power-loss");
  expect(sim.get("before").text).toBe("1");
});

test("row 85: an I/O error on the sync of the log: 504, the node stops, nothing acknowledged is lost", () => {
  const sim = new NodeOnSim(85);
  sim.put("kept", "1");
  let failure = "";
  sim.node.onFailure((error) => (failure = error.code));
  sim.machine.disk.faults.failNth("sync", 1, "io");
  const answer = sim.put("unknown", "2");
  expect(answer.status).toBe(504);
  expect(codeOf(answer)).toBe("write-indeterminate");
  expect(failure).toBe("io-error");
  sim.restart("kill");
  expect(sim.get("kept").text).toBe("1");
});

test("row 88: a full disk: 507, nothing written, reads and restarts fine, writes again when there is space", () => {
  const sim = new NodeOnSim(88);
  sim.put("kept", "1");
  const { faults } = sim.machine.disk;
  const roomy = faults.quotaBytes;
  faults.quotaBytes = 1;
  for (let i = 0; i < 3; i++) {
    const answer = sim.put(`refused-${i}`, "2");
    expect(answer.status).toBe(507);
    expect(codeOf(answer)).toBe("disk-full");
    expect(sim.get(`refused-${i}`).status).toBe(404);
  }
  expect(sim.get("kept").text).toBe("1");
  faults.quotaBytes = roomy;
  sim.world.run(2000);
  expect(sim.put("again", "3").status).toBe(204);
  sim.restart("power-loss");
  expect(sim.get("refused-0").status).toBe(404);
  expect(sim.get("again").text).toBe("3");
});

test("row 90: no file descriptors left: what is open goes on, and flushes catch up", () => {
  const sim = new NodeOnSim(90, { memtableBytes: "8KiB" });
  sim.put("kept", "1");
  sim.machine.disk.faults.openFilesMax = 1;
  const statuses = new Set<number>();
  for (let i = 0; i < 60; i++) statuses.add(sim.put(`key-${i}`, "v".repeat(300)).status);
  for (const status of statuses) expect([204, 503, 507]).toContain(status);
  expect(sim.get("kept").text).toBe("1");
  sim.machine.disk.faults.openFilesMax = Infinity;
  sim.world.run(5000);
  for (let i = 0; i < 60; i++) expect(sim.put(`key-${i}`, "w".repeat(300)).status).toBe(204);
  sim.restart("kill");
  for (let i = 0; i < 60; i++) expect(sim.get(`key-${i}`).text).toBe("w".repeat(300));
});

test("row 95: the clock set back an hour, and forward an hour: later writes win, nothing expires early", () => {
  const sim = new NodeOnSim(95);
  sim.put("a", "first");
  sim.put("ttl", "still here", { "X-TTL": "2h" });
  sim.machine.clock.step(-3_600_000);
  expect(sim.put("a", "second").status).toBe(204);
  expect(sim.get("a").text).toBe("second");
  sim.machine.clock.step(3_600_000);
  expect(sim.put("a", "third").status).toBe(204);
  expect(sim.get("a").text).toBe("third");
  expect(sim.get("ttl").text).toBe("still here");
  sim.restart("kill");
  expect(sim.get("a").text).toBe("third");
});

test("R20: the clock stays behind over a restart: the HLC does not go back", () => {
  const sim = new NodeOnSim(20);
  sim.machine.clock.step(7_200_000);
  const before = sim.put("a", "1");
  expect([204, 503]).toContain(before.status);
  const seen = sim.get("a").headers.get("Last-Modified");
  sim.machine.clock.step(-7_200_000);
  sim.restart("kill");
  expect(sim.put("a", "2").status).toBe(204);
  const later = sim.get("a").headers.get("Last-Modified");
  expect(Date.parse(later!)).toBeGreaterThanOrEqual(Date.parse(seen ?? later!));
});

test("row 80: a flipped bit in a table of a one-node cluster is 500 data-corrupt, never 404 and never wrong bytes", () => {
  const sim = new NodeOnSim(80);
  for (let i = 0; i < 50; i++) sim.put(`key-${i}`, `value-${i}`);
  expect(sim.request("/v1/admin/flush", { method: "POST" }).status).toBe(202);
  sim.world.run(3000);
  const { disk } = sim.machine;
  const table = disk.list("").find((name) => name.endsWith(".sst"))!;
  disk.damage.flipBits(table, 3);
  sim.restart("kill");
  let corrupt = 0;
  for (let i = 0; i < 50; i++) {
    const answer = sim.get(`key-${i}`);
    if (answer.status === 500) {
      expect(codeOf(answer)).toBe("data-corrupt");
      corrupt++;
    } else expect(`${answer.status} ${answer.text}`).toBe(`200 value-${i}`);
  }
  expect(corrupt).toBeGreaterThan(0);
  const listing = sim.request("/v1/kv/b?limit=100");
  if (listing.status === 200)
    expect((JSON.parse(listing.text) as { partial: boolean }).partial).toBe(true);
  else expect(codeOf(listing)).toBe("data-corrupt");
});
