/**
 * A whole node in virtual time under damaged requests. Held for each answer:
 *
 *   - no status from 500 on but those that are documented for what was asked
 *   - a refusal is a problem document with a known code and its own status
 *   - a refusal has written nothing (NW)
 *   - there is an answer, and afterwards the node still serves
 *   - events come for as long as somebody listens: of those the first are read, then nobody listens, and the node lets go of the stream
 */
import { REST_CODES } from "../../src/base/errors.ts";
import { Prng } from "../../src/base/prng.ts";
import { LISTENERS_MAX } from "../../src/http/live-feed.ts";
import { PROBLEM_KINDS } from "../../src/http/problem.ts";
import { uiAssets } from "../../src/http/ui-routes.ts";
import { NodeOnSim } from "../support/sim-node.ts";
import {
  damagedRequest,
  describe,
  drawRequest,
  type PlainRequest,
  webRequestOf,
} from "./http-requests.ts";

/** What is asked for may be reserved, or a state from the future that a client brings. */
const DOCUMENTED = new Set(["not-implemented", "clock-skew", "session-unsatisfied"]);
const TOKENS_MAX = 8;
const BYTES_SHOWN = 300;
const EVENT_STREAM = "text/event-stream";

/** Once, before the first run: the pages are unpacked by threads of the machine, which no virtual time waits for. */
export async function unpackPages(): Promise<void> {
  const sim = new NodeOnSim("pages");
  for (const path of (await uiAssets()).keys()) {
    const page = await sim.node.app.fetch(new Request(`http://localhost${path}`));
    await page.arrayBuffer();
  }
}

export class HttpRun {
  readonly byStatus = new Map<number, number>();
  requests = 0;
  /** Could not be made into a request at all. */
  unsendable = 0;
  private readonly prng: Prng;
  private readonly sim: NodeOnSim;
  private readonly tokens = {
    contexts: [] as string[],
    sessions: [] as string[],
    cursors: [] as string[],
    etags: [] as string[],
  };

  constructor(seed: number) {
    this.prng = new Prng(`http/${seed}`);
    this.sim = new NodeOnSim(`http/${seed}`, { memtableBytes: "64KiB" });
  }

  send(count: number): void {
    for (let i = 0; i < count; i++) {
      const request = drawRequest(this.prng, this.tokens);
      if (this.prng.chance(0.3)) this.try(request);
      else this.try(damagedRequest(this.prng, request, drawRequest(this.prng, this.tokens)));
    }
    this.expectServes();
  }

  private try(request: PlainRequest): void {
    const web = webRequestOf(request);
    if (web === undefined) {
      this.unsendable++;
      return;
    }
    this.requests++;
    const { store } = this.sim.node.inside;
    const before = store.stats().lastSequence;
    const answer = this.sim.world.runUntil(answerOf(this.sim, web));
    const { status } = answer;
    this.byStatus.set(status, (this.byStatus.get(status) ?? 0) + 1);
    if (status < 400) return this.keepTokens(answer);
    const complaint =
      complaintOn(answer, request.method) ??
      (store.stats().lastSequence === before ? undefined : "has written something");
    if (complaint !== undefined)
      throw new Error(
        `${describe(request)}: ${status} ${complaint}: ${answer.text.slice(0, BYTES_SHOWN)}`,
      );
  }

  private keepTokens({ headers, text }: Answer): void {
    const { contexts, sessions, cursors, etags } = this.tokens;
    keep(contexts, headers.get("x-causal-context"));
    keep(sessions, headers.get("x-session"));
    keep(etags, headers.get("etag"));
    keep(cursors, /"cursor":"([^"]+)"/.exec(text)?.[1] ?? null);
  }

  private expectServes(): void {
    const put = this.sim.put("still", "here");
    if (put.status !== 204) throw new Error(`the node does not take a write: ${put.status}`);
    const get = this.sim.get("still");
    if (get.text !== "here") throw new Error(`the node does not give it back: ${get.text}`);
    this.expectListens();
  }

  /** Whoever went has made room: one more than may listen at once can listen one after the other. */
  private expectListens(): void {
    for (let i = 0; i <= LISTENERS_MAX; i++) {
      const request = new Request("http://localhost/v1/admin/live");
      const { status, text } = this.sim.world.runUntil(answerOf(this.sim, request));
      if (status !== 200 || !text.startsWith("event: sample\n"))
        throw new Error(`the node does not tell what it does: ${status} ${text}`);
    }
  }
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function answerOf(sim: NodeOnSim, request: Request): Promise<Answer> {
  const response = await sim.node.app.fetch(request);
  const { status, headers } = response;
  const text =
    headers.get("content-type") === EVENT_STREAM
      ? await beginningOf(response)
      : await response.text();
  return { status, headers, text };
}

/** What comes first; then nobody listens any more. */
async function beginningOf({ body }: Response): Promise<string> {
  if (body === null) return "";
  const reader = body.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return new TextDecoder().decode(value);
}

function keep(list: string[], token: string | null): void {
  if (token === null) return;
  list.push(token);
  if (list.length > TOKENS_MAX) list.shift();
}

function complaintOn({ status, headers, text }: Answer, method: string): string | undefined {
  if (headers.get("content-type") !== "application/problem+json") return "is no problem document";
  // Without its document only the status tells: what is not built is 501.
  if (method === "HEAD") return status <= 501 && status !== 500 ? undefined : "to a HEAD";
  const problem = JSON.parse(text) as { code: (typeof REST_CODES)[number]; status: number };
  if (!REST_CODES.includes(problem.code)) return `has the unknown code "${problem.code}"`;
  if (problem.status !== status || PROBLEM_KINDS[problem.code].status !== status)
    return "says another status than its document";
  return status >= 500 && !DOCUMENTED.has(problem.code) ? "is the node's own fault" : undefined;
}
