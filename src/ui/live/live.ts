/**
 * What the node tells once a second, kept for all views. The stream is read with `fetch`; where it breaks it is opened again, after waits that double up to
 * `WAIT_MAX_MS`. What was seen last stays on the screen, marked as old. One `Live` for the page; it stops while the page is hidden.
 */
import { useEffect, useState } from "preact/hooks";
import type { LiveSample } from "../../http/live-api.ts";
import { checked, mayAskAgain, send, wordsOf } from "../api.ts";
import { EventParser, type LiveEvent } from "./event-parser.ts";
import { History } from "./history.ts";

export type LiveStatus = "connecting" | "live" | "gone";

export interface LiveState {
  readonly status: LiveStatus;
  /** Why it is gone. */
  readonly reason: string;
  readonly sample: LiveSample | undefined;
  readonly history: History;
}

const WAIT_MIN_MS = 500;
const WAIT_MAX_MS = 10_000;
/** A node that says nothing for so long is as good as gone. */
const SILENCE_MAX_MS = 5000;
const PATH = "/v1/admin/live";

class Live {
  state: LiveState = {
    status: "connecting",
    reason: "",
    sample: undefined,
    history: new History(),
  };
  readonly #listeners = new Set<() => void>();
  #abort: AbortController | undefined;
  #isRunning = false;
  #waitMs = WAIT_MIN_MS;

  /** Goes on until the page is hidden or closed. */
  start(): void {
    document.addEventListener("visibilitychange", () =>
      document.hidden ? this.#pause() : this.#resume(),
    );
    this.#resume();
  }

  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Now instead of after the wait. */
  retry(): void {
    mayAskAgain();
    this.#pause();
    this.#resume();
  }

  #resume(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#waitMs = WAIT_MIN_MS;
    const abort = new AbortController();
    this.#abort = abort;
    void this.#run(abort);
  }

  #pause(): void {
    this.#isRunning = false;
    this.#abort?.abort();
  }

  async #run(abort: AbortController): Promise<void> {
    while (!abort.signal.aborted) {
      let reason = "The node ended the connection";
      try {
        await this.#follow(abort.signal);
      } catch (thrown) {
        reason = wordsOf(thrown);
      }
      if (abort.signal.aborted) return;
      this.#set({ ...this.state, status: "gone", reason });
      await pause(this.#waitMs, abort.signal);
      this.#waitMs = Math.min(WAIT_MAX_MS, this.#waitMs * 2);
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const silence = new AbortController();
    const either = AbortSignal.any([signal, silence.signal]);
    let timer = 0;
    const heard = (): void => {
      window.clearTimeout(timer);
      timer = window.setTimeout(() => silence.abort(new TypeError("silent")), SILENCE_MAX_MS);
    };
    try {
      const headers = { Accept: "text/event-stream" };
      const response = await checked(await send(PATH, { headers, signal: either }));
      const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
      const parser = new EventParser();
      for (;;) {
        heard();
        const { done, value } = await reader.read();
        if (done) return;
        for (const event of parser.push(value)) this.#take(event);
      }
    } finally {
      window.clearTimeout(timer);
    }
  }

  #take({ event, data }: LiveEvent): void {
    if (event !== "sample") return;
    // The node that serves the page made it, to this type.
    const sample = JSON.parse(data) as LiveSample;
    const { history } = this.state;
    // After a gap a line across it would be made up.
    if (this.state.status === "gone") history.clear();
    history.add(sample);
    this.#waitMs = WAIT_MIN_MS;
    this.#set({ status: "live", reason: "", sample, history });
  }

  #set(state: LiveState): void {
    this.state = state;
    for (const listener of this.#listeners) listener();
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    window.setTimeout(resolve, ms);
    signal.addEventListener("abort", () => resolve());
  });
}

export const live = new Live();

/** Draws the component anew with every sample. */
export function useLive(): LiveState {
  const [state, setState] = useState(live.state);
  useEffect(() => live.listen(() => setState(live.state)), []);
  return state;
}
