import { describe, expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import { type Fixture, fixture, jsonOf, problemOf } from "./fixture.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
const NDJSON = { Accept: "application/x-ndjson" };

async function withKeys(...keys: string[]): Promise<Fixture> {
  const f = fixture();
  for (const key of keys) await f.send(`PUT /v1/kv/demo/${key}`, `value of ${key}`);
  return f;
}

async function linesOf(response: Response): Promise<any[]> {
  expect(response.headers.get("content-type")).toBe("application/x-ndjson");
  const text = await response.text();
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

describe("listing", () => {
  test("is in byte order, with what REST.md names of each key", async () => {
    const f = await withKeys("b", "a", "%C3%A9", "c");
    const body = await jsonOf(await f.send("GET /v1/kv/demo"));
    expect(body.keys.map(({ key }: any) => key)).toEqual(["a", "b", "c", "é"]);
    expect(body).toMatchObject({ prefixes: [], cursor: "", complete: true, partial: false });
    const etag = (await f.send("GET /v1/kv/demo/a")).headers.get("etag");
    expect(body.keys[0]).toEqual({ key: "a", etag, size: 10, expiresAt: null, siblings: 1 });
  });

  test("pages by cursor without a gap or a repetition, both ways", async () => {
    const f = await withKeys("a", "b", "c", "d", "e");
    for (const [reverse, expected] of [
      ["0", "abcde"],
      ["1", "edcba"],
    ] as const) {
      let seen = "";
      let cursor = "";
      for (let pages = 0; pages < 9; pages++) {
        const page = await jsonOf(
          await f.send(`GET /v1/kv/demo?limit=2&reverse=${reverse}&cursor=${cursor}`),
        );
        seen += page.keys.map(({ key }: any) => key).join("");
        cursor = page.cursor;
        expect(page.complete).toBe(cursor === "");
        if (page.complete) break;
      }
      expect(seen).toBe(expected);
    }
  });

  test("prefix, start and end select; delimiter groups", async () => {
    const f = await withKeys("a/1", "a/2", "b", "c/1", "d+e");
    const keysOf = async (query: string) =>
      (await jsonOf(await f.send(`GET /v1/kv/demo?${query}`))).keys.map(({ key }: any) => key);
    expect(await keysOf("prefix=a%2F")).toEqual(["a/1", "a/2"]);
    expect(await keysOf("start=a/2&end=c/1")).toEqual(["a/2", "b"]);
    expect(await keysOf("prefix=d%2Be")).toEqual(["d+e"]);
    const grouped = await jsonOf(await f.send("GET /v1/kv/demo?delimiter=/"));
    expect(grouped.prefixes).toEqual(["a/", "c/"]);
    expect(grouped.keys.map(({ key }: any) => key)).toEqual(["b", "d+e"]);
  });

  test("values=1 adds the value, siblings as in the envelope", async () => {
    const f = await withKeys("a");
    await f.kv.setBucket("demo", "put", { blindPut: "sibling" });
    await f.send("PUT /v1/kv64/demo/_wA", new Uint8Array([255]), { "Content-Type": "image/png" });
    await f.send("PUT /v1/kv/demo/a", "two");
    const { keys } = await jsonOf(await f.send("GET /v1/kv/demo?values=1"));
    expect(keys[0].siblings.map(({ value }: any) => value)).toEqual(["two", "value of a"]);
    expect(keys[0].context).toBeString();
    expect(keys[1]).toMatchObject({ keyB64: "_wA", valueB64: "_w", contentType: "image/png" });
    expect(keys[1].context).toBeString();
  });

  test("as lines it goes through all pages and ends with how it ended", async () => {
    const f = fixture();
    const count = 2500;
    for (let i = 0; i < count; i++)
      await f.send(`PUT /v1/kv/demo/k${String(i).padStart(5, "0")}`, "v");
    const lines = await linesOf(await f.send("GET /v1/kv/demo", null, NDJSON));
    expect(lines).toHaveLength(count + 1);
    expect(lines[0].key).toBe("k00000");
    expect(lines[count - 1].key).toBe("k02499");
    expect(lines[count]).toEqual({ cursor: "", complete: true, partial: false });
    const limited = await linesOf(await f.send("GET /v1/kv/demo?limit=3", null, NDJSON));
    expect(limited).toHaveLength(4);
    expect(limited[3].complete).toBe(false);
  });

  test("a page that cannot be read is an error, in the middle of a stream too", async () => {
    const f = await withKeys("a", "b");
    f.kv.failure = new HutchError("unavailable", "Cannot list: a partition has no owner");
    await problemOf(await f.send("GET /v1/kv/demo"), 503, "unavailable");
    await problemOf(await f.send("GET /v1/kv/demo", null, NDJSON), 503, "unavailable");
    f.kv.failure = undefined;
    for (let i = 0; i < 2000; i++) await f.send(`PUT /v1/kv/demo/long-${i}`, "v");
    const stream = await f.send("GET /v1/kv/demo", null, NDJSON);
    expect(stream.status).toBe(200);
    f.kv.failure = new HutchError("unavailable", "Cannot list");
    await expect(stream.text()).rejects.toThrow();
  });

  test("impossible parameters are refused", async () => {
    const f = fixture();
    for (const query of [
      "limit=0",
      "limit=10001",
      "limit=1e3",
      "limit=-1",
      "limit=",
      "reverse=2",
      "values=yes",
      "limit=1&limit=2",
    ]) {
      await problemOf(await f.send(`GET /v1/kv/demo?${query}`), 400, "bad-request");
    }
    await problemOf(await f.send("GET /v1/kv/demo?cursor=!"), 400, "bad-cursor");
    expect((await f.send("GET /v1/kv/demo?limit=10000")).status).toBe(200);
  });
});

describe("batch", () => {
  test("Q9: reads beyond what a batch may answer with fail alone, and what is written is written", async () => {
    const f = fixture({ limits: { batchAnswerBytesMax: 10 } });
    for (const key of ["a", "b"]) await f.send(`PUT /v1/kv/demo/${key}`, "12345");
    const read = (key: string) => ({ op: "get", bucket: "demo", key });
    const written = { op: "put", bucket: "demo", key: "c", value: "x" };
    const ops = [read("a"), read("b"), read("a"), written];
    const { results } = await jsonOf(
      await f.send("POST /v1/batch", JSON.stringify({ ops }), JSON_TYPE),
    );
    const statuses = results.map(({ status }: any) => status) as number[];
    // Which of those that go on side by side is the one too many is nobody's promise.
    expect([...statuses.slice(0, 3)].toSorted()).toEqual([200, 200, 413]);
    expect(statuses[3]).toBe(204);
    const refused = results.find(({ status }: any) => status === 413);
    expect(refused.problem.code).toBe("value-too-large");
  });

  test("answers in the order of the operations, each with its own status", async () => {
    const f = await withKeys("old");
    const etag = (await f.send("GET /v1/kv/demo/old")).headers.get("etag")!;
    const ops = [
      { op: "put", bucket: "demo", key: "a", value: "1", ttl: 60 },
      { op: "get", bucket: "demo", key: "a" },
      { op: "delete", bucket: "demo", key: "a" },
      { op: "get", bucket: "demo", key: "a" },
      { op: "put", bucket: "demo", key: "old", valueB64: "_w", ifMatch: etag },
      { op: "put", bucket: "demo", key: "old", value: "x", ifMatch: '"wrong"' },
      { op: "get", bucket: "demo", key: "old" },
    ];
    const { results } = await jsonOf(
      await f.send("POST /v1/batch", JSON.stringify({ ops }), JSON_TYPE),
    );
    expect(results.map(({ status }: any) => status)).toEqual([204, 200, 204, 404, 204, 412, 200]);
    expect(results[0].context).toBeString();
    expect(results[1]).toMatchObject({ value: "1", etag: expect.any(String) });
    expect(results[5].problem).toMatchObject({
      code: "precondition-failed",
      bucket: "demo",
      key: "old",
    });
    expect(results[6]).toMatchObject({ valueB64: "_w" });
    const garbled = { op: "put", bucket: "demo", key: "old", value: "x", context: "garbage" };
    const body = JSON.stringify({ ops: [...ops, garbled] });
    const writeCount = f.kv.writeCount;
    await problemOf(await f.send("POST /v1/batch", body, JSON_TYPE), 400, "bad-context");
    expect(f.kv.writeCount).toBe(writeCount);
  });

  test("operations on one key keep their order, others run side by side and never too many", async () => {
    const f = fixture();
    let open = (): void => undefined;
    f.kv.writeGate = new Promise((resolve) => (open = resolve));
    const ops = Array.from({ length: 300 }, (_, i) => ({
      op: "put",
      bucket: "demo",
      key: `k${i % 100}`,
      value: String(i),
    }));
    const answer = f.send("POST /v1/batch", JSON.stringify({ ops }), JSON_TYPE);
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(f.kv.writesInFlightMax).toBe(64);
    open();
    const { results } = await jsonOf(await answer);
    expect(results.every(({ status }: any) => status === 204)).toBe(true);
    expect(f.kv.writesInFlightMax).toBe(64);
    for (let i = 0; i < 100; i++) {
      expect(await (await f.send(`GET /v1/kv/demo/k${i}`)).text()).toBe(String(200 + i));
    }
  });

  test("a value above the bucket's limit fails alone", async () => {
    const f = fixture();
    await f.kv.setBucket("small", "put", { valueBytesMax: 2 });
    const ops = [
      { op: "put", bucket: "small", key: "a", value: "123" },
      { op: "put", bucket: "small", key: "b", value: "12" },
    ];
    const { results } = await jsonOf(
      await f.send("POST /v1/batch", JSON.stringify({ ops }), JSON_TYPE),
    );
    expect(results.map(({ status }: any) => status)).toEqual([413, 204]);
  });

  test("the options of the request hold for every operation", async () => {
    const f = fixture();
    const body = JSON.stringify({ ops: [{ op: "put", bucket: "demo", key: "a", value: "1" }] });
    await f.send("POST /v1/batch?timeout=250ms", body, { ...JSON_TYPE, "X-Consistency": "ALL" });
    expect(f.kv.lastWrite).toMatchObject({ timeoutMs: 250, consistency: { level: "ALL" } });
    const banana = { ...JSON_TYPE, "X-Consistency": "banana" };
    await problemOf(await f.send("POST /v1/batch", body, banana), 400, "bad-consistency");
  });
});

describe("export and import", () => {
  test("an export merged twice into the same or another bucket changes nothing the second time", async () => {
    const f = await withKeys("a", "b");
    await f.send("PUT /v1/kv64/demo/_wA", new Uint8Array([255, 0]));
    await f.send("DELETE /v1/kv/demo/b");
    const dump = await (await f.send("GET /v1/export/demo")).text();
    expect(dump.split("\n")).toHaveLength(4);
    const before = f.kv.writeCount;
    expect(await jsonOf(await f.send("POST /v1/import/demo", dump))).toEqual({
      imported: 3,
      failed: 0,
      errors: [],
    });
    expect(f.kv.writeCount).toBe(before);
    for (let i = 0; i < 2; i++)
      expect((await jsonOf(await f.send("POST /v1/import/other?mode=merge", dump))).imported).toBe(
        3,
      );
    expect(f.kv.writeCount).toBe(before + 3);
    expect(await (await f.send("GET /v1/kv/other/a")).text()).toBe("value of a");
    expect((await f.send("GET /v1/kv/other/b")).headers.get("x-tombstone")).toBe("true");
    expect(await (await f.send("GET /v1/kv64/other/_wA")).bytes()).toEqual(
      new Uint8Array([255, 0]),
    );
  });

  test("an export goes on behind the last key that was seen", async () => {
    const f = await withKeys("a", "b", "c");
    const lines = await linesOf(await f.send("GET /v1/export/demo?after=a"));
    expect(lines.map(({ key }) => key)).toEqual(["b", "c"]);
  });

  test("mode=write takes plain values; blank lines, CRLF and a missing last newline are fine", async () => {
    const f = fixture();
    const body = [
      '{"key":"a","value":"1","contentType":"text/plain","meta":{"Owner":"ann"},"ttl":60}\r',
      "",
      "  \r",
      '{"keyB64":"_w","valueB64":"AAE"}',
      '{"key":"z","value":""}',
    ].join("\n");
    const report = await jsonOf(await f.send("POST /v1/import/demo?mode=write", body));
    expect(report).toEqual({ imported: 3, failed: 0, errors: [] });
    const a = await f.send("GET /v1/kv/demo/a");
    expect(a.headers.get("content-type")).toBe("text/plain");
    expect(a.headers.get("x-meta-owner")).toBe("ann");
    expect(a.headers.get("x-expires-at")).not.toBeNull();
    expect(await (await f.send("GET /v1/kv64/demo/_w")).bytes()).toEqual(new Uint8Array([0, 1]));
  });

  test("bad lines are reported by number and do not stop the good ones", async () => {
    const f = fixture({ limits: { importLineBytesMax: 200 } });
    const lines = [
      '{"key":"a","value":"1"}',
      "nonsense",
      "",
      '{"key":"","value":"1"}',
      '{"key":"b","value":"1","extra":1}',
      '{"key":"c"}',
      `{"key":"d","value":"${"x".repeat(300)}"}`,
      '{"key":"e","value":"1","ttl":0}',
      `{"key":"${"k".repeat(257 - 100)}","value":"1","meta":{"a b":"1"}}`,
      '{"__proto__":{},"key":"f","value":"1"}',
      '{"key":"z","value":"1"}',
    ];
    const report = await jsonOf(await f.send("POST /v1/import/demo?mode=write", lines.join("\n")));
    expect(report).toMatchObject({ imported: 2, failed: 8 });
    expect(report.errors.map(({ line, code }: any) => `${line} ${code}`)).toEqual([
      "2 bad-json",
      "4 bad-key",
      "5 unknown-field",
      "6 bad-request",
      "7 value-too-large",
      "8 bad-ttl",
      "9 bad-request",
      "10 bad-json",
    ]);
    expect((await f.send("GET /v1/kv/demo/z")).status).toBe(200);
  });

  test("errors beyond the bound are counted and not listed", async () => {
    const f = fixture({ limits: { importErrorsMax: 3 } });
    const report = await jsonOf(await f.send("POST /v1/import/demo", "x\n".repeat(10)));
    expect(report.failed).toBe(10);
    expect(report.errors).toHaveLength(3);
  });

  test("a write that fails is a failed line; one that nobody expected says nothing of itself", async () => {
    const f = fixture();
    f.kv.failure = new HutchError("disk-full", "Cannot write: the disk is full");
    const full = await jsonOf(
      await f.send("POST /v1/import/demo?mode=write", '{"key":"a","value":"1"}'),
    );
    expect(full.errors).toMatchObject([{ line: 1, code: "disk-full" }]);
    f.kv.failure = new TypeError("secret");
    const broken = await jsonOf(
      await f.send("POST /v1/import/demo?mode=write", '{"key":"a","value":"1"}'),
    );
    expect(broken.errors[0].code).toBe("internal");
    expect(JSON.stringify(broken)).not.toContain("secret");
  });

  test("138,000 lines stream: writes go side by side, at most 64, and reading waits for them", async () => {
    const f = fixture();
    const lineCount = 138_000;
    const encoder = new TextEncoder();
    let sent = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        let chunk = "";
        for (let i = 0; i < 500 && sent < lineCount; i++, sent++) {
          chunk += `{"key":"k${sent % 30_000}","value":"${sent}"}\n`;
        }
        controller.enqueue(encoder.encode(chunk));
        if (sent === lineCount) controller.close();
      },
    });
    let open = (): void => undefined;
    f.kv.writeGate = new Promise((resolve) => (open = resolve));
    const answer = f.send("POST /v1/import/demo?mode=write", body);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(f.kv.writesInFlight).toBe(64);
    // What the stream has made is what its buffers hold, not the whole input.
    expect(sent).toBeLessThan(10_000);
    open();
    const report = await jsonOf(await answer);
    expect(report).toEqual({ imported: lineCount, failed: 0, errors: [] });
    expect(f.kv.writesInFlightMax).toBe(64);
    expect(await (await f.send("GET /v1/kv/demo/k7")).text()).toBe("120007");
  });

  test("an unknown mode is refused before a line is read", async () => {
    const f = fixture();
    await problemOf(await f.send("POST /v1/import/demo?mode=guess", "x"), 400, "bad-request");
  });
});
