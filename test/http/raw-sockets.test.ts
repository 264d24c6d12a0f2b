/**
 * The corpus of malformed, hostile and slow requests (rows 1 to 23), byte by byte against a real server. What the parser
 * beneath answers itself has no body of ours; it must still be refused, and nothing may be written.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { Metrics } from "../../src/base/metrics.ts";
import { BunClock } from "../../src/bun/clock.ts";
import { type HttpServer, startHttpServer } from "../../src/bun/http-server.ts";
import { BunRandom } from "../../src/bun/random.ts";
import { createApp } from "../../src/http/app.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { FakeAdmin, FakeKv } from "../support/fake-kv.ts";

const clock = new BunClock();
const kv = new FakeKv(clock);
const metrics = new Metrics();
const logged: string[] = [];
let server: HttpServer;
let slowHeader: Promise<Reply>;
let slowBody: Promise<Reply>;

interface Reply {
  readonly text: string;
  /** The server closed the connection. */
  readonly closed: boolean;
  readonly ms: number;
}

/** Sends the parts, `everyMs` apart, and collects what comes back until the server closes or `forMs` have passed. */
function raw(parts: string | readonly string[], forMs = 250, everyMs = 0): Promise<Reply> {
  const { promise, resolve } = Promise.withResolvers<Reply>();
  const startMs = clock.monoMs();
  let text = "";
  const socket = connect(server.port, "127.0.0.1");
  const finish = (closed: boolean): void => {
    resolve({ text, closed, ms: clock.monoMs() - startMs });
    socket.destroy();
  };
  socket.on("data", (data) => (text += data.toString("latin1")));
  socket.on("close", () => finish(true));
  socket.on("error", () => finish(true));
  setTimeout(() => finish(false), forMs);
  socket.on("connect", async () => {
    for (const part of typeof parts === "string" ? [parts] : parts) {
      if (socket.destroyed) return;
      socket.write(Buffer.from(part, "latin1"));
      if (everyMs > 0) await clock.sleep(everyMs);
    }
  });
  return promise;
}

