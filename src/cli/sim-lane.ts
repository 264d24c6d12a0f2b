/**
 * A process of this program that does one run of `hutch sim` after the other; started with the first, started anew when it has died or done many.
 *
 * A process that dies, or says nothing for too long, makes its run a broken one: what ends a node's whole process is a defect like any other.
 */

import { eachLine } from "./lines.ts";
import { selfCommand } from "./self.ts";
import type { SimJob, SimNews, SimReport } from "./sim-protocol.ts";
import { failedReport } from "./sim-protocol.ts";

/** A new process has an empty heap. */
const RUNS_PER_PROCESS_MAX = 200;
/** A run takes a second; even a long one has an end, or is told by what it says while it shrinks. */
const SILENCE_MS_MAX = 15 * 60_000;
/** Of what a process said at its end. */
const LAST_WORDS_MAX = 20;

type Child = Bun.Subprocess<"ignore", "ignore", "pipe">;

/** What one lane does now, for the picture. */
export interface LaneState {
  readonly name: string;
  readonly sinceMs: number;
  /** "" while it runs the plan. */
  readonly doing: string;
}

export class SimLane {
  /** `undefined` between two runs. */
  state: LaneState | undefined;
  #child: Child | undefined;
  #waiting: SimJob | undefined;
  #runs = 0;
  #words: string[] = [];
  /** A broken run that is being shrunk. */
  #found: SimReport | undefined;
  #settle: (report: SimReport | undefined) => void = () => undefined;
  #silence: Timer | undefined;

  /** Settles with the report; with `undefined` where it was closed before there was one. One at a time. */
  run(job: SimJob): Promise<SimReport | undefined> {
    if (this.#runs >= RUNS_PER_PROCESS_MAX) this.close();
    this.#found = undefined;
    this.state = { name: job.name, sinceMs: performance.now(), doing: "" };
    const { promise, resolve } = Promise.withResolvers<SimReport | undefined>();
    this.#settle = (report) => {
      clearTimeout(this.#silence);
      this.#settle = () => undefined;
      this.state = undefined;
      resolve(report);
    };
    this.#runs++;
    this.#listen();
    if (this.#child !== undefined) this.#child.send(job);
    else {
      // It may not listen yet.
      this.#waiting = job;
      this.#child = this.#start();
    }
    return promise;
  }

  /** Ends the process, also in the middle of a run or of shrinking. */
  close(): void {
    const child = this.#child;
    this.#child = undefined;
    this.#runs = 0;
    child?.kill("SIGKILL");
    this.#settle(this.#found);
  }

  #start(): Child {
    const child = Bun.spawn({
      ...selfCommand(["sim", "--child"]),
      stdio: ["ignore", "ignore", "pipe"],
      // Ctrl-C is for the process that shows the picture.
      detached: true,
      serialization: "advanced",
      ipc: (news: SimNews) => this.#hear(child, news),
    });
    this.#words = [];
    const said = eachLine(child.stderr, (line) => {
      this.#words = [...this.#words, line].slice(-LAST_WORDS_MAX);
    });
    void Promise.all([child.exited, said]).then(() => this.#bury(child));
    return child;
  }

  #listen(): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      this.#words = [`it said nothing for ${SILENCE_MS_MAX / 60_000} minutes`];
      this.#child?.kill("SIGKILL");
    }, SILENCE_MS_MAX);
  }

  #hear(child: Child, news: SimNews): void {
    if (child !== this.#child || this.state === undefined) return;
    this.#listen();
    if (news.type === "ready") child.send(this.#waiting);
    else if (news.type === "broken") this.#found = news.report;
    else if (news.type === "done") this.#settle(news.report);
    else if (news.type === "shrinking") {
      const { steps, faults, changes } = news.sizes;
      const doing = `shrinking: ${steps} steps, ${faults} faults, ${changes} changes after ${news.runs} runs`;
      this.state = { ...this.state, doing };
    }
  }

  #bury(child: Child): void {
    if (child !== this.#child) return;
    this.#child = undefined;
    this.#runs = 0;
    const { exitCode, signalCode } = child;
    const how = signalCode === null ? `ended with ${exitCode}` : `was ended by ${signalCode}`;
    const why = [`the process of the run ${how}`, ...this.#words].join("\n");
    if (this.state !== undefined) this.#settle(this.#found ?? failedReport(this.state.name, why));
  }
}
