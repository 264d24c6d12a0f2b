/** Workers that run their jobs on the caller's thread, one lane after the other: for tests and benches that need no second thread. */
import type { Clock } from "../../src/ports/clock.ts";
import type { Disk } from "../../src/ports/disk.ts";
import type { JobTable, Workers } from "../../src/ports/workers.ts";

export class InlineWorkers implements Workers {
  private readonly lanes = new Map<string, Promise<unknown>>();
  private readonly table: JobTable;
  private readonly disk: Disk;
  private readonly clock: Clock;

  constructor(table: JobTable, disk: Disk, clock: Clock) {
    this.table = table;
    this.disk = disk;
    this.clock = clock;
  }

  prepare(): Promise<void> {
    return Promise.resolve();
  }

  run<Job, Result>(kind: string, job: Job): Promise<Result> {
    const entry = this.table[kind];
    if (entry === undefined) throw new Error(`no job of kind ${kind}`);
    const before = this.lanes.get(entry.lane) ?? Promise.resolve();
    const turn = before.then(() =>
      entry.run({ disk: this.disk, clock: this.clock }, job as never),
    ) as Promise<Result>;
    this.lanes.set(
      entry.lane,
      turn.catch(() => undefined),
    );
    return turn;
  }

  async close(): Promise<void> {
    await Promise.all(this.lanes.values());
  }
}
