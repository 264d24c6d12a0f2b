/** A client's world in the test's hand: time that stands still until nothing else can happen, chance from a list, answers from a function. */
import type { Platform } from "../../src/client/platform.ts";

export interface Sent {
  readonly url: string;
  readonly method: string;
  readonly headers: Headers;
  readonly body: string;
  readonly atMs: number;
}

export type Answer = (sent: Sent, count: number) => Response | Promise<Response>;

/** How many turns of the event loop pass before time does. */
const TURNS = 5;

export class FakeWorld {
  readonly sent: Sent[] = [];
  /** Every time that something waited for, in order. */
  readonly pausesMs: number[] = [];
  nowMs = 0;
  randomNext = 0.5;
  readonly platform: Platform;
  readonly #alarms = new Set<{ readonly atMs: number; readonly ring: () => void }>();
  #keys = 0;

  constructor(answer: Answer) {
    this.platform = {
      send: async (url, init) => {
        const { method = "GET", body } = init;
        const text = body === undefined || body === null ? "" : await new Response(body).text();
        const sent = {
          url,
          method,
          headers: new Headers(init.headers),
          body: text,
          atMs: this.nowMs,
        };
        this.sent.push(sent);
        return answer(sent, this.sent.length);
      },
      nowMs: () => this.nowMs,
      random: () => this.randomNext,
      alarm: (ms, ring) => {
        const alarm = { atMs: this.nowMs + ms, ring };
        this.#alarms.add(alarm);
        return () => this.#alarms.delete(alarm);
      },
      newIdempotencyKey: () => `key-${++this.#keys}`,
    };
  }

  get pendingAlarms(): number {
    return this.#alarms.size;
  }

  /** Lets `work` run to its end; where it waits for the time, the time passes. */
  async run<Result>(work: Promise<Result>): Promise<Result> {
    let isOver = false;
    const end = (): void => void (isOver = true);
    work.then(end, end);
    while (!isOver) {
      for (let turn = 0; turn < TURNS && !isOver; turn++) await Bun.sleep(0);
      if (!isOver) this.#passTime();
    }
    return work;
  }

  #passTime(): void {
    const next = [...this.#alarms].reduce((a, b) => (b.atMs < a.atMs ? b : a));
    this.#alarms.delete(next);
    this.pausesMs.push(next.atMs - this.nowMs);
    this.nowMs = next.atMs;
    next.ring();
  }
}

export const never = (): Promise<Response> => new Promise(() => undefined);

export function refuse(): never {
  throw Object.assign(new Error("connection refused"), { code: "ECONNREFUSED" });
}

export function cut(): never {
  throw new Error("connection reset");
}

export function reply(
  status: number,
  body: string | null,
  headers: Readonly<Record<string, string>> = {},
): Response {
  return new Response(body, { status, headers: { "X-Node": "n1", ...headers } });
}

export function problem(
  status: number,
  code: string,
  retry: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const document = { code, retry, detail: `${code} happened`, requestId: "r-1" };
  return reply(status, JSON.stringify(document), { "X-Request-Id": "r-1", ...headers });
}
