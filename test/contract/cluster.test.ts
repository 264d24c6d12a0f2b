/** Section 4 of the contract: bucket properties, views of the cluster, administration, on one node. */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { contextOf, contractNode, eventually, expectProblem } from "./client.ts";

setDefaultTimeout(20_000);
const { call, json } = contractNode();

const put = (path: string, body: string, headers: Record<string, string> = {}) =>
  call("PUT", path, { headers, body });

describe("buckets", () => {
  test("any bucket has the default properties at once", async () => {
    const { status, json: properties } = await call("GET", "/v1/buckets/never-used");
    expect(status).toBe(200);
    expect(properties).toMatchObject({
      n: 3,
      conflicts: "siblings",
      blindPut: "supersede",
      strict: false,
      siblingsMax: 50,
    });
    expect(properties).toHaveProperty("ttl");
    expect(properties.valueBytesMax).toBeGreaterThan(0);
  });

  test("PATCH changes what it names, PUT replaces the whole, both are seen and used", async () => {
    await json("PUT", "/v1/buckets/props", { blindPut: "sibling", siblingsMax: 5 });
    await json("PATCH", "/v1/buckets/props", { siblingsMax: 7 });
    const patched = (await call("GET", "/v1/buckets/props")).json;
    expect(patched).toMatchObject({ blindPut: "sibling", siblingsMax: 7 });
    await json("PUT", "/v1/buckets/props", { siblingsMax: 9 });
    const replaced = (await call("GET", "/v1/buckets/props")).json;
    expect(replaced).toMatchObject({ blindPut: "supersede", siblingsMax: 9 });
    const { buckets } = (await call("GET", "/v1/buckets")).json;
    expect(buckets.find(({ name }: any) => name === "props")).toMatchObject({ siblingsMax: 9 });
  });

  test("a bucket's ttl holds for writes that give none", async () => {
    await json("PUT", "/v1/buckets/shortlived", { ttl: 3600 });
    await put("/v1/kv/shortlived/k", "x");
    const expires = (await call("GET", "/v1/kv/shortlived/k")).headers.get("X-Expires-At") ?? "";
    expect(Math.abs(Date.parse(expires) - Date.now() - 3_600_000)).toBeLessThan(20_000);
    await put("/v1/kv/shortlived/k", "x", { "X-TTL": "60" });
    const own = (await call("GET", "/v1/kv/shortlived/k")).headers.get("X-Expires-At") ?? "";
    expect(Date.parse(own) - Date.now()).toBeLessThan(61_000);
  });

  test("a bucket's consistency is its default level", async () => {
    const level = (await json("PUT", "/v1/buckets/levels", { consistency: "ALL" })).json;
    expect(level.consistency).toBe("ALL");
    expect((await put("/v1/kv/levels/k", "x")).status).toBe(204);
  });

  test("an unknown or impossible property is 400, a reserved one 501, nothing changes", async () => {
    const before = (await call("GET", "/v1/buckets/refused")).json;
    const impossible = [
      { n: 0 },
      { n: -1 },
      { n: 2.5 },
      { n: "3" },
      { conflicts: "banana" },
      { blindPut: "banana" },
      { consistency: "banana" },
      { strict: "yes" },
      { ttl: -1 },
      { ttl: 400_000_000 },
      { siblingsMax: 0 },
      { valueBytesMax: -1 },
      { colour: "red" },
    ];
    for (const property of impossible) {
      for (const method of ["PUT", "PATCH"]) {
        const answer = await json(method, "/v1/buckets/refused", property);
        expect([property, method, answer.status]).toEqual([property, method, 400]);
        expect(["bad-property", "unknown-field", "bad-consistency", "bad-ttl"]).toContain(
          answer.json.code,
        );
      }
    }
    for (const reserved of [{ conflicts: "crdt:counter" }, { consistency: "STRONG" }]) {
      const answer = await json("PATCH", "/v1/buckets/refused", reserved);
      expectProblem(answer, 501, "not-implemented");
    }
    expect((await call("GET", "/v1/buckets/refused")).json).toEqual(before);
    expectProblem(await json("PUT", "/v1/buckets/REFUSED", {}), 400, "bad-bucket");
  });

  test("DELETE of a bucket that holds keys is 409 bucket-not-empty; of an empty one it resets it", async () => {
    await json("PUT", "/v1/buckets/doomed", { siblingsMax: 9 });
    await put("/v1/kv/doomed/k", "x");
    expectProblem(await call("DELETE", "/v1/buckets/doomed"), 409, "bucket-not-empty");
    expect((await call("GET", "/v1/buckets/doomed")).json.siblingsMax).toBe(9);
    await call("DELETE", "/v1/kv/doomed/k");
    expect((await call("DELETE", "/v1/buckets/doomed")).status).toBe(204);
    expect((await call("GET", "/v1/buckets/doomed")).json.siblingsMax).toBe(50);
    const { buckets } = (await call("GET", "/v1/buckets")).json;
    expect(buckets.map(({ name }: any) => name)).not.toContain("doomed");
  });
});

