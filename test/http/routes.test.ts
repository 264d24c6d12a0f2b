/** The route table, the document made from it, and the routes of section 4. */
import { describe, expect, test } from "bun:test";
import { PROBLEM_KINDS } from "../../src/http/problem.ts";
import { REST_CODES } from "../../src/base/errors.ts";
import { ROUTES } from "../../src/http/routes.ts";
import { fixture, jsonOf, problemOf } from "./fixture.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
const concrete = (path: string): string =>
  path.replace("{bucket}", "demo").replace("{key}", "a").replace("{id}", "x1");

describe("the route table", () => {
  test("Q2: every route has a role, and only reading the node's health and contract needs none", () => {
    for (const route of ROUTES)
      expect(["none", "read", "write", "admin", "metrics"]).toContain(route.role);
    const open = ROUTES.filter(({ role }) => role === "none").map(({ path }) => path);
    // The dashboard's own files say nothing of anybody's data; what it shows it asks for with a token.
    const page = ["/ui", "/ui/", "/ui/{file}"];
    expect(open.toSorted()).toEqual(
      ["/healthz", "/readyz", ...page, "/v1/openapi.json"].toSorted(),
    );
    for (const { method, path, role } of ROUTES) {
      if (method !== "GET") expect(`${method} ${path} ${role}`).toMatch(/ (write|admin)$/);
    }
  });

  test("every route of the app is in the table, and the other way round", () => {
    const { app } = fixture();
    const routed = new Set(
      app.routes.map(({ method, path }) => `${method} ${path.replace("{.+}", "")}`),
    );
    const listed = ROUTES.map(
      ({ method, path }) => `${method} ${path.replaceAll(/\{(\w+)\}/g, ":$1")}`,
    );
    for (const name of listed) expect(routed).toContain(name);
    // The empty key has a pattern of its own.
    const extra = [...routed].filter((name) => !listed.includes(name));
    expect(extra.every((name) => /\/v1\/kv(64)?\/:bucket\/$/.test(name))).toBe(true);
  });

  test("no route is listed twice", () => {
    const names = ROUTES.map(({ method, path }) => `${method} ${path}`);
    expect(new Set(names).size).toBe(names.length);
  });

  test("every route appears in the OpenAPI document with its role, answers and problems", async () => {
    const { send } = fixture();
    const document = await jsonOf(await send("GET /v1/openapi.json"));
    expect(document.openapi).toBe("3.1.0");
    let count = 0;
    for (const { method, path, role, problems } of ROUTES) {
      const operation = document.paths[path][method.toLowerCase()];
      expect(operation["x-role"]).toBe(role);
      for (const code of problems) {
        expect(operation.responses[PROBLEM_KINDS[code].status].description).toContain(code);
      }
      count++;
    }
    const shown = Object.values<any>(document.paths).flatMap((path) => Object.keys(path));
    expect(shown.filter((method) => method !== "head")).toHaveLength(count);
    const put = document.paths["/v1/kv/{bucket}/{key}"].put;
    const names = put.parameters.map(({ name }: any) => name);
    expect(names).toEqual(expect.arrayContaining(["bucket", "key", "x-consistency", "x-ttl"]));
    const batch = document.paths["/v1/batch"].post.requestBody.content["application/json"].schema;
    expect(batch.properties.ops.items.properties.op.enum).toEqual(["get", "put", "delete"]);
  });

  test("every route answers something that is in its own row of the table", async () => {
    for (const route of ROUTES) {
      const { send } = fixture();
      const response = await send(
        `${route.method} ${concrete(route.path)}`,
        route.method === "GET" ? null : "{}",
      );
      const statuses = [
        ...Object.keys(route.answers).map(Number),
        ...route.problems.map((code) => PROBLEM_KINDS[code].status),
        400,
      ];
      expect(
        `${route.method} ${route.path} ${statuses.includes(response.status) ? "" : response.status}`,
      ).toEndWith(" ");
      expect(response.headers.get("x-request-id")).not.toBeNull();
      expect(response.headers.get("x-node")).toBe("n1");
    }
  });

  test("reserved routes say so with 501", async () => {
    const { send } = fixture();
    await problemOf(await send("GET /v1/watch/demo?prefix=a"), 501, "not-implemented");
  });
});

