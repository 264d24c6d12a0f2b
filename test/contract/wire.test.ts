/** Section 5 and the rows on HTTP itself: routes, methods, framing, limits; and that a refused request writes nothing. */

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { contractNode, expectProblem } from "./client.ts";

setDefaultTimeout(20_000);
const { call, json, raw } = contractNode();

const host = "Host: 127.0.0.1\r\n";
const statusesOf = (text: string) =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));

async function isAbsent(key: string): Promise<void> {
  expectProblem(await call("GET", `/v1/kv/wire/${key}`), 404, "key-not-found");
}

describe("routes and methods", () => {
  test("row 15: an unknown route is 404 no-such-route, for every method", async () => {
    for (const path of ["/", "/v1", "/v1/", "/v2/kv/a/b", "/v1/kv", "/v1/admin/nothing", "/kv/a/b"])
      for (const method of ["GET", "PUT", "POST", "DELETE"])
        expectProblem(await call(method, path), 404, "no-such-route");
  });

  test("row 14: a known method that the route has not is 405 with Allow", async () => {
    const wrong: [string, string, string[]][] = [
      ["PATCH", "/v1/kv/demo/k", ["GET", "HEAD", "PUT", "DELETE"]],
      ["POST", "/v1/kv/demo/k", ["GET", "HEAD", "PUT", "DELETE"]],
      ["DELETE", "/v1/kv/demo", ["GET", "POST"]],
      ["GET", "/v1/batch", ["POST"]],
      ["POST", "/v1/export/demo", ["GET"]],
      ["GET", "/v1/import/demo", ["POST"]],
      ["POST", "/v1/buckets/demo", ["GET", "PUT", "PATCH", "DELETE"]],
      ["POST", "/v1/cluster", ["GET"]],
      ["PUT", "/v1/admin/repair", ["GET", "POST"]],
      ["DELETE", "/metrics", ["GET"]],
      ["POST", "/healthz", ["GET"]],
    ];
    for (const [method, path, allowed] of wrong) {
      const answer = await call(method, path);
      expect([method, path, answer.status]).toEqual([method, path, 405]);
      expectProblem(answer, 405, "method-not-allowed");
      const allow = (answer.headers.get("Allow") ?? "").split(/, */);
      for (const each of allowed)
        expect([path, allow]).toEqual([path, expect.arrayContaining([each])]);
    }
  });

  test("a reserved route is 501 not-implemented", async () => {
    expectProblem(await call("GET", "/v1/watch/demo"), 501, "not-implemented");
  });

  test("every operation of the OpenAPI document names a route that answers", async () => {
    const { paths } = (await call("GET", "/v1/openapi.json")).json;
    for (const [template, item] of Object.entries<Record<string, unknown>>(paths)) {
      const path = template.replace("{file}", "icon.svg").replace(/\{\w+\}/g, "YQ");
      const documented = Object.keys(item);
      // Under a method that it has not the path says which ones it has, and nothing is done.
      const other = ["PATCH", "POST", "PUT"].find((name) => !(name.toLowerCase() in item));
      const refused = await call(other!, path);
      expectProblem(refused, 405, "method-not-allowed");
      const allowed = (refused.headers.get("Allow") ?? "").toLowerCase().split(/, */);
      expect([path, allowed]).toEqual([path, expect.arrayContaining(documented)]);
      if (item["get"] === undefined) continue;
      const answer = await call("GET", path);
      const isThere = answer.status < 400 || answer.json.code !== "no-such-route";
      expect([path, isThere, answer.status === 405]).toEqual([path, true, false]);
    }
  });
});

