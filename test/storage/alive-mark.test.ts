import { expect, test } from "bun:test";
import { utf8 } from "../../src/base/bytes.ts";
import { crc32 } from "../../src/kernels/kernels.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { ALIVE_EVERY_MS, AliveMark, lastAliveMs } from "../../src/storage/alive-mark.ts";
import { ALIVE_FILE } from "../../src/storage/file-names.ts";
import { settle } from "../support/many-nodes.ts";
import { ManualClock } from "../support/manual-clock.ts";

function started(disk = new SimDisk({ seed: 1 })): {
  disk: SimDisk;
  clock: ManualClock;
  mark: AliveMark;
} {
  const clock = new ManualClock();
  const mark = new AliveMark(disk, clock, silentLogger);
  mark.start();
  return { disk, clock, mark };
}

async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= ALIVE_EVERY_MS) {
    clock.advance(Math.min(left, ALIVE_EVERY_MS));
    await settle();
  }
}

test("R43: the last mark is at most ten seconds old after a power loss, and exact after a clean stop", async () => {
  const { disk, clock, mark } = started();
  expect(lastAliveMs(new SimDisk({ seed: 2 }))).toBeUndefined();
  await pass(clock, 3 * ALIVE_EVERY_MS + 1234);
  const lost = disk.powerLoss("strict");
  expect(lastAliveMs(lost)).toBe(clock.wallMs() - 1234);
  const again = started(lost);
  await pass(again.clock, 777);
  await again.mark.stop(true);
  expect(lastAliveMs(lost)).toBe(again.clock.wallMs());
  void mark;
});

test("R43: an unclean end marks nothing, and a node that never served leaves the old mark", async () => {
  const { disk, clock, mark } = started();
  const startMs = clock.wallMs();
  await pass(clock, 500);
  await mark.stop(false);
  expect(lastAliveMs(disk)).toBe(startMs);
  const idle = new AliveMark(disk, clock, silentLogger);
  await idle.stop(true);
  expect(lastAliveMs(disk)).toBe(startMs);
});

test("R43: a tail of anything hides no line before it", async () => {
  const { disk, clock, mark } = started();
  await pass(clock, ALIVE_EVERY_MS);
  await mark.stop(false);
  const file = disk.open(ALIVE_FILE, "read-write");
  file.append(new Uint8Array([0xff, 0xc3, 0x00, 0x0a, 0x80]));
  file.close();
  expect(lastAliveMs(disk)).toBe(clock.wallMs());
});

test("R43: a torn line costs ten seconds, a file that is all damage counts as away for ever", async () => {
  const { disk, clock, mark } = started();
  await pass(clock, 2 * ALIVE_EVERY_MS);
  await mark.stop(false);
  const file = disk.open(ALIVE_FILE, "read-write");
  file.truncate(file.size() - 3);
  expect(lastAliveMs(disk)).toBe(clock.wallMs() - ALIVE_EVERY_MS);
  file.write(new Uint8Array(file.size()).fill(0x41), 0);
  expect(lastAliveMs(disk)).toBe(0);
  file.close();
});

test("R43: a line whose checksum holds and which is no instant counts as damage", () => {
  const disk = new SimDisk({ seed: 1 });
  const file = disk.create(ALIVE_FILE);
  // A checksum of "x", made by hand.
  file.append(utf8(`x ${crc32(utf8("x")).toString(16).padStart(8, "0")}\n`));
  file.close();
  expect(lastAliveMs(disk)).toBe(0);
});

test("R43, C15: a failed sync is not tried again on the same file", async () => {
  const { disk, clock, mark } = started();
  disk.faults.failNth("sync", 1, "io");
  await pass(clock, ALIVE_EVERY_MS);
  await pass(clock, ALIVE_EVERY_MS);
  await mark.stop(false);
  expect(lastAliveMs(disk.powerLoss("strict"))).toBe(clock.wallMs());
});

test("R43: after half a day the file begins anew", async () => {
  const { disk, clock, mark } = started();
  await pass(clock, ALIVE_EVERY_MS * 4100);
  expect(disk.sizeOf(ALIVE_FILE)).toBeLessThan(1000);
  expect(lastAliveMs(disk)).toBe(clock.wallMs());
  await mark.stop(true);
});