describe("problem kinds", () => {
  test("every code of the contract has the status that REST.md section 5 gives it", () => {
    expect(Object.keys(PROBLEM_KINDS).sort()).toEqual([...REST_CODES].sort());
    const of = (status: number): string[] =>
      REST_CODES.filter((code) => PROBLEM_KINDS[code].status === status);
    expect(of(404)).toEqual(["key-not-found", "no-such-route", "no-such-job", "no-such-snapshot"]);
    expect(of(413)).toEqual(["value-too-large"]);
    expect(of(414)).toEqual(["key-too-long"]);
    expect(of(431)).toEqual(["metadata-too-large"]);
    expect(of(503)).toHaveLength(6);
    expect(of(504)).toEqual(["write-indeterminate", "read-timeout"]);
    expect(of(507)).toEqual(["disk-full"]);
  });
});

describe("buckets", () => {
  test("any bucket has the defaults until it is told otherwise", async () => {
    const { send } = fixture();
    expect(await jsonOf(await send("GET /v1/buckets/demo"))).toEqual({
      n: 3,
      conflicts: "siblings",
      blindPut: "supersede",
      consistency: "QUORUM",
      strict: false,
      ttl: 0,
      siblingsMax: 50,
      valueBytesMax: 1048576,
    });
    expect(await jsonOf(await send("GET /v1/buckets"))).toEqual({ buckets: [] });
  });

  test("PUT replaces, PATCH changes, DELETE forgets, and what GET shows can be PUT", async () => {
    const { send } = fixture();
    const put = await send("PUT /v1/buckets/demo", '{"n":5,"ttl":60}', JSON_TYPE);
    expect(await jsonOf(put)).toMatchObject({ n: 5, ttl: 60 });
    const patch = await send("PATCH /v1/buckets/demo", '{"conflicts":"lww"}');
    expect(await jsonOf(patch)).toMatchObject({ n: 5, ttl: 60, conflicts: "lww" });
    const again = await send("PUT /v1/buckets/demo", '{"ttl":5}', JSON_TYPE);
    expect(await jsonOf(again)).toMatchObject({ n: 3, ttl: 5, conflicts: "siblings" });
    const shown = await (await send("GET /v1/buckets/demo")).text();
    expect(await (await send("PUT /v1/buckets/demo", shown, JSON_TYPE)).text()).toBe(shown);
    expect((await jsonOf(await send("GET /v1/buckets"))).buckets[0].name).toBe("demo");
    expect((await send("DELETE /v1/buckets/demo")).status).toBe(204);
    expect(await jsonOf(await send("GET /v1/buckets"))).toEqual({ buckets: [] });
  });

  test("a bucket that holds keys is not forgotten", async () => {
    const { send } = fixture();
    await send("PUT /v1/kv/demo/a", "x");
    await problemOf(await send("DELETE /v1/buckets/demo"), 409, "bucket-not-empty");
  });

  test("an impossible property is refused and nothing changes", async () => {
    const { send } = fixture();
    for (const [body, status, code] of [
      ['{"n":0}', 400, "bad-property"],
      ['{"n":2.5}', 400, "bad-property"],
      ['{"n":"3"}', 400, "bad-property"],
      ['{"n":99}', 400, "bad-property"],
      ["[]", 400, "bad-property"],
      ['{"conflicts":"vote"}', 400, "bad-property"],
      ['{"conflicts":"crdt:counter"}', 501, "not-implemented"],
      ['{"cache":"lru"}', 501, "not-implemented"],
      ['{"blindPut":"maybe"}', 400, "bad-property"],
      ['{"consistency":"banana"}', 400, "bad-property"],
      ['{"consistency":"STRONG"}', 501, "not-implemented"],
      ['{"n":2,"consistency":"w=3"}', 400, "bad-property"],
      ['{"strict":"yes"}', 400, "bad-property"],
      ['{"ttl":-1}', 400, "bad-property"],
      ['{"ttl":315360001}', 400, "bad-property"],
      ['{"siblingsMax":0}', 400, "bad-property"],
      ['{"valueBytesMax":16777217}', 400, "bad-property"],
      ['{"color":"red"}', 400, "unknown-field"],
    ] as const) {
      for (const method of ["PUT", "PATCH"]) {
        await problemOf(await send(`${method} /v1/buckets/demo`, body, JSON_TYPE), status, code);
      }
    }
    expect((await jsonOf(await send("GET /v1/buckets"))).buckets).toEqual([]);
  });

  test("PATCH is measured against what stays", async () => {
    const { send } = fixture();
    await send("PUT /v1/buckets/demo", '{"n":3,"consistency":"w=3"}', JSON_TYPE);
    await problemOf(
      await send("PATCH /v1/buckets/demo", '{"n":2}', JSON_TYPE),
      400,
      "bad-property",
    );
  });
});