describe("JSON bodies", () => {
  test("rows 23, 24, 26, 27: bucket properties want JSON that says what it should", async () => {
    const send = (headers: Record<string, string>, body: string) =>
      call("PUT", "/v1/buckets/strictjson", { headers, body });
    const type = { "Content-Type": "application/json" };
    expectProblem(
      await send({ "Content-Type": "text/plain" }, '{"siblingsMax":7}'),
      415,
      "unsupported-media-type",
    );
    expectProblem(
      await send({ ...type, "Content-Encoding": "gzip" }, '{"siblingsMax":7}'),
      415,
      "unsupported-encoding",
    );
    const bad = ["", "{", '{"siblingsMax":7,"siblingsMax":8}', '{"__proto__":{"n":1}}', "\u0000"];
    for (const body of [...bad, `${"[".repeat(50)}${"]".repeat(50)}`, '{"siblingsMax":7}}'])
      expectProblem(await send(type, body), 400, "bad-json");
    for (const body of ["[]", "7", "null", '"x"'])
      expect((await send(type, body)).status).toBe(400);
    expect((await call("GET", "/v1/buckets/strictjson")).json.siblingsMax).toBe(50);
    expect(({} as any).n).toBeUndefined();
  });
});

describe("nothing written", () => {
  test("a request with several faults is a 4xx and writes nothing, whichever fault is named", async () => {
    const faults: [string, string][] = [
      ["X-Consistency", "banana"],
      ["X-TTL", "0"],
      ["X-Timeout", "0"],
      ["X-Causal-Context", "garbage"],
      ["X-Session", "garbage"],
      ["If-Match", "unquoted"],
    ];
    for (const [name, value] of faults) {
      const answer = await call("PUT", "/v1/kv/wire/faulty", {
        headers: { [name]: value },
        body: "x",
      });
      expect([name, answer.status]).toEqual([name, 400]);
    }
    for (let first = 0; first < faults.length; first += 1)
      for (let second = first + 1; second < faults.length; second += 1) {
        const headers = Object.fromEntries([faults[first] ?? [], faults[second] ?? []]);
        const answer = await call("PUT", "/v1/kv/wire/faulty", { headers, body: "x" });
        expect(answer.status).toBe(400);
      }
    await isAbsent("faulty");
  });
});

