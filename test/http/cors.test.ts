/** Pages of other origins: those that are allowed may ask and read, the others may do neither. */
import { describe, expect, test } from "bun:test";
import { fixture, problemOf } from "./fixture.ts";

const OURS = "https://admin.example";
const WANTED = {
  "Access-Control-Request-Method": "PUT",
  "Access-Control-Request-Headers": "authorization,x-causal-context",
};
const allowed = (answer: Response): string | null =>
  answer.headers.get("access-control-allow-origin");

describe("Q18: with an allowed origin", () => {
  const { send } = fixture({ origins: [OURS] });

  test("its pages are told that they may ask, with the headers they named", async () => {
    const answer = await send("OPTIONS /v1/kv/demo/a", null, { Origin: OURS, ...WANTED });
    expect([answer.status, allowed(answer)]).toEqual([204, OURS]);
    expect(answer.headers.get("access-control-allow-methods")).toContain("PUT");
    expect(answer.headers.get("access-control-allow-headers")).toBe(
      WANTED["Access-Control-Request-Headers"],
    );
    expect(answer.headers.has("access-control-allow-credentials")).toBe(false);
  });

  test("they may change things and read what comes back, problems too", async () => {
    const put = await send("PUT /v1/kv/demo/a", "v", { Origin: OURS });
    expect([put.status, allowed(put)]).toEqual([204, OURS]);
    expect(put.headers.get("access-control-expose-headers")).toContain("x-causal-context");
    expect(put.headers.get("vary")).toContain("Origin");
    const missing = await send("GET /v1/kv/demo/none", null, { Origin: OURS });
    expect(allowed(missing)).toBe(OURS);
    await problemOf(missing, 404, "key-not-found");
  });

  test("pages of other origins are told nothing and change nothing", async () => {
    for (const Origin of ["https://evil.example", "null", `${OURS}.evil.example`]) {
      const asked = await send("OPTIONS /v1/kv/demo/a", null, { Origin, ...WANTED });
      expect([asked.status, allowed(asked)]).toEqual([403, null]);
      const put = await send("PUT /v1/kv/demo/a", "v", { Origin });
      expect(allowed(put)).toBeNull();
      await problemOf(put, 403, "forbidden");
      expect(allowed(await send("GET /v1/kv/demo/a", null, { Origin }))).toBeNull();
    }
  });

  test("without an Origin an answer is as ever", async () => {
    const answer = await send("GET /v1/kv/demo/a");
    expect([answer.status, allowed(answer), answer.headers.get("vary")]).toEqual([200, null, null]);
  });
});

test("without allowed origins nobody is told anything", async () => {
  const { send } = fixture();
  const answer = await send("OPTIONS /v1/kv/demo/a", null, { Origin: OURS, ...WANTED });
  expect([answer.status, allowed(answer)]).toEqual([403, null]);
});
