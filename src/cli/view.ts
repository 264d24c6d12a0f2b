/**
 * What `status ring nodes explain` share: one answer of the cluster as text or JSON, once or again every second.
 *
 * `--watch` on a terminal draws on its alternate screen and leaves the person's own screen as it was, with the last picture below what stood there.
 * Elsewhere it prints one picture after the other. A node that is away is part of the picture, not the end of it.
 */

import { messageOf } from "../base/errors.ts";
import type { Client } from "../client/client.ts";
import { isAwayOrBusy } from "../client/retry.ts";
import { connect } from "./connect.ts";
import { EXIT } from "./exit-codes.ts";
import { note, print, styled, visible } from "./terminal.ts";

export interface View<Answer> {
  ask(client: Client): Promise<Answer>;
  /** @param width places of the terminal */
  lines(answer: Answer, width: number): readonly string[];
}

type Options = Readonly<Record<string, unknown>>;

/** A stopped node takes requests and answers none; the next address gets its turn after this. */
const ANSWER_TIMEOUT_MS = 3000;
const WATCH_INTERVAL_MS = 1000;
/** Of a terminal that does not say. */
const WIDTH_DEFAULT = 80;

/** Shows `view` as `--json`, `--watch` and the terminal want it. */
export async function showView<Answer>(options: Options, view: View<Answer>): Promise<void> {
  const client = connect(options, ANSWER_TIMEOUT_MS);
  const isJson = options["json"] === true;
  const picture = async (indent: number): Promise<readonly string[]> => {
    const answer = await view.ask(client);
    return isJson
      ? JSON.stringify(answer, null, indent).split("\n")
      : view.lines(answer, terminalWidth());
  };
  if (options["watch"] === true) return watch(() => picture(0), isJson);
  for (const line of await picture(2)) print(line);
}

/** Whoever reads a pipe has all the room there is. */
export function terminalWidth(): number {
  if (process.stdout.isTTY !== true) return Number.POSITIVE_INFINITY;
  return process.stdout.columns || WIDTH_DEFAULT;
}

type Picture = () => Promise<readonly string[]>;

async function watch(picture: Picture, isJson: boolean): Promise<void> {
  const isScreen = process.stdout.isTTY === true && !isJson;
  const screen = isScreen ? new AlternateScreen() : undefined;
  const end = () => {
    screen?.close();
    process.exit(EXIT.ok);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  try {
    for (;;) {
      const lines = await pictureOrProblem(picture);
      if (screen !== undefined) screen.draw(lines);
      else for (const line of isJson ? lines : [...lines, ""]) print(line);
      await Bun.sleep(WATCH_INTERVAL_MS);
    }
  } finally {
    screen?.close();
  }
}

async function pictureOrProblem(picture: Picture): Promise<readonly string[]> {
  try {
    return await picture();
  } catch (error) {
    if (!isAwayOrBusy(error)) throw error;
    if (process.stdout.isTTY === true) return [styled("red", visible(messageOf(error)))];
    note(`hutch: ${visible(messageOf(error))}`);
    return [];
  }
}

/** Alternate screen, no cursor, no wrapping of long lines; and back. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";

class AlternateScreen {
  #lines: readonly string[] = [];
  #isOpen = true;

  constructor() {
    process.stdout.write(ENTER);
  }

  /** Overwrites in place, as clearing first would flicker; what is below the terminal's last line is left out. */
  draw(lines: readonly string[]): void {
    this.#lines = lines;
    const rows = Math.max(1, (process.stdout.rows || 24) - 1);
    const shown = lines.slice(0, rows);
    const text = shown.map((line) => `${line}${CLEAR_LINE}\n`).join("");
    process.stdout.write(`${HOME}${text}${CLEAR_BELOW}`);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.stdout.write(LEAVE);
    for (const line of this.#lines) print(line);
  }
}