describe("raw HTTP", () => {
  test("rows 1 to 4, 8, 9: framing that can be read in two ways is refused and closes, nothing written", async () => {
    const put = "PUT /v1/kv/wire/raw HTTP/1.1\r\n";
    const smuggled = `GET /v1/cluster HTTP/1.1\r\n${host}\r\n`;
    const bad = [
      `${put}${host}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
      `${put}${host}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx`,
      `${put}${host}Content-Length: +3\r\n\r\nxxx`,
      `${put}${host}Content-Length: -3\r\n\r\nxxx`,
      `${put}${host}Content-Length: 3, 3\r\n\r\nxxx`,
      `${put}${host}Transfer-Encoding: xchunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
      `${put}${host}Transfer-Encoding: identity, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`,
      `${put}${host}Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n`,
      `${put}${host}Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx\r\n0\r\n\r\n`,
      `${put}${host}X-A: b\r\n folded\r\nContent-Length: 1\r\n\r\nx`,
      `${put}${host}X-A : b\r\nContent-Length: 1\r\n\r\nx`,
      `${put}${host}X-A: b\0c\r\nContent-Length: 1\r\n\r\nx`,
      `${put}Content-Length: 1\r\n\r\nx`,
    ];
    for (const bytes of bad) {
      const { text, isClosed } = await raw(bytes, 300);
      const statuses = statusesOf(text);
      expect([bytes, statuses.length <= 1, isClosed]).toEqual([bytes, true, true]);
      if (statuses.length === 1) expect([bytes, statuses[0]]).toEqual([bytes, 400]);
    }
    await isAbsent("raw");
  });

  test("row 5: a body shorter than its length writes nothing", async () => {
    await raw(`PUT /v1/kv/wire/short HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\nxxx`, 100);
    await isAbsent("short");
  });

  test("row 10: HTTP/1.0 without Host is no 500", async () => {
    const { text } = await raw("GET /v1/cluster HTTP/1.0\r\n\r\n", 200);
    expect(text).toMatch(/^HTTP\/1\.[01] (400|200|421)/);
  });

  test("row 12: a header block or a URL above 16 KiB is 431", async () => {
    const header = await raw(
      `GET /v1/cluster HTTP/1.1\r\n${host}X-A: ${"a".repeat(17_000)}\r\n\r\n`,
    );
    expect(statusesOf(header.text)).toEqual([431]);
    const url = await raw(`GET /v1/kv/demo/${"a".repeat(17_000)} HTTP/1.1\r\n${host}\r\n`);
    expect([[431], [414]]).toContainEqual(statusesOf(url.text));
  });

  test("row 13: 150 headers are taken", async () => {
    const many = Array.from({ length: 150 }, (_, index) => `X-H${index}: v\r\n`).join("");
    const { text } = await raw(`GET /v1/cluster HTTP/1.1\r\n${host}${many}\r\n`, 150);
    expect(statusesOf(text)).toEqual([200]);
  });

  test("row 17: a body over the limit is 413, with a length and in chunks, nothing written", async () => {
    const max = (await call("GET", "/v1/buckets/wire")).json.valueBytesMax;
    const over = await call("PUT", "/v1/kv/wire/over", { body: "x".repeat(max + 1) });
    expectProblem(over, 413, "value-too-large");
    const declared = await raw(
      `PUT /v1/kv/wire/over HTTP/1.1\r\n${host}Content-Length: 99000000000\r\n\r\nx`,
    );
    expect(statusesOf(declared.text)).toEqual([413]);
    await json("PATCH", "/v1/buckets/wire", { valueBytesMax: 1000 });
    const chunk = `200\r\n${"x".repeat(512)}\r\n`;
    const chunked = await raw(
      `PUT /v1/kv/wire/over HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n${chunk}${chunk}${chunk}0\r\n\r\n`,
    );
    expect(statusesOf(chunked.text)).toEqual([413]);
    await isAbsent("over");
  });

  test("row 21: requests pipelined behind reads are answered in order", async () => {
    const put = (body: string) =>
      `PUT /v1/kv/wire/piped HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n${body}`;
    const get = `GET /v1/kv/wire/piped HTTP/1.1\r\n${host}\r\n`;
    await call("PUT", "/v1/kv/wire/piped", { body: "one" });
    const other = `GET /v1/nope HTTP/1.1\r\n${host}\r\n`;
    const { text } = await raw(get + other + get + put("two"));
    expect(statusesOf(text)).toEqual([200, 404, 200, 204]);
    expect((await call("GET", "/v1/kv/wire/piped")).text).toBe("two");
  });

  test("rows 11, 22: a foreign Host is 421 wrong-cluster, a foreign target is never forwarded", async () => {
    const foreign = await raw("GET /v1/cluster HTTP/1.1\r\nHost: foreign.example\r\n\r\n", 200);
    expect(statusesOf(foreign.text)).toEqual([421]);
    const { text } = await raw(
      `GET http://foreign.example/v1/cluster HTTP/1.1\r\n${host}\r\n`,
      200,
    );
    expect([[200], [400], [421]]).toContainEqual(statusesOf(text));
  });

  test("rows 41, 42: dots in a path are resolved before they arrive", async () => {
    const put = (path: string, body: string) =>
      raw(`PUT ${path} HTTP/1.1\r\n${host}Content-Length: ${body.length}\r\n\r\n${body}`, 150);
    await put("/v1/kv/wire/a/../dots", "x");
    expect((await call("GET", "/v1/kv/wire/dots")).text).toBe("x");
    const { text } = await put("/v1/kv/wire/..", "x");
    expect(statusesOf(text)).toEqual([404]);
  });

  test("row 16: TLS and HTTP/2 bytes close the connection", async () => {
    for (const bytes of ["\x16\x03\x01\x00\x05hello", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]) {
      const { isClosed } = await raw(bytes, 300);
      expect(isClosed).toBe(true);
    }
    expect((await call("GET", "/healthz")).status).toBe(200);
  });
});
