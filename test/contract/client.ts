/**
 * A client that knows nothing of the program but its contract with users: it sends, and holds every answer to the
 * sentences that are true of all of them (who answered, which request, what a problem looks like).
 */

import { afterAll, beforeAll, expect } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NodeProcess } from "../e2e/node-process.ts";

export interface Call {
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
  readonly text: string;
  /** The body as JSON, whatever it is: the tests say what they expect of it. */
  readonly json: any;
}

export interface ContractNode {
  url(): string;
  call(method: string, path: string, options?: Call): Promise<Answer>;
  /** `call` with a body of JSON. */
  json(method: string, path: string, body: unknown, headers?: Call["headers"]): Promise<Answer>;
  /** Sends raw bytes and gives what came back until the connection closed or `quietMs` passed. */
  raw(bytes: string, quietMs?: number): Promise<{ text: string; isClosed: boolean }>;
}

const retries = ["safe", "safe-with-idempotency-key", "no"];

/** Every answer names its node and its request; an error is a problem document with all its members. */
function holdToConventions(answer: Answer, method: string): void {
  expect(answer.headers.get("X-Request-Id")).toBeTruthy();
  expect(answer.headers.get("X-Node")).toBe("n1");
  if (answer.status < 400) return;
  expect(answer.headers.get("Content-Type")).toStartWith("application/problem+json");
  if (method === "HEAD") return;
  const { json } = answer;
  expect(json).toMatchObject({
    type: expect.any(String),
    title: expect.any(String),
    detail: expect.any(String),
    instance: expect.any(String),
    code: expect.stringMatching(/^[a-z-]+$/),
    status: answer.status,
    requestId: answer.headers.get("X-Request-Id"),
  });
  expect(retries).toContain(json.retry);
}

/** One node for a whole file. */
export function contractNode(args: readonly string[] = []): ContractNode {
  let node: NodeProcess;
  let directory: string;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "hutch-contract-"));
    node = await NodeProcess.start(join(directory, "n1"), { args });
  });
  afterAll(async () => {
    await node.end("SIGKILL");
    rmSync(directory, { recursive: true, force: true });
  });

  const call: ContractNode["call"] = async (method, path, { headers = {}, body } = {}) => {
    const response = await fetch(node.url + path, {
      method,
      headers,
      decompress: false,
      redirect: "manual",
      ...(body === undefined ? {} : { body }),
    });
    const bytes = await bytesOf(response);
    const text = new TextDecoder().decode(bytes);
    const answer: Answer = {
      status: response.status,
      headers: response.headers,
      bytes,
      text,
      get json() {
        return JSON.parse(text);
      },
    };
    holdToConventions(answer, method);
    return answer;
  };

  return {
    url: () => node.url,
    call,
    json: (method, path, body, headers = {}) =>
      call(method, path, {
        headers: { "Content-Type": "application/json", ...headers },
        body: JSON.stringify(body),
      }),
    raw: (bytes, quietMs = 400) => sendRaw(new URL(node.url), bytes, quietMs),
  };
}

/** Of events what comes first: they end when nobody listens any more. */
async function bytesOf(response: Response): Promise<Uint8Array> {
  const { body } = response;
  if (body === null || response.headers.get("Content-Type") !== "text/event-stream")
    return response.bytes();
  const reader = body.getReader();
  const { value } = await reader.read();
  await reader.cancel();
  return value ?? new Uint8Array(0);
}

function sendRaw(url: URL, bytes: string, quietMs: number) {
  return new Promise<{ text: string; isClosed: boolean }>((resolve) => {
    let text = "";
    const socket = connect(Number(url.port), url.hostname, () => socket.write(bytes, "latin1"));
    const finish = (isClosed: boolean) => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ text, isClosed });
    };
    let timer = setTimeout(() => finish(false), 3 * quietMs);
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
      clearTimeout(timer);
      timer = setTimeout(() => finish(false), quietMs);
    });
    socket.on("close", () => finish(true));
    socket.on("error", () => finish(true));
  });
}

/** An answer that is the problem `code` with `status`. */
export function expectProblem(answer: Answer, status: number, code: string): void {
  expect({
    status: answer.status,
    code: answer.status < 400 ? "(none)" : answer.json.code,
  }).toEqual({ status, code });
}

/** The causal context of an answer, which must be there. */
export function contextOf({ headers }: Answer): string {
  const context = headers.get("X-Causal-Context");
  expect(context).toBeTruthy();
  return context ?? "";
}

export function etagOf({ headers }: Answer): string {
  const etag = headers.get("ETag");
  expect(etag).toMatch(/^"[^"]+"$/);
  return etag ?? "";
}

/** Waits until `isTrue`, at most three seconds: an expired key may be visible for one second longer. */
export async function eventually(isTrue: () => Promise<boolean>): Promise<boolean> {
  const deadlineMs = performance.now() + 4000;
  while (performance.now() < deadlineMs) {
    if (await isTrue()) return true;
    await Bun.sleep(60);
  }
  return false;
}
