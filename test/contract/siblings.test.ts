/** Contexts, siblings and `lww` on one node: what a token covers, and the ways to read more than one value. */

import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  type Answer,
  contextOf,
  contractNode,
  etagOf,
  eventually,
  expectProblem,
} from "./client.ts";

setDefaultTimeout(20_000);
const { call, json } = contractNode();

beforeAll(async () => {
  await json("PUT", "/v1/buckets/sib", { blindPut: "sibling" });
  await json("PUT", "/v1/buckets/lww", { conflicts: "lww" });
});

let keyCount = 0;
/** A path of the bucket that no test used before. */
const fresh = (bucket = "sib") => `/v1/kv/${bucket}/k${++keyCount}`;

const put = (path: string, body: string, headers: Record<string, string> = {}) =>
  call("PUT", path, { headers, body });
const follow = (path: string, body: string, context: string) =>
  put(path, body, { "X-Causal-Context": context });

const valuesOf = ({ json: envelope }: Answer) =>
  envelope.siblings.map((each: any) => (each.deleted ? "(deleted)" : each.value)).sort();

const envelopeType = "application/vnd.hutch.siblings+json";

/** Every value of the key, sorted. */
async function values(path: string): Promise<string[]> {
  return valuesOf(await call("GET", path, { headers: { Accept: envelopeType } }));
}

describe("contexts", () => {
  test("the token of a read covers all that was read", async () => {
    const path = fresh();
    await put(path, "a");
    await put(path, "b");
    const context = contextOf(await call("GET", path));
    await follow(path, "ab", context);
    const get = await call("GET", path);
    expect([get.status, get.text, get.headers.get("X-Siblings")]).toEqual([200, "ab", null]);
  });

  test("a write with an old read token keeps what was written since", async () => {
    const path = fresh("demo");
    await put(path, "a");
    const context = contextOf(await call("GET", path));
    await put(path, "b");
    await follow(path, "c", context);
    expect(await values(path)).toEqual(["b", "c"]);
  });

  test("the token of a write covers the request's token and the write, never an unseen sibling", async () => {
    const path = fresh();
    const first = contextOf(await put(path, "a"));
    await put(path, "unseen");
    const second = contextOf(await follow(path, "b", first));
    expect(await values(path)).toEqual(["b", "unseen"]);
    const third = contextOf(await follow(path, "c", second));
    expect(await values(path)).toEqual(["c", "unseen"]);
    await follow(path, "d", third);
    expect(await values(path)).toEqual(["d", "unseen"]);
    // An older token of the same chain leaves the newer link beside its write.
    await follow(path, "e", second);
    expect(await values(path)).toEqual(["d", "e", "unseen"]);
    await follow(path, "all", contextOf(await call("GET", path)));
    expect(await values(path)).toEqual(["all"]);
  });

  test("of a PUT without a context the token covers what the minter held, plus the write", async () => {
    const path = fresh("demo");
    await put(path, "a");
    const context = contextOf(await put(path, "b"));
    await follow(path, "c", context);
    expect(await values(path)).toEqual(["c"]);
  });

  test("sequential PUTs without a context supersede by default", async () => {
    const path = fresh("demo");
    for (const body of ["a", "b", "c"]) expect((await put(path, body)).status).toBe(204);
    const get = await call("GET", path);
    expect([get.status, get.text]).toEqual([200, "c"]);
  });

  test("?context= is the query twin, the header wins", async () => {
    const path = fresh();
    const context = contextOf(await put(path, "a"));
    await put(`${path}?context=${encodeURIComponent(context)}`, "b");
    expect(await values(path)).toEqual(["b"]);
    const now = contextOf(await call("GET", path));
    await follow(`${path}?context=garbage`, "c", now);
    expect(await values(path)).toEqual(["c"]);
  });

  test("row 34: garbage, forged and oversized contexts are refused, nothing written", async () => {
    const path = fresh();
    const context = contextOf(await put(path, "a"));
    const flipped = (at: number) =>
      context.slice(0, at) + (context[at] === "A" ? "B" : "A") + context.slice(at + 1);
    const forged = [flipped(0), flipped(12), flipped(30), flipped(context.length - 4)];
    for (const bad of ["garbage", "%%%", "AAAA", context.slice(0, -4), ...forged]) {
      for (const method of ["PUT", "DELETE"]) {
        const answer = await call(method, path, {
          headers: { "X-Causal-Context": bad },
          ...(method === "PUT" ? { body: "no" } : {}),
        });
        expect([bad, method, answer.status]).toEqual([bad, method, 400]);
        expect(["bad-context", "context-mismatch"]).toContain(answer.json.code);
      }
    }
    expectProblem(await follow(path, "no", "garbage"), 400, "bad-context");
    const large = await follow(path, "no", "A".repeat(8193));
    expect([400, 431]).toContain(large.status);
    expect(await values(path)).toEqual(["a"]);
  });

  test("R13: the context of another key or bucket is 400 context-mismatch", async () => {
    const path = fresh();
    const other = contextOf(await put(fresh(), "a"));
    expectProblem(await follow(path, "no", other), 400, "context-mismatch");
    const name = path.slice("/v1/kv/sib/".length);
    const elsewhere = contextOf(await put(`/v1/kv/demo/${name}`, "a"));
    expectProblem(await follow(path, "no", elsewhere), 400, "context-mismatch");
    expect((await call("GET", path)).status).toBe(404);
  });
});

