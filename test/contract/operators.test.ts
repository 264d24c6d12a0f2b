/** What operators ask of a node: its live events, its pages, and its snapshots. */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Answer, contractNode, eventually, expectProblem } from "./client.ts";

setDefaultTimeout(20_000);
const { call, json } = contractNode();

describe("GET /v1/admin/live", () => {
  test("tells what the node does as server-sent events", async () => {
    const answer = await call("GET", "/v1/admin/live");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("Content-Type")).toBe("text/event-stream");
    expect(answer.headers.get("Cache-Control")).toBe("no-store");
    const [, data] = /^event: sample\ndata: (.*)\n\n/.exec(answer.text) ?? [];
    expect(JSON.parse(data ?? "")).toMatchObject({
      node: "n1",
      rates: { reads: expect.any(Number) },
    });
  });

  test("HEAD has the headers only, and another form is 406", async () => {
    const head = await call("HEAD", "/v1/admin/live");
    expect([head.status, head.text]).toEqual([200, ""]);
    const headers = { Accept: "application/json" };
    expectProblem(await call("GET", "/v1/admin/live", { headers }), 406, "not-acceptable");
  });

  test("who has gone makes room for others", async () => {
    // Twice as many as may listen at once.
    for (let i = 0; i < 64; i++) expect((await call("GET", "/v1/admin/live")).status).toBe(200);
  });
});

describe("GET /ui", () => {
  const page = (): Promise<Answer> => call("GET", "/ui");

  test("the page and all that it names come from the node, and run nothing of others", async () => {
    const { status, headers, text } = await page();
    expect(status).toBe(200);
    expect(headers.get("Content-Type")).toStartWith("text/html");
    expect(headers.get("Content-Security-Policy")).toContain("default-src 'self'");
    expect(headers.get("X-Content-Type-Options")).toBe("nosniff");
    const named = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path!);
    expect(named.length).toBeGreaterThanOrEqual(2);
    for (const path of named) {
      expect(path).toStartWith("/ui/");
      const asset = await call("GET", path);
      expect([path, asset.status, asset.bytes.length > 0]).toEqual([path, 200, true]);
    }
  });

  test("is not sent again to whoever has it, and is nowhere else", async () => {
    const etag = (await page()).headers.get("ETag") ?? "";
    const again = await call("GET", "/ui", { headers: { "If-None-Match": etag } });
    expect([again.status, again.text]).toEqual([304, ""]);
    const moved = await call("GET", "/ui/");
    expect([moved.status, moved.headers.get("Location")]).toEqual([308, "/ui"]);
    expectProblem(await call("GET", "/ui/none.js"), 404, "no-such-route");
  });
});

describe("snapshots", () => {
  const names = async (): Promise<string[]> =>
    (await call("GET", "/v1/admin/snapshots")).json.snapshots.map(({ name }: any) => name);

  test("one is taken as a job, listed, not taken twice, and removed", async () => {
    await call("PUT", "/v1/kv/operators/a", { body: "x" });
    const taken = await json("POST", "/v1/admin/snapshot", { name: "daily" });
    expect([taken.status, taken.json.name]).toEqual([202, "daily"]);
    expect(taken.headers.get("Location")).toBe(`/v1/admin/jobs/${taken.json.id}`);
    const job = async () => (await call("GET", taken.headers.get("Location")!)).json.state;
    expect(await eventually(async () => (await job()) === "done")).toBe(true);
    const { snapshots } = (await call("GET", "/v1/admin/snapshots")).json;
    expect(snapshots).toEqual([
      {
        name: "daily",
        created: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
        tables: expect.any(Number),
        bytes: expect.any(Number),
      },
    ]);
    const again = await json("POST", "/v1/admin/snapshot", { name: "daily" });
    expectProblem(again, 409, "snapshot-conflict");
    expect((await call("DELETE", "/v1/admin/snapshots/daily")).status).toBe(204);
    expect(await names()).toEqual([]);
    const gone = await call("DELETE", "/v1/admin/snapshots/daily");
    expectProblem(gone, 404, "no-such-snapshot");
  });

  test("without a name it is called after its time", async () => {
    const { json: taken } = await call("POST", "/v1/admin/snapshot");
    expect(taken.name).toMatch(/^\d{4}-\d\d-\d\dt[\d.-]+z$/);
    expect(await eventually(async () => (await names()).includes(taken.name))).toBe(true);
  });

  test("a name that means something to a file system is refused, and nothing is taken or removed", async () => {
    const before = await names();
    for (const name of ["", ".", "..", "a/b", "UP", "x.tmp", "é", "x".repeat(64)]) {
      const taken = await json("POST", "/v1/admin/snapshot", { name });
      expect([name, taken.status, taken.json.code]).toEqual([name, 400, "bad-request"]);
    }
    for (const name of ["%2E%2E", "%2e%2e%2fLOCK", "%FF", "x.tmp"]) {
      const { status } = await call("DELETE", `/v1/admin/snapshots/${name}`);
      expect([name, [400, 404].includes(status)]).toEqual([name, true]);
    }
    expect(await names()).toEqual(before);
    expectProblem(await json("POST", "/v1/admin/snapshot", { nam: "a" }), 400, "unknown-field");
  });
});