describe("views of the cluster", () => {
  test("the cluster: name, id, layout, partitions, nodes", async () => {
    expect((await call("GET", "/v1/cluster")).json).toEqual({
      name: expect.any(String),
      id: expect.any(String),
      layoutVersion: expect.any(Number),
      q: expect.any(Number),
      n: 3,
      nodes: { up: 1, suspect: 0, down: 0 },
      partitions: { serving: 256, syncing: 0 },
    });
  });

  test("the nodes: one, up, with all its partitions", async () => {
    await put("/v1/kv/demo/counted", "x");
    const answer = await call("GET", "/v1/cluster/nodes");
    expect(answer.json.nodes).toHaveLength(1);
    const [node] = answer.json.nodes;
    expect(node).toMatchObject({
      id: answer.headers.get("X-Node"),
      address: expect.any(String),
      peerAddress: expect.any(String),
      zone: { dc: expect.any(String), rack: expect.any(String), host: expect.any(String) },
      state: "up",
      partitions: 256,
      hintsFor: 0,
    });
    for (const name of ["weight", "phi", "incarnation", "keys", "bytes"])
      expect([name, typeof node[name]]).toEqual([name, "number"]);
  });

  test("the ring: every partition has its owner; ?key= finds one", async () => {
    const { json: ring } = await call("GET", "/v1/cluster/ring");
    expect(ring.partitions).toHaveLength(ring.q);
    expect(ring.partitions.map(({ partition }: any) => partition)).toEqual(
      Array.from({ length: ring.q }, (_, index) => index),
    );
    for (const each of ring.partitions)
      expect([each.owners, typeof each.state]).toEqual([["n1"], "string"]);
    const found = (await call("GET", "/v1/cluster/ring?key=demo/a%2Fb")).json;
    expect(found).toMatchObject({ owners: ["n1"], fallbacks: [] });
    expect(found.partition).toBeLessThan(ring.q);
    for (const bad of ["nobucket", "", "DEMO/k", "demo/"])
      expect((await call("GET", `/v1/cluster/ring?key=${bad}`)).status).toBe(400);
  });

  test("the layout shows the node", async () => {
    const { status, json: layout } = await call("GET", "/v1/cluster/layout");
    expect(status).toBe(200);
    expect(JSON.stringify(layout)).toContain('"n1"');
  });
});

describe("administration", () => {
  test("hints, repair, storage and jobs answer", async () => {
    expect((await call("GET", "/v1/admin/hints")).json).toEqual({ targets: [] });
    for (const what of ["repair", "storage", "jobs"])
      expect((await call("GET", `/v1/admin/${what}`)).status).toBe(200);
  });

  test("long work is 202 with Location and id; the job runs to done", async () => {
    for (const work of ["repair", "flush", "compact", "scrub"]) {
      const started = await call("POST", `/v1/admin/${work}`);
      expect([work, started.status]).toEqual([work, 202]);
      const { id } = started.json;
      expect(started.headers.get("Location")).toBe(`/v1/admin/jobs/${id}`);
      const job = () => call("GET", `/v1/admin/jobs/${id}`);
      expect((await job()).json).toMatchObject({ id, kind: work });
      const isDone = async () => (await job()).json.state !== "running";
      expect(await eventually(isDone)).toBe(true);
      const done = (await job()).json;
      expect([work, done.state, done.detail]).toEqual([work, "done", done.detail]);
      expect(done).toHaveProperty("progress");
      expect(done).toHaveProperty("detail");
    }
    expect((await call("GET", "/v1/admin/jobs")).json.jobs.length).toBeGreaterThanOrEqual(4);
  });

  test("an unknown job is 404 no-such-job", async () => {
    expectProblem(await call("GET", "/v1/admin/jobs/nothing-7"), 404, "no-such-job");
  });

  test("what was written before flush and compact reads after them", async () => {
    await put("/v1/kv/flushed/k", "x");
    const context = contextOf(await call("GET", "/v1/kv/flushed/k"));
    await call("POST", "/v1/admin/flush");
    await call("POST", "/v1/admin/compact");
    await put("/v1/kv/flushed/k", "y", { "X-Causal-Context": context });
    const get = await call("GET", "/v1/kv/flushed/k");
    expect([get.status, get.text]).toEqual([200, "y"]);
  });

  test("healthz, readyz, metrics and openapi answer", async () => {
    expect((await call("GET", "/healthz")).status).toBe(200);
    expect((await call("GET", "/readyz")).status).toBe(200);
    const metrics = await call("GET", "/metrics");
    expect(metrics.headers.get("Content-Type")).toStartWith("application/openmetrics-text");
    expect(metrics.text.trimEnd().endsWith("# EOF")).toBe(true);
    const { json: api } = await call("GET", "/v1/openapi.json");
    expect(api.openapi).toStartWith("3.1");
    for (const path of ["/v1/kv/{bucket}/{key}", "/v1/kv/{bucket}", "/v1/batch", "/v1/cluster"])
      expect(Object.keys(api.paths)).toContain(path);
  });
});

describe("the last thing: draining", () => {
  test("after drain readyz is 503 and healthz 200", async () => {
    const drain = await call("POST", "/v1/admin/drain");
    expect([200, 202]).toContain(drain.status);
    const isNotReady = async () => (await call("GET", "/readyz")).status === 503;
    expect(await eventually(isNotReady)).toBe(true);
    expect((await call("GET", "/healthz")).status).toBe(200);
    const answer = await call("GET", "/readyz");
    expect(answer.headers.get("Retry-After")).toBeTruthy();
  });
});