describe("siblings", () => {
  test("300 with the envelope as JSON, each with dot, hlc, type, meta and value", async () => {
    const path = fresh();
    await put(path, "text", { "Content-Type": "text/plain", "X-Meta-Who": "ann" });
    const bytes = new Uint8Array([0xff, 0x00, 0xfe]);
    const second = await call("PUT", path, { body: bytes });
    expect(second.headers.get("X-Siblings")).toBe("2");
    const get = await call("GET", path);
    expect(get.status).toBe(300);
    expect(get.headers.get("Content-Type")).toStartWith("application/json");
    expect(get.headers.get("X-Siblings")).toBe("2");
    expect(get.json.context).toBe(contextOf(get));
    expect(get.json.siblings).toHaveLength(2);
    for (const each of get.json.siblings)
      expect(each).toMatchObject({ dot: expect.any(String), hlc: expect.any(String) });
    const text = get.json.siblings.find(({ value }: any) => value !== undefined);
    expect(text).toMatchObject({ value: "text", contentType: "text/plain", meta: { who: "ann" } });
    const binary = get.json.siblings.find(({ valueB64 }: any) => valueB64 !== undefined);
    expect(Buffer.from(binary.valueB64, "base64")).toEqual(Buffer.from(bytes));
    const head = await call("HEAD", path);
    expect([head.status, head.headers.get("X-Siblings"), etagOf(head)]).toEqual([
      300,
      "2",
      etagOf(get),
    ]);
  });

  test("Accept of the envelope gives 200, of one value too", async () => {
    const path = fresh();
    await put(path, "a");
    const accept = { headers: { Accept: envelopeType } };
    const one = await call("GET", path, accept);
    expect([one.status, one.headers.get("Content-Type")]).toEqual([200, envelopeType]);
    expect(one.json).toMatchObject({ context: contextOf(one), siblings: [{ value: "a" }] });
    await put(path, "b");
    const two = await call("GET", path, accept);
    expect([two.status, valuesOf(two), two.headers.get("X-Siblings")]).toEqual([
      200,
      ["a", "b"],
      "2",
    ]);
  });

  test("Accept: multipart/mixed gives the values as parts, 300", async () => {
    const path = fresh();
    await put(path, "one\r\n--x", { "Content-Type": "text/plain" });
    await put(path, "two");
    const get = await call("GET", path, { headers: { Accept: "multipart/mixed" } });
    expect(get.status).toBe(300);
    const boundary = /^multipart\/mixed; ?boundary="?([^"]+)"?$/.exec(
      get.headers.get("Content-Type") ?? "",
    )?.[1];
    expect(boundary).toBeTruthy();
    const pieces = `\r\n${get.text}`.split(`\r\n--${boundary}`);
    expect(pieces.at(-1)).toMatch(/^--/);
    const parts = pieces.slice(1, -1).map((piece) => {
      const at = piece.indexOf("\r\n\r\n");
      return { head: piece.slice(0, at), body: piece.slice(at + 4) };
    });
    expect(parts.map(({ body }) => body).sort()).toEqual(["one\r\n--x", "two"]);
    expect(parts.find(({ body }) => body !== "two")?.head).toMatch(/Content-Type: text\/plain/i);
  });

  test("?resolve=lww gives the newest raw with 200 and X-Siblings; ?dot= gives one raw", async () => {
    const path = fresh();
    await put(path, "old", { "Content-Type": "text/plain" });
    await put(path, "new", { "Content-Type": "text/html" });
    const newest = await call("GET", `${path}?resolve=lww`);
    expect([newest.status, newest.text, newest.headers.get("X-Siblings")]).toEqual([
      200,
      "new",
      "2",
    ]);
    expect(newest.headers.get("Content-Type")).toBe("text/html");
    const { siblings } = (await call("GET", path)).json;
    for (const each of siblings) {
      const one = await call("GET", `${path}?dot=${encodeURIComponent(each.dot)}`);
      expect([one.status, one.text, one.headers.get("Content-Type")]).toEqual([
        200,
        each.value,
        each.contentType,
      ]);
    }
    const none = await call("GET", `${path}?dot=${encodeURIComponent(`${siblings[0].dot}9`)}`);
    expect([400, 404]).toContain(none.status);
    expect((await call("GET", `${path}?dot=garbage`)).status).toBeGreaterThanOrEqual(400);
    expect((await call("GET", `${path}?resolve=banana`)).status).toBe(400);
  });

  test("R4: ?resolve=lww and ?dot= that meet a deletion are a 404 that says so and that there are others", async () => {
    const path = fresh();
    const first = contextOf(await put(path, "a"));
    await put(path, "b");
    await call("DELETE", path, { headers: { "X-Causal-Context": first } });
    const { siblings } = (await call("GET", path)).json;
    const deleted = siblings.find((each: any) => each.deleted);
    for (const query of ["resolve=lww", `dot=${encodeURIComponent(deleted.dot)}`]) {
      const answer = await call("GET", `${path}?${query}`);
      expectProblem(answer, 404, "key-not-found");
      expect(answer.json.detail).toContain("deletion");
      expect(answer.headers.get("X-Tombstone")).toBe("true");
      expect(answer.headers.get("X-Siblings")).toBe("2");
      expect(contextOf(answer)).toBeTruthy();
    }
    expect((await call("GET", `${path}?resolve=lww&tombstones=drop`)).text).toBe("b");
    await call("DELETE", path);
    const gone = await call("GET", `${path}?resolve=lww`);
    expectProblem(gone, 404, "key-not-found");
    expect([gone.json.detail, gone.headers.get("X-Tombstone")]).toEqual([
      "The key is deleted or expired",
      "true",
    ]);
  });

  test("a PUT with the context of the read resolves them", async () => {
    const path = fresh();
    for (const body of ["a", "b", "c"]) await put(path, body);
    const read = await call("GET", path);
    expect(read.headers.get("X-Siblings")).toBe("3");
    const resolved = await follow(path, "abc", contextOf(read));
    expect([resolved.status, resolved.headers.get("X-Siblings")]).toEqual([204, null]);
    expect((await call("GET", path)).text).toBe("abc");
  });

  test("Prefer: return=representation is 300 with the envelope where siblings stay", async () => {
    const path = fresh();
    await put(path, "a");
    const both = await put(path, "b", { Prefer: "return=representation" });
    expect([both.status, valuesOf(both)]).toEqual([300, ["a", "b"]]);
  });

  test("R17: X-Siblings counts a deleted sibling, shown as deleted; an expired one counts as deleted", async () => {
    const path = fresh();
    const first = contextOf(await put(path, "a"));
    await put(path, "b");
    const deleted = await call("DELETE", path, { headers: { "X-Causal-Context": first } });
    expect(deleted.status).toBe(204);
    const get = await call("GET", path);
    expect([get.status, get.headers.get("X-Siblings"), valuesOf(get)]).toEqual([
      300,
      "2",
      ["(deleted)", "b"],
    ]);
    expect(get.json.siblings.find((each: any) => each.deleted)).toMatchObject({
      dot: expect.any(String),
      hlc: expect.any(String),
    });

    const expiring = fresh();
    await put(expiring, "stays");
    await put(expiring, "goes", { "X-TTL": "1" });
    const isGone = async () => (await values(expiring)).includes("(deleted)");
    expect(await eventually(isGone)).toBe(true);
    const after = await call("GET", expiring);
    expect([after.status, after.headers.get("X-Siblings")]).toEqual([300, "2"]);
  });

  test("row 49: DELETE without a context deletes what a quorum read shows, siblings included", async () => {
    const path = fresh();
    await put(path, "a");
    await put(path, "b");
    const deleted = await call("DELETE", path);
    expect([deleted.status, deleted.headers.get("X-Siblings")]).toEqual([204, null]);
    const get = await call("GET", path);
    expectProblem(get, 404, "key-not-found");
    await follow(path, "c", contextOf(deleted));
    expect((await call("GET", path)).text).toBe("c");
  });

  test("R15: equal concurrent values are one sibling to the reader", async () => {
    const path = fresh();
    await put(path, "same", { "Content-Type": "text/plain" });
    await put(path, "same", { "Content-Type": "text/plain" });
    const get = await call("GET", path);
    expect([get.status, get.text]).toEqual([200, "same"]);
    await put(path, "same", { "Content-Type": "text/html" });
    expect((await call("GET", path)).headers.get("X-Siblings")).toBe("2");
  });

  test("row 50: above siblingsMax a PUT is 409 too-many-siblings with its context, nothing written", async () => {
    await json("PUT", "/v1/buckets/few", { blindPut: "sibling", siblingsMax: 3 });
    const path = fresh("few");
    for (const body of ["a", "b", "c"]) expect((await put(path, body)).status).toBe(204);
    const refused = await put(path, "d");
    expectProblem(refused, 409, "too-many-siblings");
    expect(await values(path)).toEqual(["a", "b", "c"]);
    await follow(path, "d", contextOf(refused));
    expect(await values(path)).toEqual(["d"]);

    const many = fresh();
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => put(many, `v${index}`)),
    );
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(50);
    expect(answers.filter(({ status }) => status === 409)).toHaveLength(50);
    const read = await call("GET", many);
    expect([read.status, read.headers.get("X-Siblings")]).toEqual([300, "50"]);
  });

  test("row 51: many writers over time leave one small context", async () => {
    const path = fresh();
    let context = contextOf(await put(path, "0"));
    for (let index = 1; index <= 300; index += 1)
      context = contextOf(await follow(path, `${index}`, context));
    expect(context.length).toBeLessThan(256);
    expect((await call("GET", path)).text).toBe("300");
  });

  test("row 25: an Accept that cannot be met is 406, wildcards and several types are met", async () => {
    const path = fresh();
    await put(path, "a", { "Content-Type": "text/plain" });
    for (const accept of ["*/*", "text/plain", "text/*", "image/png, */*;q=0.1"])
      expect((await call("GET", path, { headers: { Accept: accept } })).text).toBe("a");
    await put(path, "b");
    for (const route of ["/v1/kv/sib", "/v1/cluster", "/v1/buckets", "/v1/admin/jobs"])
      expectProblem(
        await call("GET", route, { headers: { Accept: "image/png" } }),
        406,
        "not-acceptable",
      );
    const one = { Prefer: "return=representation", Accept: "image/png" };
    const typed = await put(fresh(), "x", { ...one, "Content-Type": "text/plain" });
    expect([typed.status, typed.text]).toEqual([200, "x"]);
    for (const accept of ["image/png", "text/plain", "application/json;q=0"])
      expectProblem(
        await call("GET", path, { headers: { Accept: accept } }),
        406,
        "not-acceptable",
      );
    const written = await put(path, "c", { Prefer: "return=representation", Accept: "image/png" });
    expect(written.status).toBe(300);
    for (const accept of ["application/json", "application/*", "*/*"])
      expect((await call("GET", path, { headers: { Accept: accept } })).status).toBe(300);
  });
});

describe("lww buckets", () => {
  test("the answer says so, a PUT follows what is there, a context only moves the clock", async () => {
    const path = fresh("lww");
    const first = await put(path, "a");
    expect(first.headers.get("X-Conflict-Mode")).toBe("lww");
    await put(path, "b");
    const old = await follow(path, "c", contextOf(first));
    expect([old.status, old.headers.get("X-Siblings")]).toEqual([204, null]);
    const get = await call("GET", path);
    expect([get.status, get.text, get.headers.get("X-Conflict-Mode")]).toEqual([200, "c", "lww"]);
    expect((await call("DELETE", path)).status).toBe(204);
    expect((await call("GET", path)).status).toBe(404);
  });

  test("siblings of before the switch to lww are one value, the newest, and the answer counts the dropped", async () => {
    await json("PUT", "/v1/buckets/turn", { blindPut: "sibling" });
    const path = fresh("turn");
    await put(path, "a");
    await put(path, "b");
    await json("PATCH", "/v1/buckets/turn", { conflicts: "lww" });
    const get = await call("GET", path);
    expect([get.status, get.text, get.headers.get("X-Conflict-Dropped")]).toEqual([200, "b", "1"]);
  });
});
