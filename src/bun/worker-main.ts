/**
 * The entry of a worker: runs jobs, one at a time, on its own disk handle and clock.
 *
 * The handler is installed before anything is awaited: messages that come while the job table loads must not be lost.
 */
import { assert } from "../base/assert.ts";
import { describeError } from "../ports/job-failure.ts";
import type { JobEnvironment, JobTable } from "../ports/workers.ts";
import { BunClock } from "./clock.ts";
import { BunDisk } from "./disk.ts";
import type { WorkerInit, WorkerJob, WorkerReply, WorkerRequest } from "./worker-protocol.ts";

declare const self: Worker;

interface Ready {
  readonly environment: JobEnvironment;
  readonly table: JobTable;
}

let ready: Promise<Ready> | undefined;

self.onmessage = ({ data }: MessageEvent<WorkerRequest>): void => {
  if (data.type === "init") {
    ready = prepare(data);
    ready.then(
      () => reply({ type: "ready" }),
      (thrown: unknown) => reply({ type: "useless", failure: describeError(thrown) }),
    );
  } else {
    void answer(data);
  }
};

function reply(message: WorkerReply): void {
  postMessage(message);
}

async function prepare({ root, jobsModule, jobsExport }: WorkerInit): Promise<Ready> {
  const module = (await import(jobsModule)) as Readonly<Record<string, JobTable>>;
  const table = module[jobsExport];
  assert(table !== undefined, `the module of jobs exports "${jobsExport}"`);
  return { table, environment: { disk: new BunDisk(root), clock: new BunClock() } };
}

async function answer({ kind, job }: WorkerJob): Promise<void> {
  assert(ready !== undefined, "a worker is told what it is before it gets a job");
  const loaded = await ready.catch(() => undefined);
  if (loaded === undefined) return; // has been told
  try {
    const entry = loaded.table[kind];
    assert(entry !== undefined, `there are jobs of kind "${kind}"`);
    // The caller knows the types of its kind (ports/workers.ts).
    reply({ type: "done", result: await entry.run(loaded.environment, job as never) });
  } catch (thrown) {
    reply({ type: "failed", failure: describeError(thrown) });
  }
}
