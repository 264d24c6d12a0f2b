/**
 * A process that does the runs of `hutch sim`: a run keeps the loop busy from its beginning to its end, and whoever shows how far it is must not wait for it.
 * It ends when the process that started it does.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import "../bun/native-kernels.ts";
import { drawPlan } from "../simulator/draw-plan.ts";
import { runPlan } from "../simulator/run.ts";
import { shrink } from "../simulator/shrink.ts";
import { EXIT } from "./exit-codes.ts";
import { type Laboratory, doJob } from "./sim-job.ts";
import type { SimJob, SimNews } from "./sim-protocol.ts";

const LABORATORY: Laboratory = {
  draw: drawPlan,
  run: runPlan,
  shrink,
  nowMs: () => performance.now(),
  save(path, text) {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  },
};

export function serveJobs(): void {
  const tell = (news: SimNews): void => void process.send?.(news);
  process.on("disconnect", () => process.exit(EXIT.ok));
  process.on("message", (job: SimJob) => {
    tell({ type: "done", report: doJob(job, LABORATORY, tell) });
  });
  tell({ type: "ready" });
}
