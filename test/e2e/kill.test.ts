/** A slice of `bun run torture`: the real program, killed under load. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killRun } from "../support/kill-run.ts";

test.each(["group", "always"] as const)(
  "row 75: SIGKILL under load, again and again: start below 10 s, no acknowledged write lost, fsync %s",
  async (fsync) => {
    const root = mkdtempSync(join(tmpdir(), "hutch-kill-"));
    try {
      const result = await killRun({ seed: 1, kills: 8, dataDir: join(root, "data"), fsync });
      expect(result.acknowledged).toBeGreaterThan(100);
      expect(result.slowestStartMs).toBeLessThan(10_000);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  },
  60_000,
);