describe("cluster and administration", () => {
  test("views of the cluster have the members of REST.md", async () => {
    const { send } = fixture();
    expect(await jsonOf(await send("GET /v1/cluster"))).toMatchObject({
      name: "test",
      nodes: { up: 1 },
    });
    const { nodes } = await jsonOf(await send("GET /v1/cluster/nodes"));
    expect(nodes[0]).toMatchObject({ id: "n1", state: "up", zone: { dc: "dc1" } });
    expect((await jsonOf(await send("GET /v1/cluster/ring"))).partitions).toHaveLength(4);
    expect(await jsonOf(await send("GET /v1/cluster/ring?key=demo/a%2Fb"))).toEqual({
      key: "a/b",
      partition: 2,
      owners: ["n1"],
      fallbacks: [],
    });
    for (const key of ["demo", "demo/", ""]) {
      await problemOf(await send(`GET /v1/cluster/ring?key=${key}`), 400, "bad-key");
    }
    await problemOf(await send("GET /v1/cluster/ring?key=Demo/a"), 400, "bad-bucket");
    expect(await jsonOf(await send("GET /v1/admin/hints"))).toEqual({ targets: [] });
    expect(await jsonOf(await send("GET /v1/admin/storage"))).toEqual({ tables: 0 });
  });

  test("hints are told with the instant of the oldest", async () => {
    const { send, admin } = fixture();
    admin.held = [{ node: "n3", count: 2, bytes: 50, oldestMs: 1_795_268_669_000 }];
    expect(await jsonOf(await send("GET /v1/admin/hints"))).toEqual({
      targets: [{ node: "n3", count: 2, bytes: 50, oldest: "2026-11-21T13:44:29.000Z" }],
    });
  });

  test("long work is 202 with a job that can be looked at", async () => {
    const { send } = fixture();
    for (const kind of ["repair", "flush", "compact", "scrub", "drain"]) {
      const started = await send(`POST /v1/admin/${kind}`);
      expect(started.status).toBe(202);
      const { id } = await jsonOf(started);
      const location = started.headers.get("location")!;
      expect(location).toBe(`/v1/admin/jobs/${id}`);
      expect(await jsonOf(await send(`GET ${location}`))).toMatchObject({
        id,
        kind,
        state: "running",
      });
    }
    expect((await jsonOf(await send("GET /v1/admin/jobs"))).jobs).toHaveLength(5);
    expect((await jsonOf(await send("GET /v1/admin/repair"))).jobs).toHaveLength(1);
    await problemOf(await send("GET /v1/admin/jobs/none"), 404, "no-such-job");
  });

  test("healthz is up, readyz is 503 until the node can serve, verbose says why", async () => {
    const { send, admin } = fixture();
    expect(await jsonOf(await send("GET /healthz"))).toEqual({ status: "ok" });
    expect(await jsonOf(await send("GET /readyz"))).toEqual({ status: "ready" });
    expect((await jsonOf(await send("GET /readyz?verbose"))).checks.cluster).toBe("ok");
    admin.isReady = false;
    const response = await send("GET /readyz?verbose");
    expect(response.headers.get("retry-after")).toBe("1");
    const problem = await problemOf(response, 503, "unavailable");
    expect(problem["checks"]).toEqual({ storage: "ok", cluster: "syncing" });
    expect((await send("GET /healthz")).status).toBe(200);
  });

  test("metrics are OpenMetrics, whatever the scraper accepts", async () => {
    const { send } = fixture();
    const metrics = await send("GET /metrics", null, { Accept: "text/plain" });
    expect(metrics.headers.get("content-type")).toStartWith("application/openmetrics-text");
    expect(await metrics.text()).toEndWith("# EOF\n");
  });
});