const HOST = "Host: localhost\r\n";
const statusOf = ({ text }: Reply): number => Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0);
const answersIn = ({ text }: Reply): number[] =>
  [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map((match) => Number(match[1]));

/** Refused with one of `statuses` (0 for no answer), closed, nothing written. */
async function refused(
  request: string | readonly string[],
  statuses: readonly number[],
): Promise<Reply> {
  const before = kv.writeCount;
  const reply = await raw(request, 1000);
  expect(statuses).toContain(statusOf(reply));
  expect(reply.closed).toBe(true);
  expect(answersIn(reply).length).toBeLessThanOrEqual(1);
  expect(kv.writeCount).toBe(before);
  return reply;
}

const PUT = `PUT /v1/kv/demo/row HTTP/1.1\r\n${HOST}`;
const SMUGGLED = `PUT /v1/kv/demo/smuggled HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`;

beforeAll(() => {
  const app = createApp({
    kv,
    admin: new FakeAdmin(),
    random: new BunRandom(),
    clock,
    logger: { ...silentLogger, error: (event) => void logged.push(event) },
    metrics,
  });
  server = startHttpServer({ app, hostname: "127.0.0.1", port: 0, logger: silentLogger });
  // Both take seconds: they run while the others do.
  slowHeader = raw([`GET /v1/kv/demo/a HTTP/1.1\r\n${HOST}X-A: `, ..."a".repeat(20)], 20_000, 1000);
  slowBody = raw([`${PUT}Content-Length: 100\r\n\r\n`, ..."b".repeat(20)], 20_000, 1000);
});

afterAll(() => server.stop(0));

describe("malformed requests", () => {
  test("row 1: Content-Length with Transfer-Encoding is refused and what follows never handled", async () => {
    const both = `${PUT}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`;
    await refused(both, [400]);
  });

  test("row 2: odd or doubled Content-Lengths are refused", async () => {
    for (const lengths of [
      "Content-Length: 3\r\nContent-Length: 4",
      "Content-Length: +3",
      "Content-Length: -3",
      "Content-Length: 3, 3",
      "Content-Length: 3x",
    ]) {
      await refused(`${PUT}${lengths}\r\n\r\nabc${SMUGGLED}`, [400]);
    }
  });

  test("row 3: unknown transfer encodings are refused", async () => {
    for (const encoding of ["xchunked", "identity, chunked", "chunked, identity"]) {
      await refused(`${PUT}Transfer-Encoding: ${encoding}\r\n\r\n3\r\nabc\r\n0\r\n\r\n`, [400]);
    }
  });

  test("row 4: chunk sizes that are no hex or do not fit are refused", async () => {
    for (const size of ["xyz", "-1", "fffffffffffffffff", "8000000000000000"]) {
      await refused(
        `${PUT}Transfer-Encoding: chunked\r\n\r\n${size}\r\nabc\r\n0\r\n\r\n`,
        [400, 413, 0],
      );
    }
  });

  test("row 5: a client that leaves in the middle of its body writes nothing and is counted", async () => {
    const before = kv.writeCount;
    const aborted = (): number =>
      Number(/hutch_http_client_aborted_total (\d+)/.exec(metrics.text())?.[1] ?? -1);
    const countBefore = aborted();
    const { promise, resolve } = Promise.withResolvers<void>();
    const socket = connect(server.port, "127.0.0.1", () => {
      socket.write(`${PUT}Content-Length: 10\r\n\r\nabc`);
      setTimeout(() => socket.destroy(), 50);
    });
    socket.on("close", () => resolve());
    await promise;
    for (let i = 0; i < 100 && aborted() === countBefore; i++) await clock.sleep(10);
    expect(aborted()).toBe(countBefore + 1);
    expect(logged).not.toContain("request_failed");
    expect(kv.writeCount).toBe(before);
  });

  test("row 6: a client that leaves after its body has written", async () => {
    const before = kv.writeCount;
    const socket = connect(server.port, "127.0.0.1", () => {
      socket.write(`PUT /v1/kv/demo/left HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\nx`);
      setTimeout(() => socket.destroy(), 20);
    });
    for (let i = 0; i < 100 && kv.writeCount === before; i++) await clock.sleep(10);
    expect(kv.writeCount).toBe(before + 1);
  });

  test("row 7: bare LF line ends are never handled", async () => {
    await refused(
      `PUT /v1/kv/demo/a HTTP/1.1\nHost: localhost\nContent-Length: 1\n\nx`,
      [400, 505],
    );
  });

  test("row 8: folded headers, space before the colon and NUL are refused", async () => {
    for (const header of ["X-A: 1\r\n folded", "X-A : 1", "X-A: \0"]) {
      await refused(`${PUT}${header}\r\nContent-Length: 1\r\n\r\nx`, [400]);
    }
  });

  test("row 9: HTTP/1.1 without Host is refused", async () => {
    await refused("PUT /v1/kv/demo/a HTTP/1.1\r\nContent-Length: 1\r\n\r\nx", [400]);
  });

  test("row 10: HTTP/1.0 without Host, and a Host that is none, are bad-request", async () => {
    for (const head of [
      "PUT /v1/kv/demo/a HTTP/1.0\r\n",
      "PUT /v1/kv/demo/a HTTP/1.1\r\nHost: a b\r\n",
      "PUT /v1/kv/demo/a HTTP/1.1\r\nHost: u@localhost\r\n",
    ]) {
      const reply = await refused(`${head}Content-Length: 1\r\n\r\nx`, [400]);
      expect(reply.text).toContain('"code":"bad-request"');
    }
  });

  test("row 11: of two Host headers the first one counts", async () => {
    const request = (hosts: string): string => `GET /healthz HTTP/1.1\r\n${hosts}\r\n`;
    expect(statusOf(await raw(request(`Host: evil.example\r\n${HOST}`)))).toBe(421);
    expect([200, 400]).toContain(statusOf(await raw(request(`${HOST}Host: evil.example\r\n`))));
  });

  test("row 12: headers or a URL above 16 KiB are 431", async () => {
    await refused(`GET /healthz HTTP/1.1\r\n${HOST}X-A: ${"a".repeat(17_000)}\r\n\r\n`, [431]);
    await refused(`GET /healthz?${"a".repeat(17_000)} HTTP/1.1\r\n${HOST}\r\n`, [431, 414]);
  });

  test("row 13: 150 small headers are fine", async () => {
    const headers = Array.from({ length: 150 }, (_, i) => `X-H${i}: ${i}\r\n`).join("");
    expect(statusOf(await raw(`GET /healthz HTTP/1.1\r\n${HOST}${headers}\r\n`))).toBe(200);
  });

  test("row 14: an unknown method is not handled, a known one without a route is 405", async () => {
    await refused(`FOO /v1/kv/demo/a HTTP/1.1\r\n${HOST}\r\n`, [0, 400, 405, 501]);
    for (const method of ["PATCH", "TRACE"]) {
      const reply = await raw(`${method} /v1/kv/demo/a HTTP/1.1\r\n${HOST}\r\n`);
      expect(statusOf(reply)).toBe(405);
      expect(reply.text).toMatch(/^allow: GET, HEAD, PUT, DELETE\r$/im);
    }
  });

  test("row 16: an HTTP/2 preface and a TLS greeting are refused and closed", async () => {
    await refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, 505, 0]);
    await refused("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", [400, 0]);
  });

  test("row 17: a body over the limit is 413 at once, chunked when it crosses", async () => {
    const declared = await refused(`${PUT}Content-Length: 1048577\r\n\r\nabc`, [413]);
    expect(declared.text).toContain('"code":"value-too-large"');
    expect(declared.ms).toBeLessThan(900);
    const chunk = `10000\r\n${"a".repeat(65_536)}\r\n`;
    const chunked = await refused(
      [`${PUT}Transfer-Encoding: chunked\r\n\r\n`, chunk.repeat(17)],
      [413],
    );
    expect(chunked.text).toContain('"code":"value-too-large"');
    const fits = `${PUT}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(16)}0\r\n\r\n`;
    expect(statusOf(await raw(fits, 2000))).toBe(204);
  });

  test("row 18: Expect: 100-continue with too large a length ends in 413, otherwise in the write", async () => {
    const expecting = (length: number): string =>
      `${PUT}Expect: 100-continue\r\nContent-Length: ${length}\r\n\r\n`;
    const large = await raw(expecting(2_000_000), 1000);
    expect(answersIn(large).at(-1)).toBe(413);
    expect(large.closed).toBe(true);
    expect(answersIn(await raw([expecting(1), "x"], 500, 100))).toEqual([100, 204]);
  });

  test("row 21: pipelined requests are answered in order", async () => {
    const put = (value: string): string =>
      `PUT /v1/kv/demo/p HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\n${value}`;
    const get = `GET /v1/kv/demo/p HTTP/1.1\r\n${HOST}\r\n`;
    const missing = `GET /v1/kv/demo/none HTTP/1.1\r\n${HOST}\r\n`;
    expect(answersIn(await raw(put("1") + get + missing + put("2") + get))).toEqual([
      204, 200, 404, 204, 200,
    ]);
  });

  test("row 22: an absolute-form target is judged by the Host rule", async () => {
    const absolute = (target: string, host: string): string =>
      `GET http://${target}/healthz HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    expect(statusOf(await raw(absolute("localhost", "evil.example")))).toBe(421);
    expect([200, 421]).toContain(statusOf(await raw(absolute("evil.example", "localhost"))));
  });

  test("Q12: GET and DELETE with a chunked body are refused, closed, and nothing is deleted", async () => {
    for (const method of ["GET", "DELETE"]) {
      const request = `${method} /v1/kv/demo/p HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`;
      const reply = await refused(request, [400]);
      expect(reply.text).toContain('"code":"bad-request"');
    }
  });

  test("an error after a body that was read keeps the connection", async () => {
    const put = `PUT /v1/kv/demo/a HTTP/1.1\r\n${HOST}If-Match: "x"\r\n`;
    const chunked = `${put}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n`;
    const requests = `${put}Content-Length: 1\r\n\r\nx${chunked}GET /healthz HTTP/1.1\r\n${HOST}\r\n`;
    expect(answersIn(await raw(requests))).toEqual([412, 412, 200]);
  });

  test("Q12: an error that leaves the body unread closes the connection", async () => {
    const bad = `PUT /v1/kv/demo/%zz HTTP/1.1\r\n${HOST}Content-Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`;
    await refused(bad, [400]);
  });
});

describe("raw keys and values", () => {
  test("row 39: a broken escape in the raw target is bad-key-encoding", async () => {
    const reply = await raw(`GET /v1/kv/demo/a%zz HTTP/1.1\r\n${HOST}\r\n`);
    expect(reply.text).toContain('"code":"bad-key-encoding"');
    const fragment = await raw(`GET /v1/kv/demo/a#b HTTP/1.1\r\n${HOST}\r\n`);
    expect(fragment.text).toContain('"code":"bad-key-encoding"');
  });

  test("row 42: a/../b arrives as b", async () => {
    await raw(`PUT /v1/kv/demo/x/../y HTTP/1.1\r\n${HOST}Content-Length: 1\r\n\r\n!`);
    expect(statusOf(await raw(`GET /v1/kv/demo/y HTTP/1.1\r\n${HOST}\r\n`))).toBe(200);
  });

  test("row 47: metadata and all 256 byte values survive a real connection", async () => {
    const url = `http://127.0.0.1:${server.port}/v1/kv/demo/bytes`;
    const value = Uint8Array.from({ length: 256 * 300 }, (_, i) => i);
    const put = await fetch(url, {
      method: "PUT",
      body: value,
      headers: { "X-Meta-Name": "caf\u00c3\u00a9" },
    });
    expect(put.status).toBe(204);
    const get = await fetch(url);
    expect(await get.bytes()).toEqual(value);
    expect(get.headers.get("x-meta-name")).toBe("caf\u00c3\u00a9");
  });

  test("HEAD sends the length of the value and no byte of it", async () => {
    await raw(`PUT /v1/kv/demo/h HTTP/1.1\r\n${HOST}Content-Length: 5\r\n\r\nhello`);
    const reply = await raw(`HEAD /v1/kv/demo/h HTTP/1.1\r\n${HOST}\r\n`);
    expect(reply.text).toMatch(/content-length: 5\r\n/i);
    expect(reply.text).toEndWith("\r\n\r\n");
  });

  test("an export that fails in the middle ends the connection without the last chunk", async () => {
    for (let i = 0; i < 3000; i++) {
      await kv.importMerge("broken", {
        key: new TextEncoder().encode(`key-${i}`),
        record: {
          counter: 1,
          siblings: [
            {
              counter: 1,
              dot: "f.1",
              hlc: 1,
              isDeleted: false,
              value: "",
              contentType: "",
              contentEncoding: "",
              meta: [],
              expiresAtMs: 0,
            },
          ],
        },
      });
    }
    const whole = await raw(`GET /v1/export/broken HTTP/1.1\r\n${HOST}\r\n`, 500);
    expect(whole.text).toEndWith("0\r\n\r\n");
    const real = kv.export.bind(kv);
    kv.export = async function* (bucket, after) {
      let count = 0;
      for await (const exported of real(bucket, after)) {
        if (++count === 2500) throw new Error("disk");
        yield exported;
      }
    };
    const reply = await raw(`GET /v1/export/broken HTTP/1.1\r\n${HOST}\r\n`, 1000);
    kv.export = real;
    expect(reply.closed).toBe(true);
    expect(reply.text).not.toEndWith("0\r\n\r\n");
  });
});

