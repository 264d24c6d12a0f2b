/**
 * The real program on files whose syncs, writes and reads fail, wait or fall short.
 * On a machine where calls cannot be caught, what is held is that this is said; the same rows are held there by the simulated disk.
 */
import { expect, test } from "bun:test";
import { SyncFaults } from "../nemesis/sync-faults.ts";
import { syncFaultRun } from "../support/sync-fault-run.ts";
import { NodeProcess, withDirectory } from "./node-process.ts";

const whyNot = SyncFaults.available();

interface Patient {
  readonly node: NodeProcess;
  readonly faults: SyncFaults;
  readonly dataDir: string;
}

/** A node whose file calls are in the hands of the test. */
async function withPatient(
  body: (patient: Patient) => Promise<void>,
  args: readonly string[] = [],
): Promise<void> {
  await withDirectory(async (dataDir) => {
    const faults = SyncFaults.make({ under: dataDir });
    const { environment } = faults;
    const node = await NodeProcess.start(dataDir, { args, environment });
    try {
      await body({ node, faults, dataDir });
    } finally {
      await node.end("SIGKILL");
      faults.close();
    }
  });
}

interface Answer {
  readonly status: number;
  /** Of a problem, or the value. */
  readonly text: string;
}

async function answerOf(request: Promise<Response>): Promise<Answer> {
  const answer = await request;
  const body = await answer.text();
  return { status: answer.status, text: answer.ok ? body : (JSON.parse(body) as Problem).code };
}

interface Problem {
  readonly code: string;
}

const put = ({ node }: Patient, key: string, body: string): Promise<Answer> =>
  answerOf(fetch(node.key("b", key), { method: "PUT", body }));
const get = ({ node }: Patient, key: string): Promise<Answer> =>
  answerOf(fetch(node.key("b", key)));

/** What another node finds on the same data. */
async function afterRestart(patient: Patient, key: string): Promise<Answer> {
  const node = await NodeProcess.start(patient.dataDir);
  try {
    return await get({ ...patient, node }, key);
  } finally {
    await node.end("SIGTERM");
  }
}

const WRITTEN: Answer = { status: 204, text: "" };

