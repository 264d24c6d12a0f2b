import { expect, test } from "bun:test";
import { join } from "node:path";
import { CITY_COUNT, cityRecords } from "../../examples/cities.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { keyPath } from "../../src/client/client.ts";
import { NodeProcess, freePort, withDirectory } from "./node-process.ts";

const example = join(import.meta.dir, "..", "..", "examples", "cities.ts");
/** Cities that are acknowledged when the plug is pulled: somewhere in the middle. */
const KILL_AFTER = 50_000;
/** Keys that are read one by one besides the comparison of all. */
const SAMPLE = 500;

function startExample(url: string, ...args: readonly string[]) {
  return Bun.spawn([process.execPath, example, "--url", url, ...args], {
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
}

/** Reads the progress of the example; returns the highest number of acknowledged cities that it reported. */
async function followProgress(
  stderr: ReadableStream<Uint8Array>,
  onProgress: (done: number) => void,
): Promise<number> {
  const decoder = new TextDecoder();
  let text = "";
  let highest = 0;
  for await (const chunk of stderr) {
    text += decoder.decode(chunk, { stream: true });
    for (const [, done] of text.matchAll(/\r(\d+) of/g)) highest = Math.max(highest, Number(done));
    onProgress(highest);
  }
  return highest;
}

test("every city is stored byte for byte after a kill in the middle of the import, a restart and a resumed import", async () => {
  const records = cityRecords();
  expect(records).toHaveLength(CITY_COUNT);
  expect(Math.max(...records.map(({ key }) => utf8(key).length))).toBeLessThanOrEqual(256);

  await withDirectory(async (directory) => {
    const dataDir = join(directory, "n1");
    const port = freePort();
    // A small memtable, so that flushes and compactions are under way when the plug is pulled.
    const args = ["--memtable-bytes", "4MiB", "--wal-segment-bytes", "8MiB"];
    const first = await NodeProcess.start(dataDir, { port, args });
    const loading = startExample(first.url);
    const acknowledged = await followProgress(loading.stderr, (done) => {
      if (done >= KILL_AFTER) first.child.kill("SIGKILL");
    });
    expect(await loading.exited).not.toBe(0);
    expect(acknowledged).toBeGreaterThanOrEqual(KILL_AFTER);
    expect(acknowledged).toBeLessThan(CITY_COUNT);

    const second = await NodeProcess.start(dataDir, { port, args });
    try {
      const resumed = startExample(second.url, "--verify", "--country", "CH");
      const [output, log] = await Promise.all([resumed.stdout.text(), resumed.stderr.text()]);
      expect([await resumed.exited, log.split("\n").at(-1)]).toEqual([0, ""]);
      const sent = Number(/stored, (\d+) of them sent now/.exec(output)?.[1]);
      // What was acknowledged before the kill was found again and not sent twice.
      expect(sent).toBeGreaterThan(0);
      expect(sent).toBeLessThanOrEqual(CITY_COUNT - acknowledged);
      expect(output).toContain("countries: 246");
      expect(output).toMatch(/largest cities of CH:\n +Zürich +[\d,]+\n/);
      expect(output).toContain(`verified: all ${CITY_COUNT} cities are stored byte for byte`);

      const step = Math.floor(records.length / SAMPLE);
      for (let index = 0; index < records.length; index += step) {
        const { key, value } = records[index]!;
        const answer = await fetch(`${second.url}${keyPath("cities", key)}`);
        expect([answer.status, await answer.text()]).toEqual([200, value]);
      }
      expect(await second.end("SIGTERM")).toBe(0);
    } finally {
      await second.end("SIGKILL");
    }
  });
}, 120_000);
