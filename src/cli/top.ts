/**
 * `hutch top`: what all nodes do, once a second. Each node tells its own figures in a stream of events (`/v1/admin/live`); a stream that ends is opened
 * again, and a node that says nothing is shown as what the others say of it.
 */

import { messageOf } from "../base/errors.ts";
import type { LiveSample } from "../http/live-api.ts";
import { connect, urlBeside } from "./connect.ts";
import { EXIT } from "./exit-codes.ts";
import { askNodes } from "./nodes.ts";
import { AlternateScreen, terminalWidth } from "./screen.ts";
import { note, print, styled, visible } from "./terminal.ts";
import { topLines } from "./top-lines.ts";

type Options = Readonly<Record<string, unknown>>;

const ANSWER_TIMEOUT_MS = 5000;
const DRAW_MS = 1000;
const REOPEN_MS = 1000;
/** A sample that is older says nothing of now. */
const FRESH_MS = 4000;
/** The first sample of a stream may cover no time yet. */
const ONCE_SAMPLES = 2;
const ONCE_MS_MAX = 5000;
const ACCEPT = "text/event-stream";

interface Heard {
  readonly sample: LiveSample;
  readonly heardMs: number;
  readonly count: number;
}

export async function top(options: Options): Promise<void> {
  const heard = new Map<string, Heard>();
  await listenToAll(options, heard);
  if (options["once"] === true) {
    await settled(heard);
    show(samplesOf(heard), options);
    process.exit(EXIT.ok);
  }
  const isScreen = process.stdout.isTTY === true && options["json"] !== true;
  const screen = isScreen ? new AlternateScreen() : undefined;
  const end = (): void => {
    screen?.close();
    process.exit(EXIT.ok);
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, end);
  for (;;) {
    const samples = samplesOf(heard);
    if (screen === undefined) show(samples, options);
    else if (samples.length > 0) screen.draw(topLines(samples, terminalWidth()));
    else screen.draw([styled("dim", "no node tells anything; asking again every second")]);
    await Bun.sleep(DRAW_MS);
  }
}

function show(samples: readonly LiveSample[], options: Options): void {
  if (options["json"] === true) return print(JSON.stringify({ samples }));
  if (samples.length === 0) return note("hutch: no node tells anything");
  for (const line of [...topLines(samples, terminalWidth()), ""]) print(line);
}

/** Asks one node who the others are; throws where none answers. */
async function listenToAll(options: Options, heard: Map<string, Heard>): Promise<void> {
  const { nodes } = await askNodes(connect(options, ANSWER_TIMEOUT_MS));
  for (const { id, address } of nodes)
    if (address !== "") void listen(id, { ...options, url: urlBeside(options, address) }, heard);
}

async function listen(id: string, options: Options, heard: Map<string, Heard>): Promise<never> {
  let count = 0;
  for (;;) {
    try {
      const stream = await connect(options).stream("/v1/admin/live", ACCEPT);
      for await (const sample of samplesIn(stream))
        heard.set(id, { sample, heardMs: performance.now(), count: ++count });
    } catch (error) {
      if (process.stdout.isTTY !== true) note(`hutch: ${visible(messageOf(error))}`);
    }
    await Bun.sleep(REOPEN_MS);
  }
}

/** Events are `event: NAME`, `data: JSON`, and an empty line. */
export async function* samplesIn(stream: AsyncIterable<Uint8Array>): AsyncGenerator<LiveSample> {
  const decoder = new TextDecoder();
  let pending = "";
  for await (const chunk of stream) {
    const events = (pending + decoder.decode(chunk, { stream: true })).split("\n\n");
    pending = events.pop()!;
    for (const event of events) {
      const data = event.split("\n").filter((line) => line.startsWith("data:"));
      // Our own server made it.
      if (data.length > 0)
        yield JSON.parse(data.map((line) => line.slice("data:".length)).join("\n")) as LiveSample;
    }
  }
}

function samplesOf(heard: ReadonlyMap<string, Heard>): LiveSample[] {
  const nowMs = performance.now();
  return [...heard.values()]
    .filter(({ heardMs }) => nowMs - heardMs < FRESH_MS)
    .map(({ sample }) => sample)
    .sort((a, b) => (a.node < b.node ? -1 : 1));
}

async function settled(heard: ReadonlyMap<string, Heard>): Promise<void> {
  const untilMs = performance.now() + ONCE_MS_MAX;
  const isSettled = (): boolean => {
    const all = [...heard.values()];
    const known = all[0]?.sample.nodes.filter(({ state }) => state === "up").length ?? 1;
    return all.filter(({ count }) => count >= ONCE_SAMPLES).length >= known;
  };
  while (!isSettled() && performance.now() < untilMs) await Bun.sleep(50);
}
