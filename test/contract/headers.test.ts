/** Section 2 of the contract: the request headers of one key, and their query twins. */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { contractNode, eventually, expectProblem } from "./client.ts";

setDefaultTimeout(20_000);
const { call } = contractNode();

describe("request headers", () => {
  test("X-Consistency: words in any case, dictionaries, and the query twin", async () => {
    const words = ["ONE", "one", "Quorum", "ALL", "r=1, w=1, pr=1, pw=1, dw=1, sloppy=?0"];
    for (const level of [...words, "w=1", "sloppy=?1", "n=3", "r=1,w=1"]) {
      const headers = { "X-Consistency": level };
      const put = await call("PUT", "/v1/kv/level/k", { headers, body: level });
      expect([level, put.status]).toEqual([level, 204]);
      const twin = `/v1/kv/level/k?consistency=${encodeURIComponent(level)}`;
      const get = await call("GET", twin);
      expect([level, get.status, get.text]).toEqual([level, 200, level]);
    }
  });

  test("rows 28, 29, 30: a bad level is 400 bad-consistency for read, write and delete, nothing written", async () => {
    await call("PUT", "/v1/kv/level/kept", { body: "kept" });
    const bad = ["banana", "ONE, ALL", "r=0", "w=0", "r=-1", "w=2", "r=4", "w=1e3", "w=2.5", "n=1"];
    for (const level of [...bad, "n=5", "pw=2", "dw=2", "q=1", "w=", "sloppy=2", "w=one", ""]) {
      const headers = { "X-Consistency": level };
      for (const method of ["PUT", "GET", "DELETE"]) {
        const answer = await call(method, "/v1/kv/level/kept", { headers });
        expect([level, method, answer.status]).toEqual([level, method, 400]);
        expectProblem(answer, 400, "bad-consistency");
      }
    }
    expectProblem(
      await call("PUT", "/v1/kv/level/kept?consistency=banana", { body: "no" }),
      400,
      "bad-consistency",
    );
    expectProblem(
      await call("POST", "/v1/kv/level?consistency=banana", { body: "no" }),
      400,
      "bad-consistency",
    );
    expect((await call("GET", "/v1/kv/level/kept")).text).toBe("kept");
    expect((await call("GET", "/v1/kv/level")).json.keys.length).toBe(2);
  });

  test("reserved levels are 501 not-implemented, nothing written", async () => {
    for (const level of ["ANY", "LOCAL_ONE", "LOCAL_QUORUM", "EACH_QUORUM", "STRONG", "strong"]) {
      const headers = { "X-Consistency": level };
      expectProblem(
        await call("PUT", "/v1/kv/level/reserved", { headers, body: "x" }),
        501,
        "not-implemented",
      );
    }
    expect((await call("GET", "/v1/kv/level/reserved")).status).toBe(404);
  });

  test("a header wins over its query twin", async () => {
    const headers = { "X-Consistency": "ONE" };
    expect((await call("GET", "/v1/kv/demo/w?consistency=banana", { headers })).status).toBe(404);
    const ttl = { "X-TTL": "1h" };
    const put = await call("PUT", "/v1/kv/demo/w?ttl=7d", { headers: ttl, body: "x" });
    expect(put.status).toBe(204);
    const expires = (await call("GET", "/v1/kv/demo/w")).headers.get("X-Expires-At") ?? "";
    expect(Date.parse(expires) - Date.now()).toBeLessThan(3_700_000);
  });

  test("X-TTL takes seconds, s, m, h and d; X-Expires-At an instant; the answer tells the expiry", async () => {
    const forms: [string, number][] = [
      ["60", 60],
      ["60s", 60],
      ["5m", 300],
      ["2h", 7200],
      ["7d", 604_800],
    ];
    for (const [ttl, seconds] of forms) {
      for (const asQuery of [false, true]) {
        const path = `/v1/kv/ttl/${ttl}`;
        const put = asQuery
          ? await call("PUT", `${path}?ttl=${ttl}`, { body: "x" })
          : await call("PUT", path, { headers: { "X-TTL": ttl }, body: "x" });
        expect(put.status).toBe(204);
        const get = await call("GET", path);
        const remainingMs = Date.parse(get.headers.get("X-Expires-At") ?? "") - Date.now();
        expect(remainingMs).toBeGreaterThan((seconds - 20) * 1000);
        expect(remainingMs).toBeLessThan((seconds + 2) * 1000);
      }
    }
    const at = new Date(Date.now() + 3_600_000).toISOString();
    await call("PUT", "/v1/kv/ttl/at", { headers: { "X-Expires-At": at }, body: "x" });
    const shown = (await call("GET", "/v1/kv/ttl/at")).headers.get("X-Expires-At") ?? "";
    expect(Math.abs(Date.parse(shown) - Date.parse(at))).toBeLessThan(1001);
    const twin = `/v1/kv/ttl/twin?expires-at=${encodeURIComponent(at)}`;
    await call("PUT", twin, { body: "x" });
    expect((await call("GET", "/v1/kv/ttl/twin")).headers.get("X-Expires-At")).toBe(shown);
  });

  test("X-TTL: keep keeps the old expiry; a PUT without it has none", async () => {
    await call("PUT", "/v1/kv/ttl/kept", { headers: { "X-TTL": "1h" }, body: "1" });
    const before = (await call("GET", "/v1/kv/ttl/kept")).headers.get("X-Expires-At");
    expect(before).toBeTruthy();
    await call("PUT", "/v1/kv/ttl/kept", { headers: { "X-TTL": "keep" }, body: "2" });
    const kept = await call("GET", "/v1/kv/ttl/kept");
    expect([kept.text, kept.headers.get("X-Expires-At")]).toEqual(["2", before]);
    await call("PUT", "/v1/kv/ttl/kept?ttl=keep", { body: "3" });
    const twin = await call("GET", "/v1/kv/ttl/kept");
    expect([twin.text, twin.headers.get("X-Expires-At")]).toEqual(["3", before]);
    await call("PUT", "/v1/kv/ttl/kept", { body: "4" });
    expect((await call("GET", "/v1/kv/ttl/kept")).headers.get("X-Expires-At")).toBeNull();
  });

  test("row 36: a TTL that cannot be is 400 bad-ttl, nothing written", async () => {
    const bad = [
      "0",
      "-1",
      "NaN",
      "1.5",
      "0.5s",
      "3651d",
      "99999999999",
      "soon",
      "1w",
      "1e3",
      "5 m",
    ];
    for (const ttl of bad) {
      expectProblem(
        await call("PUT", "/v1/kv/ttl/bad", { headers: { "X-TTL": ttl }, body: "x" }),
        400,
        "bad-ttl",
      );
      expectProblem(await call("PUT", `/v1/kv/ttl/bad?ttl=${ttl}`, { body: "x" }), 400, "bad-ttl");
    }
    for (const at of ["yesterday", "2001-01-01T00:00:00Z", "2126-01-01T00:00:00Z", "1700000000"])
      expectProblem(
        await call("PUT", "/v1/kv/ttl/bad", { headers: { "X-Expires-At": at }, body: "x" }),
        400,
        "bad-ttl",
      );
    expect((await call("GET", "/v1/kv/ttl/bad")).status).toBe(404);
    expect((await call("PUT", "/v1/kv/ttl/long?ttl=3650d", { body: "x" })).status).toBe(204);
  });

  test("a key expires, is gone from listings and exports, and a PUT follows it", async () => {
    await call("PUT", "/v1/kv/soon/k?ttl=1", { body: "x" });
    await call("PUT", "/v1/kv/soon/l?ttl=1s", { body: "x" });
    expect(await eventually(async () => (await call("GET", "/v1/kv/soon/l")).status === 404)).toBe(
      true,
    );
    expect(await eventually(async () => (await call("GET", "/v1/kv/soon/k")).status === 404)).toBe(
      true,
    );
    expect((await call("GET", "/v1/kv/soon")).json.keys).toEqual([]);
    const matched = await call("PUT", "/v1/kv/soon/k", { headers: { "If-Match": "*" }, body: "n" });
    expectProblem(matched, 412, "precondition-failed");
    expect((await call("PUT", "/v1/kv/soon/k", { body: "back" })).status).toBe(204);
    expect((await call("GET", "/v1/kv/soon/k")).text).toBe("back");
  });

  test("X-Meta is returned by GET and HEAD, 4 KiB in all; over that is metadata-too-large", async () => {
    const headers = { "X-Meta-Owner": "ann", "X-Meta-Colour": "deep blue" };
    await call("PUT", "/v1/kv/meta/k", { headers, body: "x" });
    for (const method of ["GET", "HEAD"]) {
      const answer = await call(method, "/v1/kv/meta/k");
      expect(answer.headers.get("X-Meta-Owner")).toBe("ann");
      expect(answer.headers.get("X-Meta-Colour")).toBe("deep blue");
    }
    const fits = { "X-Meta-A": "m".repeat(3900) };
    expect((await call("PUT", "/v1/kv/meta/k", { headers: fits, body: "y" })).status).toBe(204);
    expect((await call("GET", "/v1/kv/meta/k")).headers.get("X-Meta-Owner")).toBeNull();
    const over = { "X-Meta-A": "m".repeat(2500), "X-Meta-B": "m".repeat(2500) };
    const refused = await call("PUT", "/v1/kv/meta/k", { headers: over, body: "z" });
    expect([413, 431]).toContain(refused.status);
    expect(refused.json.code).toBe("metadata-too-large");
    expect((await call("GET", "/v1/kv/meta/k")).text).toBe("y");
  });

  test("row 23: Content-Type and Content-Encoding come back as given, the bytes untouched", async () => {
    const zipped = Bun.gzipSync(new TextEncoder().encode("zipped"));
    const headers = { "Content-Type": "text/plain", "Content-Encoding": "gzip" };
    await call("PUT", "/v1/kv/type/zip", { headers, body: new Uint8Array(zipped) });
    const get = await call("GET", "/v1/kv/type/zip");
    expect(get.headers.get("Content-Encoding")).toBe("gzip");
    expect(get.headers.get("Content-Type")).toBe("text/plain");
    expect(get.bytes).toEqual(new Uint8Array(zipped));
    const form = { "Content-Type": "application/x-www-form-urlencoded" };
    await call("PUT", "/v1/kv/type/form", { headers: form, body: "a=b" });
    const asForm = await call("GET", "/v1/kv/type/form");
    expect(asForm.headers.get("Content-Type")).not.toContain("urlencoded");
  });

  test("?content-type= holds beside the type that curl -d sends, which counts as not given", async () => {
    const typeOf = async (type: string | undefined, twin: string) => {
      const headers = type === undefined ? {} : { "Content-Type": type };
      await call("PUT", `/v1/kv/type/twin${twin}`, { headers, body: new Uint8Array([120]) });
      return (await call("GET", "/v1/kv/type/twin")).headers.get("Content-Type");
    };
    const curl = "application/x-www-form-urlencoded";
    const twin = "?content-type=text/css";
    expect(await typeOf(curl, twin)).toBe("text/css");
    expect(await typeOf(undefined, twin)).toBe("text/css");
    expect(await typeOf("text/html", twin)).toBe("text/html");
    expect(await typeOf(curl, "")).toBe("application/octet-stream");
  });

  test("row 31: X-Timeout in ms and s up to 60 s, else 400 bad-timeout, nothing written", async () => {
    for (const timeout of ["250ms", "2s", "60s", "60000ms"]) {
      const headers = { "X-Timeout": timeout };
      expect((await call("PUT", "/v1/kv/time/k", { headers, body: "x" })).status).toBe(204);
      expect((await call("GET", `/v1/kv/time/k?timeout=${timeout}`)).status).toBe(200);
    }
    for (const timeout of ["0", "0ms", "-1s", "61s", "60001ms", "soon", "1h"]) {
      const headers = { "X-Timeout": timeout };
      const put = await call("PUT", "/v1/kv/time/bad", { headers, body: "x" });
      expectProblem(put, 400, "bad-timeout");
      expectProblem(await call("GET", `/v1/kv/time/k?timeout=${timeout}`), 400, "bad-timeout");
    }
    expect((await call("GET", "/v1/kv/time/bad")).status).toBe(404);
  });

  test("R6, R7, R10: a read that ends in 404 or 412 says how it was made, as a 200 does", async () => {
    const path = "/v1/kv/session/deleted";
    const put = await call("PUT", `${path}?session=new`, { body: "x" });
    const session = { "X-Session": put.headers.get("X-Session") ?? "" };
    const other = await call("GET", path, { headers: { ...session, "If-Match": '"other"' } });
    expectProblem(other, 412, "precondition-failed");
    await call("DELETE", path);
    const deleted = await call("GET", path, { headers: session });
    expectProblem(deleted, 404, "key-not-found");
    expect(deleted.headers.get("X-Tombstone")).toBe("true");
    for (const { headers } of [other, deleted]) {
      expect(headers.get("X-Session")).toBeTruthy();
      expect(headers.get("X-Replies")).toBe("n=1, ok=1, primary=1");
      expect(headers.get("X-Conflict-Mode")).toBe("siblings");
      expect(headers.get("X-Effective-N")).toBe("1");
    }
    const next = await call("GET", path, {
      headers: { "X-Session": deleted.headers.get("X-Session") ?? "" },
    });
    expect(next.status).toBe(404);
  });

  test("R7: a session starts with new, is handed on, and garbage is 400 bad-session", async () => {
    const headers = { "X-Session": "new" };
    const put = await call("PUT", "/v1/kv/session/k", { headers, body: "mine" });
    const token = put.headers.get("X-Session") ?? "";
    expect(token.length).toBeGreaterThan(3);
    const get = await call("GET", "/v1/kv/session/k", { headers: { "X-Session": token } });
    expect([get.status, get.text]).toEqual([200, "mine"]);
    expect(get.headers.get("X-Session")).toBeTruthy();
    const twin = await call("GET", `/v1/kv/session/k?session=${encodeURIComponent(token)}`);
    expect([twin.status, !!twin.headers.get("X-Session")]).toEqual([200, true]);
    const fresh = await call("GET", "/v1/kv/session/k?session=new");
    expect(fresh.headers.get("X-Session")).toBeTruthy();
    const absent = await call("GET", "/v1/kv/session/none", { headers: { "X-Session": token } });
    expect(absent.status).toBe(404);
    expect(absent.headers.get("X-Session")).toBeTruthy();

    for (const garbage of ["garbage", "***", token.slice(0, -2), `${token}AA`]) {
      const bad = { headers: { "X-Session": garbage } };
      expectProblem(await call("GET", "/v1/kv/session/k", bad), 400, "bad-session");
      expectProblem(
        await call("PUT", "/v1/kv/session/no", { ...bad, body: "" }),
        400,
        "bad-session",
      );
    }
    expect((await call("GET", "/v1/kv/session/no")).status).toBe(404);
  });
});