describe("startHttpServer()", () => {
  test("a port that is taken is port-in-use, not a second listener", () => {
    const app = { fetch: () => new Response("x") };
    const again = (): HttpServer =>
      startHttpServer({ app, hostname: "127.0.0.1", port: server.port, logger: silentLogger });
    expect(again).toThrow(expect.objectContaining({ code: "port-in-use" }));
  });

  test("an application that throws is answered with a problem document and no stack", async () => {
    const app = {
      fetch: (): Response => {
        throw new Error("secret");
      },
    };
    const broken = startHttpServer({ app, hostname: "127.0.0.1", port: 0, logger: silentLogger });
    const response = await fetch(`http://127.0.0.1:${broken.port}/`);
    expect(response.status).toBe(500);
    const text = await response.text();
    expect(text).toContain('"code":"internal"');
    expect(text).not.toContain("secret");
    await broken.stop(0);
  });

  test("stop() lets a request in flight end", async () => {
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const app = {
      fetch: async (): Promise<Response> => {
        await gate;
        return new Response("done");
      },
    };
    const own = startHttpServer({ app, hostname: "127.0.0.1", port: 0, logger: silentLogger });
    const answer = fetch(`http://127.0.0.1:${own.port}/`);
    await clock.sleep(30);
    const stopped = own.stop();
    open();
    expect(await (await answer).text()).toBe("done");
    await stopped;
    await expect(fetch(`http://127.0.0.1:${own.port}/`)).rejects.toThrow();
  });
});

