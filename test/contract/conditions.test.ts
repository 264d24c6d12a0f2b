/** If-Match, If-None-Match and Idempotency-Key, as the contract has them. */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Answer, contextOf, contractNode, etagOf, expectProblem } from "./client.ts";

setDefaultTimeout(20_000);
const { call, json } = contractNode();

const put = (path: string, body: string, headers: Record<string, string> = {}) =>
  call("PUT", path, { headers, body });

function expectFailedCondition(answer: Answer, etag: string): void {
  expectProblem(answer, 412, "precondition-failed");
  expect(answer.headers.get("ETag")).toBe(etag);
  contextOf(answer);
}

describe("conditions", () => {
  test("row 33: If-Match writes over the current tag only, 412 brings the current tag and context", async () => {
    const path = "/v1/kv/cond/match";
    const old = etagOf(await put(path, "1"));
    const written = await put(path, "2", { "If-Match": old });
    expect([written.status, written.headers.get("X-Condition")]).toEqual([204, "advisory"]);
    const now = etagOf(written);
    expect(now).not.toBe(old);
    const failed = await put(path, "3", { "If-Match": old });
    expectFailedCondition(failed, now);
    expect((await call("GET", path)).text).toBe("2");
    const follow = await put(path, "4", { "X-Causal-Context": contextOf(failed) });
    expect(follow.status).toBe(204);
    expect((await call("GET", path)).text).toBe("4");
  });

  test("If-Match takes a list and *, an absent or deleted key matches neither", async () => {
    const path = "/v1/kv/cond/list";
    const etag = etagOf(await put(path, "1"));
    expect((await put(path, "2", { "If-Match": `"other", ${etag}` })).status).toBe(204);
    expect((await put(path, "3", { "If-Match": "*" })).status).toBe(204);
    expectProblem(
      await put("/v1/kv/cond/absent", "1", { "If-Match": "*" }),
      412,
      "precondition-failed",
    );
    expectProblem(
      await put("/v1/kv/cond/absent", "1", { "If-Match": etag }),
      412,
      "precondition-failed",
    );
    expect((await call("GET", "/v1/kv/cond/absent")).status).toBe(404);
    await call("DELETE", path);
    expectProblem(await put(path, "4", { "If-Match": "*" }), 412, "precondition-failed");
  });

  test("R18: If-None-Match: * creates once; a tombstone is none", async () => {
    const path = "/v1/kv/cond/create";
    const created = await put(path, "1", { "If-None-Match": "*" });
    expect([created.status, created.headers.get("X-Condition")]).toEqual([204, "advisory"]);
    expectFailedCondition(await put(path, "2", { "If-None-Match": "*" }), etagOf(created));
    await call("DELETE", path);
    expect((await put(path, "3", { "If-None-Match": "*" })).status).toBe(204);
    expect((await call("GET", path)).text).toBe("3");
  });

  test("If-None-Match with a tag refuses the write while the tag is current", async () => {
    const path = "/v1/kv/cond/none";
    const etag = etagOf(await put(path, "1"));
    expectFailedCondition(await put(path, "2", { "If-None-Match": etag }), etag);
    expect((await put(path, "2", { "If-None-Match": '"other"' })).status).toBe(204);
  });

  test("DELETE keeps the conditions: 412 deletes nothing", async () => {
    const path = "/v1/kv/cond/delete";
    const etag = etagOf(await put(path, "1"));
    const refused = await call("DELETE", path, { headers: { "If-Match": '"other"' } });
    expectFailedCondition(refused, etag);
    expect((await call("GET", path)).text).toBe("1");
    const deleted = await call("DELETE", path, { headers: { "If-Match": etag } });
    expect([deleted.status, deleted.headers.get("X-Condition")]).toEqual([204, "advisory"]);
  });

  test("GET and HEAD answer 304 to the current tag, without a body, and 200 to another", async () => {
    const path = "/v1/kv/cond/read";
    const etag = etagOf(await put(path, "1"));
    for (const method of ["GET", "HEAD"]) {
      for (const tag of [etag, `"other", ${etag}`, `W/${etag}`, "*"]) {
        const answer = await call(method, path, { headers: { "If-None-Match": tag } });
        expect([method, tag, answer.status, answer.bytes.length]).toEqual([method, tag, 304, 0]);
        expect(answer.headers.get("ETag")).toBe(etag);
      }
      const other = await call(method, path, { headers: { "If-None-Match": '"other"' } });
      expect(other.status).toBe(200);
    }
    const none = { headers: { "If-None-Match": "*" } };
    expect((await call("GET", "/v1/kv/cond/no-such", none)).status).toBe(404);
  });

  test("row 32: both conditions together are 400, nothing written", async () => {
    const answer = await put("/v1/kv/cond/both", "1", { "If-Match": "*", "If-None-Match": "*" });
    expectProblem(answer, 400, "bad-request");
    expect((await call("GET", "/v1/kv/cond/both")).status).toBe(404);
  });

  test("R19: the tag changes when the siblings change and is the same on each read", async () => {
    await json("PUT", "/v1/buckets/tags", { blindPut: "sibling" });
    const path = "/v1/kv/tags/k";
    const one = etagOf(await put(path, "a"));
    const two = etagOf(await put(path, "b"));
    expect(two).not.toBe(one);
    const read = await call("GET", path);
    expect([read.status, etagOf(read)]).toEqual([300, two]);
    expect((await call("GET", path, { headers: { "If-None-Match": two } })).status).toBe(304);
    expectFailedCondition(await put(path, "c", { "If-Match": one }), two);
  });
});

