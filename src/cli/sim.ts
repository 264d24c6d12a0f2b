/**
 * `hutch sim`: whole clusters in virtual time, from seeds or from a plan, until something breaks or enough has been seen.
 *
 *   on a terminal   a picture that is drawn again and again, then the verdict
 *   elsewhere       a line for each of a few runs, or now and then, on standard error; the verdict on standard output
 *   --json          a line for each run and one for the verdict, and nothing else
 */

import { readFileSync, statSync } from "node:fs";
import { availableParallelism } from "node:os";
import { HutchError, messageOf } from "../base/errors.ts";
import { AlternateScreen, terminalRows, terminalWidth } from "./screen.ts";
import { askedFor, momentLine, momentLines } from "./sim-display.ts";
import type { SimOptions, SimRequest } from "./sim-options.ts";
import { readSimRequest } from "./sim-options.ts";
import type { SimReport } from "./sim-protocol.ts";
import type { SimTeller } from "./sim-session.ts";
import { SimSession } from "./sim-session.ts";
import { factLines } from "./sim-tables.ts";
import type { Ending } from "./sim-verdict.ts";
import {
  EXIT_BY_OUTCOME,
  endingJson,
  endingLines,
  reportJson,
  reportLine,
  storyLines,
} from "./sim-verdict.ts";
import { CHANGE_WORDS, FAULT_WORDS, kindOption } from "./sim-words.ts";
import { note, print, styled } from "./terminal.ts";

const DRAW_EVERY_MS = 250;
const TELL_EVERY_MS = 10_000;
/** More runs are told together. */
const RUNS_TOLD_MAX = 50;
/** Of a plan or a workload: a plan of an hour with a hundred clients is smaller. */
const FILE_BYTES_MAX = 256 * 1024 * 1024;
/** Seeds that nobody asked for are short enough to be typed. */
const FRESH_SEEDS = 1_000_000_000;

export async function sim(options: SimOptions): Promise<void> {
  if (options["child"] === true) return (await import("./sim-child.ts")).serveJobs();
  if (options["listFaults"] === true) return listKinds(options["json"] === true);
  const request = readSimRequest(options, {
    cores: availableParallelism(),
    freshSeed: () => Math.floor(Math.random() * FRESH_SEEDS),
    readFile,
  });
  const session = new SimSession(request, tellerOf(request));
  const stop = (): void => session.stop();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  // However this process ends, no run goes on unseen.
  process.on("exit", stop);
  const totals = await session.run();
  process.off("exit", stop);
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, stop);
  process.exitCode = EXIT_BY_OUTCOME[totals.outcome];
}

function readFile(path: string): string {
  try {
    if (statSync(path).size > FILE_BYTES_MAX)
      throw new HutchError("usage", `Cannot read "${path}": it is larger than 256MiB`);
    return readFileSync(path, "utf8");
  } catch (thrown) {
    if (thrown instanceof HutchError) throw thrown;
    throw new HutchError("usage", `Cannot read "${path}": ${messageOf(thrown)}`);
  }
}

async function listKinds(isJson: boolean): Promise<void> {
  const { TRIGGERS } = await import("../simulator/triggers.ts");
  const named = (words: Readonly<Record<string, string>>): Record<string, string> =>
    Object.fromEntries(Object.entries(words).map(([kind, about]) => [kindOption(kind), about]));
  const triggers = Object.entries(TRIGGERS).map(([name, { what }]) => [name, what] as const);
  const tables = {
    faults: named(FAULT_WORDS),
    changes: named(CHANGE_WORDS),
    triggers: Object.fromEntries(triggers),
  };
  const titles = {
    faults: "--faults",
    changes: "--changes",
    triggers: "what a fault of a plan may wait for, for the n-th time",
  };
  if (isJson) return print(JSON.stringify(tables, null, 2));
  for (const [name, words] of Object.entries(tables)) {
    print(styled("bold", titles[name as keyof typeof titles])); // both have the same names
    for (const line of factLines(Object.entries(words), terminalWidth() - 2)) print(`  ${line}`);
  }
}

function tellerOf(request: SimRequest): SimTeller {
  if (request.isJson) return new JsonTeller(request);
  return process.stdout.isTTY === true ? new ScreenTeller(request) : new PlainTeller(request);
}

class JsonTeller implements SimTeller {
  readonly #isTraced: boolean;

  constructor({ isTraced }: SimRequest) {
    this.#isTraced = isTraced;
  }

  began(): void {}

  reported(report: SimReport): void {
    print(JSON.stringify(reportJson(report, this.#isTraced)));
  }

  ended(ending: Ending): void {
    print(JSON.stringify(endingJson(ending)));
  }
}

/** Runs are told when they are over; one that is broken is told with the verdict. */
class PlainTeller implements SimTeller {
  readonly #request: SimRequest;
  #timer: Timer | undefined;

  constructor(request: SimRequest) {
    this.#request = request;
  }

  began(session: SimSession): void {
    note(`hutch sim: ${askedFor(this.#request)}`);
    this.#timer = setInterval(() => note(momentLine(session.moment())), TELL_EVERY_MS);
  }

  reported(report: SimReport): void {
    tellRun(report, this.#request);
  }

  ended(ending: Ending): void {
    clearInterval(this.#timer);
    for (const line of endingLines(ending, terminalWidth())) print(line);
  }
}

/** One run alone is told as a story, a few by a line each. */
function tellRun(report: SimReport, { source, isTraced }: SimRequest): void {
  const count = "plan" in source ? 1 : source.count;
  const isBroken = report.verdict.violations.length > 0;
  if ((isTraced || count === 1) && !isBroken)
    for (const line of [...storyLines(report, isTraced), ""]) print(line);
  if (isTraced || count <= RUNS_TOLD_MAX) print(reportLine(report));
}

class ScreenTeller implements SimTeller {
  readonly #request: SimRequest;
  readonly #reports: SimReport[] = [];
  #screen: AlternateScreen | undefined;
  #timer: Timer | undefined;

  constructor(request: SimRequest) {
    this.#request = request;
  }

  began(session: SimSession): void {
    const screen = new AlternateScreen();
    const draw = (): void =>
      screen.draw(momentLines(session.moment(), terminalWidth(), terminalRows()));
    this.#screen = screen;
    // However this process ends, the person gets the screen back.
    process.on("exit", () => screen.close(false));
    this.#timer = setInterval(draw, DRAW_EVERY_MS);
    draw();
  }

  reported(report: SimReport): void {
    if (this.#reports.length < RUNS_TOLD_MAX) this.#reports.push(report);
  }

  ended(ending: Ending): void {
    clearInterval(this.#timer);
    this.#screen?.close(false);
    for (const report of this.#reports) tellRun(report, this.#request);
    for (const line of endingLines(ending, terminalWidth())) print(line);
  }
}
