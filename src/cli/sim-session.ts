/**
 * `hutch sim` at work: some lanes take one run after the other until there is none left, the time is up, one is broken, or a person has seen enough.
 *
 * Whoever shows it is told of each run, and looks at the moment when it wants. At the end of the time, and after a broken run, the runs that are under way
 * are waited for; on Ctrl-C they are not, and count for nothing.
 */

import type { Moment } from "./sim-display.ts";
import { SimLane } from "./sim-lane.ts";
import type { SimRequest } from "./sim-options.ts";
import type { SimJob, SimReport } from "./sim-protocol.ts";
import { SimTotals } from "./sim-totals.ts";
import type { Ending } from "./sim-verdict.ts";

export interface SimTeller {
  began(session: SimSession): void;
  reported(report: SimReport): void;
  ended(ending: Ending): void;
}

export type Lane = Pick<SimLane, "run" | "close" | "state">;

export class SimSession {
  readonly #request: SimRequest;
  readonly #teller: SimTeller;
  readonly #lanes: readonly Lane[];
  readonly #totals = new SimTotals();
  readonly #startedAtMs = performance.now();
  #taken = 0;
  #isOver = false;
  #isStopped = false;

  constructor(
    request: SimRequest,
    teller: SimTeller,
    createLane: () => Lane = () => new SimLane(),
  ) {
    this.#request = request;
    this.#teller = teller;
    this.#lanes = Array.from({ length: request.jobs }, createLane);
  }

  /** Settles when it is over. */
  async run(): Promise<SimTotals> {
    this.#teller.began(this);
    await Promise.all(this.#lanes.map((lane) => this.#work(lane)));
    const { request, totals, elapsedMs } = this.moment();
    this.#teller.ended({
      request: { ...request, isTraced: this.#request.isTraced },
      totals,
      elapsedMs,
      isStopped: this.#isStopped,
    });
    return totals;
  }

  /** Ends the runs that are under way. */
  stop(): void {
    this.#isStopped = true;
    for (const lane of this.#lanes) lane.close();
  }

  moment(): Moment {
    const nowMs = performance.now();
    return {
      request: this.#request,
      totals: this.#totals,
      lanes: this.#lanes.flatMap(({ state }) => (state === undefined ? [] : [state])),
      elapsedMs: nowMs - this.#startedAtMs,
      nowMs,
    };
  }

  async #work(lane: Lane): Promise<void> {
    for (let job = this.#next(); job !== undefined; job = this.#next()) {
      const report = await lane.run(job);
      if (report === undefined) break;
      this.#totals.add(report);
      this.#teller.reported(report);
      if (report.verdict.violations.length > 0 && !this.#request.keepsGoing) this.#isOver = true;
    }
    lane.close();
  }

  #next(): SimJob | undefined {
    const { source, draw, words, isShrunk, directory, isSaved } = this.#request;
    const common = { words, isShrunk, directory, isSaved };
    const isOver = this.#isOver || this.#isStopped;
    if (isOver || this.#taken >= ("plan" in source ? 1 : source.count)) return undefined;
    if ("plan" in source) {
      this.#taken++;
      return { ...common, name: `plan ${source.path}`, source };
    }
    if (performance.now() - this.#startedAtMs >= source.forMs) return undefined;
    const seed = String(source.first + this.#taken++);
    return { ...common, name: `seed ${seed}`, source: { seed, draw } };
  }
}