describe("idempotency keys", () => {
  test("a retry is the same write and gets the first answer", async () => {
    const path = "/v1/kv/idem/k";
    const headers = { "Idempotency-Key": "order-1" };
    const first = await put(path, "1", headers);
    await put(path, "2");
    const again = await put(path, "1", headers);
    expect(again.status).toBe(204);
    for (const name of ["ETag", "X-Causal-Context"])
      expect(again.headers.get(name)).toBe(first.headers.get(name));
    expect((await call("GET", path)).text).toBe("2");
  });

  test("row 35: another body under the same key is 422 idempotency-mismatch, nothing written", async () => {
    const path = "/v1/kv/idem/other";
    const headers = { "Idempotency-Key": "order-2" };
    await put(path, "1", headers);
    expectProblem(await put(path, "2", headers), 422, "idempotency-mismatch");
    expect((await call("GET", path)).text).toBe("1");
  });

  test("a retried POST has the first Location and makes one key", async () => {
    const headers = { "Idempotency-Key": "order-3" };
    const first = await call("POST", "/v1/kv/idem-post", { headers, body: "made" });
    const again = await call("POST", "/v1/kv/idem-post", { headers, body: "made" });
    expect([first.status, again.status]).toEqual([201, 201]);
    expect(again.headers.get("Location")).toBe(first.headers.get("Location"));
    expect((await call("GET", "/v1/kv/idem-post")).json.keys).toHaveLength(1);
    const other = await call("POST", "/v1/kv/idem-post", { headers, body: "other" });
    expectProblem(other, 422, "idempotency-mismatch");
  });

  test("a retried PUT in a sibling bucket makes one sibling, a retried create is no 412", async () => {
    await json("PUT", "/v1/buckets/idem-sib", { blindPut: "sibling" });
    const headers = { "Idempotency-Key": "order-4" };
    await put("/v1/kv/idem-sib/k", "1", headers);
    await put("/v1/kv/idem-sib/k", "1", headers);
    const { owners } = (await call("GET", "/v1/kv/idem-sib/k?explain=1")).json;
    expect(owners[0].dots).toHaveLength(1);

    const create = { "Idempotency-Key": "order-5", "If-None-Match": "*" };
    expect((await put("/v1/kv/idem/create", "1", create)).status).toBe(204);
    expect((await put("/v1/kv/idem/create", "1", create)).status).toBe(204);
  });

  test("a retried DELETE does not delete what came between", async () => {
    const path = "/v1/kv/idem/deleted";
    const headers = { "Idempotency-Key": "order-6" };
    await put(path, "1");
    expect((await call("DELETE", path, { headers })).status).toBe(204);
    await put(path, "2");
    expect((await call("DELETE", path, { headers })).status).toBe(204);
    expect((await call("GET", path)).text).toBe("2");
  });

  test("a refused request leaves its idempotency key free", async () => {
    const path = "/v1/kv/idem/free";
    const key = { "Idempotency-Key": "order-7" };
    expect((await put(path, "1", { ...key, "X-TTL": "soon" })).status).toBe(400);
    expect((await put(path, "2", key)).status).toBe(204);
    expect((await call("GET", path)).text).toBe("2");
  });
});
