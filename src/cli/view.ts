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
import { AlternateScreen, terminalWidth } from "./screen.ts";
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
