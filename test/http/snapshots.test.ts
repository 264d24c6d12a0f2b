/** `/v1/admin/snapshot`, `/v1/admin/snapshots`. */
import { expect, test } from "bun:test";
import { ROUTES } from "../../src/http/routes.ts";
import { fixture, jsonOf, problemOf } from "./fixture.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
const named = (name: unknown): string => JSON.stringify({ name });

test("a snapshot is taken as a job, listed, and removed", async () => {
  const { send } = fixture();
  const taken = await send("POST /v1/admin/snapshot", named("monday"), JSON_TYPE);
  expect(taken.status).toBe(202);
  const { id, name } = await jsonOf(taken);
  expect(name).toBe("monday");
  expect(taken.headers.get("Location")).toBe(`/v1/admin/jobs/${id}`);
  expect(await jsonOf(await send("GET /v1/admin/snapshots"))).toEqual({
    snapshots: [{ name: "monday", created: "2026-01-01T00:00:00.000Z", tables: 2, bytes: 300 }],
  });
  expect((await send("DELETE /v1/admin/snapshots/monday")).status).toBe(204);
  expect(await jsonOf(await send("GET /v1/admin/snapshots"))).toEqual({ snapshots: [] });
});

test("without a body its name is the time, which is a name that it may have", async () => {
  const { send } = fixture();
  const { name } = await jsonOf(await send("POST /v1/admin/snapshot"));
  expect(name).toMatch(/^\d{4}-\d\d-\d\dt\d\d-\d\d-\d\d\.\d{3}z$/);
});

test("what cannot be is refused with its code", async () => {
  const { send } = fixture();
  const post = (body: string) => send("POST /v1/admin/snapshot", body, JSON_TYPE);
  await post(named("a"));
  await problemOf(await post(named("a")), 409, "snapshot-conflict");
  await problemOf(await post(named(7)), 400, "bad-request");
  await problemOf(await post('{"nme":"a"}'), 400, "unknown-field");
  await problemOf(await send("DELETE /v1/admin/snapshots/none"), 404, "no-such-snapshot");
  await problemOf(await send("DELETE /v1/admin/snapshots/%ff"), 400, "bad-request");
  await problemOf(await send("PUT /v1/admin/snapshots/a"), 405, "method-not-allowed");
});

test("Q2: only an administrator takes, sees or removes one", () => {
  const rows = ROUTES.filter(({ path }) => path.startsWith("/v1/admin/snapshot"));
  expect(rows.map(({ method, role }) => `${method} ${role}`)).toEqual([
    "POST admin",
    "GET admin",
    "DELETE admin",
  ]);
});