describe("slow requests", () => {
  test("row 20: a body below the minimum rate is 408 or closed within 10 s, and nothing is written", async () => {
    const reply = await slowBody;
    expect(statusOf(reply)).toBe(408);
    expect(reply.closed).toBe(true);
    expect(reply.ms).toBeLessThan(10_500);
  }, 25_000);

  test("Q10: of too many slow bodies of one address the younger are cut, and others are served meanwhile", async () => {
    const guarded = startHttpServer({
      app: createApp({
        kv,
        admin: new FakeAdmin(),
        random: new BunRandom(),
        clock,
        logger: silentLogger,
        limits: { slowBodiesPerAddressMax: 50 },
      }),
      hostname: "127.0.0.1",
      port: 0,
      logger: silentLogger,
    });
    const statuses: number[] = [];
    const sockets = Array.from({ length: 200 }, () => {
      const socket = connect(guarded.port, "127.0.0.1");
      socket.on("connect", () => socket.write(`${PUT}Content-Length: 100\r\n\r\nb`));
      socket.on("data", (data) => statuses.push(Number(data.toString().slice(9, 12))));
      socket.on("error", () => undefined);
      return socket;
    });
    try {
      const url = `http://127.0.0.1:${guarded.port}/v1/kv/demo/meanwhile`;
      for (const endMs = clock.monoMs() + 5000; statuses.length < 150; await clock.sleep(50)) {
        expect(clock.monoMs()).toBeLessThan(endMs);
        expect((await fetch(url, { method: "PUT", body: "v" })).status).toBe(204);
      }
      // The next look at them is a second away, and five seconds are theirs.
      await clock.sleep(1200);
      expect([statuses.length, new Set(statuses)]).toEqual([150, new Set([408])]);
    } finally {
      for (const socket of sockets) socket.destroy();
      await guarded.stop(0);
    }
  }, 25_000);

  test("row 19: a header that never ends is closed within 15 s", async () => {
    const reply = await slowHeader;
    expect(reply.closed).toBe(true);
    expect(reply.ms).toBeLessThan(15_500);
  }, 25_000);
});
