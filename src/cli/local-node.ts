/**
 * One node of `hutch cluster` as a child process.
 *
 * It has a process group of its own: Ctrl-C in a terminal goes to the whole group of this process, and a node that got that *and* our SIGTERM
 * would take the second for "stop at once". Should this process be killed, the system kills its nodes (`--no-orphans`): nobody would see them.
 */

import type { NodePlan } from "./cluster-plan.ts";
import { EXIT } from "./exit-codes.ts";
import { eachLine } from "./lines.ts";
import { selfCommand } from "./self.ts";
import { READY_MARK } from "./terminal.ts";

/** How a node ended: `exitCode` for scripts, `how` for people. */
export interface NodeEnd {
  readonly exitCode: number;
  readonly how: string;
}

export interface NodeListener {
  ready(node: LocalNode): void;
  ended(node: LocalNode, end: NodeEnd): void;
  /** A line of its log. */
  logged(node: LocalNode, line: string): void;
}

type Child = Bun.Subprocess<"ignore", "pipe", "pipe">;

export class LocalNode {
  readonly plan: NodePlan;
  readonly #listener: NodeListener;
  #child: Child | undefined;
  /** Of the process that runs now. */
  isReady = false;
  #isAsked = false;

  constructor(plan: NodePlan, listener: NodeListener) {
    this.plan = plan;
    this.#listener = listener;
  }

  get isRunning(): boolean {
    return this.#child !== undefined;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): void {
    const child = Bun.spawn({
      ...selfCommand(["serve", ...this.plan.args]),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#child = child;
    this.isReady = false;
    this.#isAsked = false;
    void this.#watch(child);
  }

  /** Asks it to end cleanly; asked again, it ends at once. A node that somebody has paused is woken for it. */
  stop(): void {
    this.#isAsked = true;
    this.#child?.kill("SIGTERM");
    this.#child?.kill("SIGCONT");
  }

  async #watch(child: Child): Promise<void> {
    // Its own word that it is ready counts: whoever answers on its port may be another program.
    const onPrinted = (line: string): void => {
      if (line.includes(READY_MARK)) this.#becomeReady();
    };
    const onLogged = (line: string): void => this.#listener.logged(this, line);
    await Promise.all([
      eachLine(child.stdout, onPrinted),
      eachLine(child.stderr, onLogged),
      child.exited,
    ]);
    const end = this.#endOf(child);
    this.#child = undefined;
    this.#listener.ended(this, end);
  }

  #becomeReady(): void {
    this.isReady = true;
    this.#listener.ready(this);
  }

  #endOf({ exitCode, signalCode }: Child): NodeEnd {
    if (exitCode === 0) return { exitCode, how: "has stopped" };
    if (exitCode !== null) return { exitCode, how: `ended with exit code ${exitCode}` };
    // It was told to end before it had come so far as to listen to signals: nothing is lost.
    if (signalCode === "SIGTERM" && this.#isAsked && !this.isReady)
      return { exitCode: EXIT.ok, how: "has stopped" };
    return { exitCode: EXIT.io, how: `was ended by ${signalCode}` };
  }
}
