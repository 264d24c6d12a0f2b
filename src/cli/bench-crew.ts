/** The processes that make the load of `hutch bench`: started together, given their shares, heard until all of a phase is over. */

import { HutchError } from "../base/errors.ts";
import type { BenchOrder } from "./bench-child.ts";
import type { BenchFigures, BenchNews, BenchPhase } from "./bench-figures.ts";
import type { BenchShare } from "./bench-plan.ts";
import { selfCommand } from "./self.ts";

type Child = Bun.Subprocess<"ignore", "ignore", "inherit">;

export interface PhaseResult {
  readonly overdue: number;
}

export class BenchCrew {
  readonly #shares: readonly BenchShare[];
  readonly #onFigures: (index: number, figures: BenchFigures) => void;
  readonly #children: Child[] = [];
  #over = 0;
  #overdue = 0;
  #phase = Promise.withResolvers<PhaseResult>();
  #isClosed = false;

  constructor(
    shares: readonly BenchShare[],
    onFigures: (index: number, figures: BenchFigures) => void,
  ) {
    this.#shares = shares;
    this.#onFigures = onFigures;
  }

  /** Until all processes have said that they listen. */
  async start(): Promise<void> {
    await Promise.all(this.#shares.map((_, index) => this.#startOne(index)));
  }

  /** One at a time. Throws where a process cannot connect or ends before its time. */
  run(phase: BenchPhase): Promise<PhaseResult> {
    this.#over = 0;
    this.#overdue = 0;
    this.#phase = Promise.withResolvers();
    for (const [index, child] of this.#children.entries())
      child.send({ type: "phase", phase, share: this.#shares[index]! } satisfies BenchOrder);
    return this.#phase.promise;
  }

  /** Ends the phase early; it is over when the last answers are in. */
  stop(): void {
    for (const child of this.#children) child.send({ type: "stop" } satisfies BenchOrder);
  }

  close(): void {
    this.#isClosed = true;
    for (const child of this.#children) child.kill("SIGKILL");
  }

  #startOne(index: number): Promise<void> {
    const ready = Promise.withResolvers<void>();
    const child: Child = Bun.spawn({
      ...selfCommand(["bench", "--child"]),
      stdio: ["ignore", "ignore", "inherit"],
      // Ctrl-C is for the process that shows the figures.
      detached: true,
      serialization: "advanced",
      ipc: (news: BenchNews) => {
        if (news.type === "ready") ready.resolve();
        else this.#hear(index, news);
      },
    });
    this.#children[index] = child;
    void child.exited.then((code) => {
      const lost = new HutchError(
        "io-error",
        `Cannot go on: a process of the load ended with ${code}`,
      );
      ready.reject(lost);
      if (!this.#isClosed) this.#phase.reject(lost);
    });
    return ready.promise;
  }

  #hear(index: number, news: Exclude<BenchNews, { readonly type: "ready" }>): void {
    if (news.type === "figures") return this.#onFigures(index, news.figures);
    if (news.type === "failed")
      return this.#phase.reject(
        new HutchError("node-unreachable", `Cannot put load on the cluster: ${news.detail}`),
      );
    this.#overdue += news.overdue;
    if (++this.#over === this.#children.length) this.#phase.resolve({ overdue: this.#overdue });
  }
}
