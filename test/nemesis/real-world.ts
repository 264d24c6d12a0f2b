/**
 * Real nodes as clients see them: the world that `Client` of the simulator talks to, over HTTP and in real time.
 *
 *   refused   nobody listens there: surely nothing was sent
 *   lost      the connection broke, or nothing came in time: nobody knows
 *
 * Every request has a connection of its own: a pooled one that turns out dead would be tried again below our feet, and a write be sent twice.
 */
import type { Answer, ClientWorld, Heard } from "../../src/simulator/clients.ts";
import type { Machine } from "./machine.ts";

/** Longer than any client waits. */
const ANSWER_MS_MAX = 10_000;
const REFUSED = new Set(["ConnectionRefused", "ECONNREFUSED"]);

export class RealWorld implements ClientWorld {
  readonly names: readonly string[];
  readonly present: readonly number[];
  private readonly machines: readonly Machine[];
  private readonly originMs: number;

  /** @param originMs of `performance.now()`: the zero of this world's time */
  constructor(machines: readonly Machine[], originMs: number) {
    this.machines = machines;
    this.names = machines.map(({ name }) => name);
    this.present = machines.map((_, index) => index);
    this.originMs = originMs;
  }

  get nowMs(): number {
    return performance.now() - this.originMs;
  }

  sleep(forMs: number): Promise<void> {
    return Bun.sleep(forMs);
  }

  async send(index: number, path: string, init: RequestInit = {}): Promise<Heard> {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    try {
      const url = `${this.machines[index]!.url}${path}`;
      return await answerOf(url, { ...init, signal, keepalive: false });
    } catch (thrown) {
      return REFUSED.has((thrown as { code?: string }).code ?? "") ? "refused" : "lost";
    }
  }

  /** @throws Error with what was heard instead of 200 */
  async json<T>(index: number, path: string): Promise<T> {
    const heard = await this.send(index, path);
    if (typeof heard === "string") throw new Error(`${this.names[index]} ${path}: ${heard}`);
    if (heard.status !== 200)
      throw new Error(`${this.names[index]} ${path}: ${heard.status} ${heard.text}`);
    return JSON.parse(heard.text) as T;
  }
}

async function answerOf(url: string, init: RequestInit): Promise<Answer> {
  const response = await fetch(url, init);
  return { status: response.status, headers: response.headers, text: await response.text() };
}
