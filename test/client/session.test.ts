import { describe, expect, test } from "bun:test";
import { HutchClient } from "../../src/client/index.ts";
import { SESSION_LANES } from "../../src/client/session.ts";
import { FakeWorld, problem, reply } from "./fake-world.ts";

/** A node whose token says which requests it has seen: `new`, then `new+1`, `new+1+2`. */
function chainOf(session: boolean | string) {
  const world = new FakeWorld(async ({ headers }, count) => {
    await Bun.sleep(1);
    const token = headers.get("X-Session");
    return reply(200, '"v"', token === null ? {} : { "X-Session": `${token}+${count}` });
  });
  const client = new HutchClient({ urls: ["http://a:7001"], session, platform: world.platform });
  const tokens = (): (string | null)[] => world.sent.map(({ headers }) => headers.get("X-Session"));
  return { client, tokens };
}

describe("session", () => {
  test("without it no request has a token", async () => {
    const { client, tokens } = chainOf(false);
    await client.bucket("demo").get("k");
    expect([tokens(), client.sessionToken]).toEqual([[null], ""]);
  });

  test("one token: requests take turns, each starts from the answer before, and the last can be handed on", async () => {
    const { client, tokens } = chainOf("new");
    const bucket = client.bucket("demo");
    await Promise.all([bucket.get("a"), bucket.put("b", 1), bucket.has("c")]);
    expect(tokens()).toEqual(["new", "new+1", "new+1+2"]);
    expect(client.sessionToken).toBe("new+1+2+3");
    const next = chainOf(client.sessionToken);
    await next.client.bucket("demo").get("a");
    expect(next.tokens()).toEqual(["new+1+2+3"]);
  });

  test("many lanes: a key's requests take turns, different keys go side by side", async () => {
    const { client, tokens } = chainOf(true);
    const bucket = client.bucket("demo");
    await Promise.all([bucket.get("a"), bucket.get("b"), bucket.get("a")]);
    expect(tokens()).toEqual(["new", "new", "new+1"]);
    expect(client.sessionToken).toBe("");
  });

  test("the lanes are bounded and a lane never forgets its token", async () => {
    const { client, tokens } = chainOf(true);
    const bucket = client.bucket("demo");
    for (let i = 0; i < 4 * SESSION_LANES; i += 64)
      await Promise.all(Array.from({ length: 64 }, (_, j) => bucket.get(`k${i + j}`)));
    const fresh = tokens().filter((token) => token === "new").length;
    expect(fresh).toBeGreaterThan(SESSION_LANES / 2);
    expect(fresh).toBeLessThanOrEqual(SESSION_LANES);
    const before = tokens().length;
    for (let i = 0; i < 20; i++) await bucket.get(`k${i}`);
    expect(tokens().slice(before)).not.toContain("new");
  });

  test("withSession() is a session of its own on the same nodes", async () => {
    const { client, tokens } = chainOf(false);
    const own = client.withSession();
    await own.bucket("demo").get("k");
    await client.withSession("token").bucket("demo").get("k");
    await client.bucket("demo").get("k");
    expect(tokens()).toEqual(["new", "token", null]);
    expect(own.sessionToken).toBe("new+1");
  });

  test("a failed request keeps the token and lets the next one go on", async () => {
    const world = new FakeWorld(({ headers }, count) =>
      count === 2
        ? problem(412, "precondition-failed", "no")
        : reply(200, '"v"', { "X-Session": `${headers.get("X-Session")}+${count}` }),
    );
    const options = { urls: ["http://a:7001"], session: "new", platform: world.platform };
    const bucket = new HutchClient(options).bucket("demo");
    await bucket.get("k");
    await expect(bucket.put("k", 1)).rejects.toMatchObject({ code: "precondition-failed" });
    await bucket.get("k");
    expect(world.sent.map(({ headers }) => headers.get("X-Session"))).toEqual([
      "new",
      "new+1",
      "new+1",
    ]);
  });

  test("who is aborted while waiting leaves at once; the wait counts as time of the call", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const world = new FakeWorld(async (_, count) => {
      if (count === 1) await promise;
      return reply(200, '"v"', { "X-Session": "t" });
    });
    const options = { urls: ["http://a:7001"], session: "new", platform: world.platform };
    const bucket = new HutchClient({ ...options, timeoutMs: 1000 }).bucket("demo");
    const first = bucket.get("a");
    const controller = new AbortController();
    const second = bucket.get("b", { signal: controller.signal });
    const third = bucket.get("c");
    controller.abort(new Error("enough"));
    await expect(second).rejects.toThrow("enough");
    world.nowMs = 400;
    resolve();
    await Promise.all([first, third]);
    expect(world.sent).toHaveLength(2);
    expect(world.sent[1]!.headers.get("X-Timeout")).toBe("270ms");
  });
});