function testFaults(): void {
  test("rows 85, 86: the n-th sync fails, of start, log, table or manifest: exit 74, no acknowledged write lost, then nor by a power loss", async () => {
    const numbers = [4, 30, 47];
    const result = await syncFaultRun({ seed: 1, what: "sync", numbers });
    expect(result.failedStarts).toBeGreaterThan(0);
    expect(result.failedUnderLoad).toBeGreaterThan(0);
    expect(result.acknowledged).toBeGreaterThan(0);
  }, 120_000);

  test("row 85: the n-th write fails: the same", async () => {
    const result = await syncFaultRun({ seed: 2, what: "write", numbers: [11, 60] });
    expect(result.failedStarts + result.failedUnderLoad).toBe(2);
    expect(result.acknowledged).toBeGreaterThan(0);
  }, 120_000);

  test("row 87: a sync takes longer than the request may: 504, reads go on, and so does the node when the disk is fast again", async () => {
    const body = async (patient: Patient): Promise<void> => {
      const { node, faults } = patient;
      expect(await put(patient, "kept", "1")).toEqual(WRITTEN);
      faults.set({ delayMs: 5000 });
      const slow = put(patient, "slow", "2");
      expect(await get(patient, "kept")).toEqual({ status: 200, text: "1" });
      expect(await slow).toEqual({ status: 504, text: "write-indeterminate" });
      faults.set({ delayMs: 0 });
      // What was written can be read once the sync is over, and not before.
      await untilStatus(patient, "slow", 200);
      expect(await put(patient, "fast", "3")).toEqual(WRITTEN);
      expect(await get(patient, "slow")).toEqual({ status: 200, text: "2" });
      expect(faults.counts().syncsDelayed).toBeGreaterThan(0);
      expect(await node.end("SIGTERM")).toBe(0);
    };
    await withPatient(body, ["--request-timeout", "1s"]);
  }, 60_000);

  test("row 87: a sync that never returns: 504, reads go on, then exit 75; what was acknowledged is there", async () => {
    const body = async (patient: Patient): Promise<void> => {
      const { node, faults } = patient;
      expect(await put(patient, "kept", "1")).toEqual(WRITTEN);
      faults.set({ isStuck: true });
      expect(await put(patient, "stuck", "2")).toEqual({
        status: 504,
        text: "write-indeterminate",
      });
      expect(await get(patient, "kept")).toEqual({ status: 200, text: "1" });
      expect(await node.child.exited).toBe(75);
      expect(await afterRestart(patient, "kept")).toEqual({ status: 200, text: "1" });
    };
    await withPatient(body, ["--sync-stuck", "3s", "--request-timeout", "500ms"]);
  }, 60_000);

  test("row 84: a read of a table fails: data-corrupt and not 404, and the node stays up", async () => {
    const body = async (patient: Patient): Promise<void> => {
      const { node, faults } = patient;
      const keys = Array.from({ length: 100 }, (_, i) => `k${i}`);
      for (const key of keys) expect(await put(patient, key, `value ${key}`)).toEqual(WRITTEN);
      await fetch(`${node.url}/v1/admin/flush`, { method: "POST" });
      await untilReadFromTable(patient, keys.slice(8));
      faults.set({ failNextReads: 1_000_000 });
      expect(await get(patient, "k7")).toEqual({ status: 500, text: "data-corrupt" });
      faults.clear();
      // The table counts as damaged from now on, whatever else the disk says.
      for (const key of keys) {
        const { status, text } = await get(patient, key);
        expect([`200 value ${key}`, "500 data-corrupt"]).toContain(`${status} ${text}`);
      }
      expect((await fetch(`${node.url}/healthz`)).status).toBe(200);
      expect(node.child.exitCode).toBeNull();
    };
    await withPatient(body, ["--read-mode", "read", "--block-cache-bytes", "0"]);
  }, 60_000);

  test("row 88: no space for a write of the log: 507, nothing written, and the next one is fine", async () => {
    await withPatient(async (patient) => {
      const { faults } = patient;
      expect(await put(patient, "kept", "1")).toEqual(WRITTEN);
      // Not only one: the node writes marks of its own into the log.
      faults.set({ failNextWrites: 1_000_000, writeError: "ENOSPC" });
      expect(await put(patient, "refused", "2")).toEqual({ status: 507, text: "disk-full" });
      expect(faults.counts().writesFailed).toBeGreaterThan(0);
      faults.clear();
      expect((await get(patient, "refused")).status).toBe(404);
      expect(await put(patient, "again", "3")).toEqual(WRITTEN);
      expect(await get(patient, "kept")).toEqual({ status: 200, text: "1" });
    });
  }, 60_000);

  test("C1: writes that fall short are completed", async () => {
    await withPatient(async (patient) => {
      const { node, faults } = patient;
      faults.set({ shortenNextWrites: 1_000_000 });
      const value = "x".repeat(10_000);
      for (let i = 0; i < 20; i++) expect(await put(patient, `k${i}`, value)).toEqual(WRITTEN);
      expect(faults.counts().writesShortened).toBeGreaterThan(20);
      await node.end("SIGKILL");
      expect(await afterRestart(patient, "k19")).toEqual({ status: 200, text: value });
    });
  }, 60_000);
}

/** Reads come from memory until the table is there. Not all reads of files are of a table, and a key that is asked for often has its answer kept. */
async function untilReadFromTable(patient: Patient, keys: readonly string[]): Promise<void> {
  let inRow = 0;
  for (const key of keys) {
    const { reads } = patient.faults.counts();
    await get(patient, key);
    inRow = patient.faults.counts().reads > reads ? inRow + 1 : 0;
    if (inRow === 3) return;
    if (inRow === 0) await Bun.sleep(100);
  }
  throw new Error("reads still come from memory");
}

async function untilStatus(patient: Patient, key: string, wanted: number): Promise<void> {
  const deadlineMs = performance.now() + 20_000;
  while ((await get(patient, key)).status !== wanted)
    if (performance.now() > deadlineMs) throw new Error(`"${key}" was never ${wanted}`);
}

if (whyNot === undefined) testFaults();
else
  test(`rows 84 to 87 with faults from outside cannot be run here: ${whyNot}`, () => {
    expect(() => SyncFaults.make()).toThrow(whyNot);
  });
