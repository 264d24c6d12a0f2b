/** `/v1/cluster/layout`, the changes of nodes, and what the administration shows of upkeep. */
import { describe, expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import { layoutSummary } from "../support/fake-layout.ts";
import { fixture, jsonOf, problemOf } from "./fixture.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
const stageOf = (...changes: unknown[]): string => JSON.stringify({ changes });

describe("GET /v1/cluster/layout", () => {
  test("shows the layout, what is staged, and how far a change is", async () => {
    const { send, admin } = fixture();
    expect(await jsonOf(await send("GET /v1/cluster/layout"))).toMatchObject({
      version: 1,
      nodes: [{ id: "n1", partitions: 4 }],
      staged: [],
      conflicts: [],
      change: null,
      spread: { below: [] },
    });
    const change = {
      version: 2,
      readVersion: 1,
      nodes: 4,
      acknowledged: 4,
      synced: 1,
      transfers: { done: 3, total: 9 },
      bytesSent: 1234,
      waitingFor: ["n3"],
    };
    admin.layout.summary = layoutSummary({ change, staged: [{ id: "n3", action: "leave" }] });
    const shown = await jsonOf(await send("GET /v1/cluster/layout"));
    expect(shown).toMatchObject({ change, staged: [{ id: "n3", action: "leave" }] });
  });
});

describe("staging", () => {
  const changes = [
    { id: "n4", weight: 2 },
    { id: "n5", zone: { rack: "r2" } },
    { id: "n3", action: "leave" },
    { id: "n6", action: "join" },
    { id: "n7", action: "replace", with: "n8" },
    { id: "n9", action: "none" },
  ];

  test("R57: changes are staged, or only previewed, and the layout is the answer", async () => {
    const { send, admin } = fixture();
    for (const verb of ["stage", "preview"]) {
      const response = await send(
        `POST /v1/cluster/layout/${verb}`,
        stageOf(...changes),
        JSON_TYPE,
      );
      expect(await jsonOf(response)).toMatchObject({ version: 1 });
      expect(admin.layout.asked.pop()).toBe(`${verb} ${JSON.stringify(changes)}`);
    }
    expect(await jsonOf(await send("POST /v1/cluster/layout/revert"))).toMatchObject({
      version: 1,
    });
    expect(admin.layout.asked).toEqual(["revert"]);
  });

  test("what no change can be is 400, and nothing is asked of the node", async () => {
    const { send, admin } = fixture();
    for (const [body, code] of [
      ["", "bad-json"],
      ["{}", "bad-request"],
      ['{"changes":[]}', "bad-request"],
      [stageOf({ id: "n4" }), "bad-request"],
      [stageOf({ weight: 2 }), "bad-request"],
      [stageOf({ id: "n4", weight: 0 }), "bad-request"],
      [stageOf({ id: "n4", weight: 1.5 }), "bad-request"],
      [stageOf({ id: "n4", weight: 1001 }), "bad-request"],
      [stageOf({ id: "n4", zone: { rack: "a b" } }), "bad-request"],
      [stageOf({ id: "n4", zone: { shelf: "s" } }), "unknown-field"],
      [stageOf({ id: "n4", action: "explode" }), "bad-request"],
      [stageOf({ id: "n4", action: "leave", weight: 2 }), "bad-request"],
      [stageOf({ id: "n4", action: "replace" }), "bad-request"],
      [stageOf({ id: "n4", action: "leave", with: "n5" }), "bad-request"],
      [stageOf({ id: "n4", weight: 2, color: "red" }), "unknown-field"],
      ['{"changes":[{"id":"n4","weight":2}],"apply":true}', "unknown-field"],
    ] as const)
      for (const verb of ["stage", "preview"])
        await problemOf(await send(`POST /v1/cluster/layout/${verb}`, body, JSON_TYPE), 400, code);
    expect(admin.layout.asked).toEqual([]);
  });
});

describe("changes that become a version", () => {
  test("apply and the changes of nodes are 202 with a job", async () => {
    const { send, admin } = fixture();
    for (const [line, body, asked] of [
      ["apply", '{"version":7}', "apply 7"],
      ["apply", '{"version":7,"force":true}', "apply 7 forced"],
      ["apply?force=1", '{"version":7}', "apply 7 forced"],
      ["../nodes/n3/leave", "", "leave n3"],
      ["../nodes/n3/leave", '{"force":true}', "leave n3 forced"],
      ["../nodes/n%2E3/remove?force=1", "", "remove n.3 forced"],
      ["../nodes/00000000000000a3/remove", "{}", "remove 00000000000000a3"],
      ["../nodes/n3/replace", '{"with":"n6"}', "replace n3 with n6"],
      ["../nodes/n3/replace?force=true", '{"with":"n6"}', "replace n3 with n6 forced"],
    ] as const) {
      const path = line.startsWith("..")
        ? `/v1/cluster${line.slice(2)}`
        : `/v1/cluster/layout/${line}`;
      const response = await send(`POST ${path}`, body, JSON_TYPE);
      expect(response.status).toBe(202);
      const { id } = await jsonOf(response);
      expect(response.headers.get("location")).toBe(`/v1/admin/jobs/${id}`);
      expect(await jsonOf(await send(`GET /v1/admin/jobs/${id}`))).toMatchObject({ id });
      expect(admin.layout.asked.pop()).toBe(asked);
    }
  });

  test("rows 103, 104, 105: what may not be is 409 with its code", async () => {
    const { send, admin } = fixture();
    for (const code of ["layout-conflict", "would-underreplicate", "node-alive"] as const) {
      admin.layout.failure = new HutchError(code, "Cannot: no");
      await problemOf(await send("POST /v1/cluster/nodes/n3/remove"), 409, code);
      await problemOf(await send("POST /v1/cluster/nodes/n3/leave"), 409, code);
      const apply = await send("POST /v1/cluster/layout/apply", '{"version":7}', JSON_TYPE);
      await problemOf(apply, 409, code);
    }
    admin.layout.failure = new HutchError("no-such-route", "Cannot find");
    await problemOf(await send("POST /v1/cluster/nodes/n99/leave"), 404, "no-such-route");
  });

  test("bad bodies are 400 and ask for nothing", async () => {
    const { send, admin } = fixture();
    for (const [path, body, code] of [
      ["layout/apply", "", "bad-json"],
      ["layout/apply", "{}", "bad-request"],
      ["layout/apply", '{"version":0}', "bad-request"],
      ["layout/apply", '{"version":"7"}', "bad-request"],
      ["layout/apply", '{"version":7,"now":true}', "unknown-field"],
      ["layout/apply?force=perhaps", '{"version":7}', "bad-request"],
      ["nodes/n3/leave", '{"force":1}', "bad-request"],
      ["nodes/n3/leave", '{"with":"n6"}', "unknown-field"],
      ["nodes/n3/replace", "", "bad-json"],
      ["nodes/n3/replace", "{}", "bad-request"],
      ["nodes/n3/replace", '{"with":""}', "bad-request"],
    ] as const)
      await problemOf(await send(`POST /v1/cluster/${path}`, body, JSON_TYPE), 400, code);
    expect(admin.layout.asked).toEqual([]);
  });
});

describe("upkeep", () => {
  test("repair and scrub say what they know, with their jobs", async () => {
    const { send } = fixture();
    await send("POST /v1/admin/repair");
    await send("POST /v1/admin/scrub");
    expect(await jsonOf(await send("GET /v1/admin/repair"))).toMatchObject({
      lastRoundMs: 5,
      jobs: [{ kind: "repair" }],
    });
    expect(await jsonOf(await send("GET /v1/admin/scrub"))).toMatchObject({
      quarantinedTables: 0,
      jobs: [{ kind: "scrub" }],
    });
  });

  test("R42: records held back are listed, and let in one by one", async () => {
    const { send, admin } = fixture();
    admin.suspected = [{ id: "s1" }, { id: "s2" }];
    expect(await jsonOf(await send("GET /v1/admin/suspects"))).toEqual({
      suspects: [{ id: "s1" }, { id: "s2" }],
    });
    expect((await send("POST /v1/admin/suspects/s1/accept")).status).toBe(204);
    expect(admin.suspected).toEqual([{ id: "s2" }]);
    await problemOf(await send("POST /v1/admin/suspects/s1/accept"), 404, "key-not-found");
  });
});

test("the OpenAPI document says what the bodies of changes are", async () => {
  const { send } = fixture();
  const { paths } = await jsonOf(await send("GET /v1/openapi.json"));
  const bodyOf = (path: string) => paths[path].post.requestBody;
  const schemaOf = (path: string) => bodyOf(path).content["application/json"].schema;
  const change = schemaOf("/v1/cluster/layout/stage").properties.changes.items;
  expect(Object.keys(change.properties)).toEqual(["id", "weight", "zone", "action", "with"]);
  expect(schemaOf("/v1/cluster/layout/apply").required).toEqual(["version"]);
  expect(schemaOf("/v1/cluster/nodes/{id}/replace").required).toEqual(["with"]);
  expect(bodyOf("/v1/cluster/nodes/{id}/leave").required).toBe(false);
  expect(bodyOf("/v1/cluster/nodes/{id}/replace").required).toBe(true);
  const leave = paths["/v1/cluster/nodes/{id}/leave"].post;
  expect(leave.parameters.map(({ name }: { name: string }) => name)).toEqual(["id", "force"]);
});
