/** An application on a fake node, and requests with few words. */
import { expect } from "bun:test";
import { type App, type AppOptions, createApp } from "../../src/http/app.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { CountingRandom, FakeAdmin, FakeKv, ManualClock } from "../support/fake-kv.ts";

export interface Fixture {
  readonly app: App;
  readonly kv: FakeKv;
  readonly admin: FakeAdmin;
  readonly clock: ManualClock;
  /** `method path`, for example `PUT /v1/kv/demo/a`. */
  send(
    line: string,
    body?: RequestInit["body"],
    headers?: Record<string, string>,
  ): Promise<Response>;
}

export function fixture(options: Partial<AppOptions> = {}): Fixture {
  const clock = new ManualClock();
  const kv = new FakeKv(clock);
  const admin = new FakeAdmin();
  const random = new CountingRandom();
  const app = createApp({ kv, admin, random, clock, logger: silentLogger, ...options });
  const send: Fixture["send"] = async (line, body, headers) => {
    const [method = "", path = ""] = line.split(" ");
    const url = path.startsWith("http") ? path : `http://localhost:7001${path}`;
    // A text body would add a content type of its own; bytes do not.
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    return app.fetch(new Request(url, { method, body: bytes ?? null, headers: headers ?? {} }));
  };
  return { app, kv, admin, clock, send };
}

/** The problem document of a response, which must be one in form and have this status and code. */
export async function problemOf(
  response: Response,
  status: number,
  code: string,
): Promise<Record<string, unknown>> {
  const text = await response.text();
  expect(`${response.status} ${text}`).toStartWith(`${status} `);
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  const problem = JSON.parse(text) as Record<string, unknown>;
  expect(problem["code"]).toBe(code);
  expect(problem["status"]).toBe(status);
  expect(problem["requestId"]).toBe(response.headers.get("x-request-id"));
  expect(response.headers.get("x-node")).toBe("n1");
  expect(text).not.toContain(".ts:");
  return problem;
}

/** Parsed JSON; tests know its shape. */
export async function jsonOf(response: Response): Promise<any> {
  expect(response.status).toBeLessThan(400);
  return JSON.parse(await response.text());
}
