/** What only real sockets do: strangers, garbage, peers that are stopped or killed. */
import { afterAll, describe, expect, test } from "bun:test";
import * as http2 from "node:http2";
import * as net from "node:net";
import { MESSAGE_BYTES_MAX } from "../../src/ports/transport.ts";
import { bunPeers } from "./bun-peers.ts";
import { echoProcess, stopEchoProcesses } from "./echo-process.ts";
import { bytesOf, Heard } from "./peer-world.ts";

const peers = bunPeers();
afterAll(() => peers.closeAll());
afterAll(stopEchoProcesses);

/** Sends raw bytes and gives what comes back until the other side closes, or `waitMs` have passed. */
async function raw(address: string, bytes: string | Uint8Array, waitMs = 1000): Promise<string> {
  const { hostname, port } = new URL(`http://${address}`);
  const socket = net.connect({ host: hostname, port: Number(port) });
  const chunks: Buffer[] = [];
  const closed = Promise.withResolvers<void>();
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("close", () => closed.resolve());
  socket.on("error", () => closed.resolve());
  socket.write(bytes);
  await Promise.race([closed.promise, Bun.sleep(waitMs)]);
  socket.destroy();
  return Buffer.concat(chunks).toString("latin1");
}

describe("BunTransport and strangers", () => {
  test("row 58: routes of clients do not exist on the peer port, and HTTP/1 gets no link", async () => {
    const { address, transport } = await peers.bind();
    let calls = 0;
    transport.onConnect(() => {
      calls++;
      return { kind: "accepted", hello: new Uint8Array(0), open: new Heard().open };
    });
    const get = (path: string, init: RequestInit = {}): Promise<number> =>
      fetch(`http://${address}${path}`, init).then((answer) => answer.status);
    expect(await get("/")).toBe(404);
    expect(await get("/v1/kv/b/k")).toBe(404);
    expect(await get("/hutch/peer/1")).toBe(404);
    const headers = { "hutch-hello": "aGVsbG8" };
    expect(await get("/hutch/peer/1", { method: "POST", body: "x" })).toBe(400);
    expect(await get("/hutch/peer/1", { method: "POST", body: "x", headers })).toBe(400);
    expect(await get("/hutch/peer/1", { method: "POST", headers })).toBe(400);
    const chunked =
      "POST /hutch/peer/1 HTTP/1.1\r\nHost: x\r\nHutch-Hello: aGVsbG8\r\nTransfer-Encoding: chunked\r\n\r\n";
    expect(await raw(address, `${chunked}1\r\nx\r\n0\r\n\r\n`, 300)).toStartWith("HTTP/1.1 400");
    expect(await raw(address, "GET / HTTP/1.0\r\n\r\n", 300)).toMatch(/^HTTP\/1.1 40[04]/);
    expect(calls).toBe(0);
  });

  test("garbage ends its own connection and nobody else's", async () => {
    const { address, transport } = await peers.bind();
    const answerer = new Heard();
    answerer.onMessage = (bytes, link) => link.send(bytes);
    transport.onConnect((hello) => ({ kind: "accepted", hello, open: answerer.open }));
    const asker = new Heard();
    const client = await peers.bind();
    await client.transport.connect(address, bytesOf("hello"), 2000, asker.open);
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const noise = new Uint8Array(5000).map((_, i) => (i * 167 + (i >>> 3)) & 0xff);
    await Promise.all([
      raw(address, noise, 200),
      raw(address, preface, 200),
      raw(address, Buffer.concat([Buffer.from(preface), noise]), 200),
      raw(address, `${preface}${"\0".repeat(100)}`, 200),
    ]);
    asker.link.send(bytesOf("still here"));
    await peers.until(() => asker.messages.length === 1);
    expect(asker.endings).toEqual([]);
  });

  test("connections come from the address that the node is bound to", async () => {
    const server = await peers.bind();
    const froms: string[] = [];
    server.transport.onConnect((hello, from) => {
      froms.push(from.slice(0, from.lastIndexOf(":")));
      return { kind: "accepted", hello, open: new Heard().open };
    });
    for (const hostname of ["127.0.0.7", "localhost", "0.0.0.0"]) {
      const client = await peers.bind(hostname);
      await client.transport.connect(server.address, bytesOf("x"), 2000, new Heard().open);
    }
    expect(froms).toEqual(["127.0.0.7", "127.0.0.1", "127.0.0.1"]);
  });

  test("a link over IPv6 is a link", async () => {
    const [server, client] = [await peers.bind("::1"), await peers.bind("::1")];
    expect(server.address).toStartWith("[::1]:");
    const heard = new Heard();
    server.transport.onConnect((hello, from) => {
      expect(from).toStartWith("[::1]:");
      return { kind: "accepted", hello, open: heard.open };
    });
    const asker = new Heard();
    await client.transport.connect(server.address, bytesOf("x"), 2000, asker.open);
    asker.link.send(bytesOf("six"));
    await peers.until(() => heard.messages.length === 1);
  });
});

describe("bindPeerPorts()", () => {
  test("a port that is taken is port-in-use, for links and for datagrams, and nothing stays bound", async () => {
    const { address } = await peers.bind();
    const port = Number(address.split(":")[1]);
    await expect(peers.bind("127.0.0.1", port)).rejects.toMatchObject({ code: "port-in-use" });
    const socket = await Bun.udpSocket({ hostname: "127.0.0.1", port: 0 });
    await expect(peers.bind("127.0.0.1", socket.port)).rejects.toMatchObject({
      code: "port-in-use",
    });
    const listener = Bun.listen({
      hostname: "127.0.0.1",
      port: socket.port,
      socket: { data: () => undefined },
    });
    listener.stop(true);
    socket.close();
  });

  test("an address that this machine does not have is bad-config", async () => {
    await expect(peers.bind("203.0.113.9", 0)).rejects.toMatchObject({ name: "HutchError" });
  });
});

describe("BunTransport and broken peers", () => {
  test("row 62: a message that claims to be too long ends the link", async () => {
    const { address, transport } = await peers.bind();
    const heard: Heard[] = [];
    transport.onConnect((hello) => {
      heard.push(new Heard());
      return { kind: "accepted", hello, open: heard.at(-1)!.open };
    });
    for (const prefix of [
      [255, 255, 255, 255],
      [1, 0, 0, 5],
    ]) {
      const session = http2.connect(`http://${address}`);
      const headers = { ":method": "POST", ":path": "/hutch/peer/1", "hutch-hello": "aGVsbG8" };
      const stream = session.request(headers, { endStream: false });
      let isClosed = false;
      stream.on("close", () => (isClosed = true));
      stream.on("error", () => undefined);
      stream.resume();
      stream.write(Uint8Array.from([3, 0, 0, 0, 1, 2, 3, ...prefix, 9, 9, 9]));
      await peers.until(() => heard.at(-1)?.endings.length === 1 && isClosed);
      expect(heard.at(-1)!.messages).toEqual([Uint8Array.of(1, 2, 3)]);
      expect(heard.at(-1)!.endings).toEqual(["the peer sends what is no message"]);
      session.destroy();
    }
  });

  test("a message that is too long is not sent, and ends the link", async () => {
    const { address, transport } = await peers.bind();
    const heard = new Heard();
    transport.onConnect((hello) => ({ kind: "accepted", hello, open: heard.open }));
    const client = await peers.bind();
    const asker = new Heard();
    await client.transport.connect(address, bytesOf("x"), 2000, asker.open);
    asker.link.send(new Uint8Array(MESSAGE_BYTES_MAX + 1));
    expect(asker.endings).toEqual(["a message is too long"]);
    await peers.until(() => heard.endings.length === 1);
    expect(heard.messages).toEqual([]);
  });

  test("a peer that is killed ends its links at once, on both sides of the call", async () => {
    const echo = await echoProcess();
    const asker = new Heard();
    const client = await peers.bind();
    await client.transport.connect(echo.address, bytesOf("x"), 2000, asker.open);
    asker.link.send(bytesOf("one"));
    await peers.until(() => asker.messages.length === 1);
    const startMs = performance.now();
    echo.signal("SIGKILL");
    await peers.until(() => asker.endings.length === 1);
    expect(performance.now() - startMs).toBeLessThan(1000);
    const again = client.transport.connect(echo.address, bytesOf("x"), 2000, asker.open);
    await expect(again).rejects.toThrow("Cannot connect");
  });

  test("row 73: a stopped peer lets connect() time out, buffers grow here, and all arrives when it goes on", async () => {
    const echo = await echoProcess();
    const client = await peers.bind();
    const asker = new Heard();
    await client.transport.connect(echo.address, bytesOf("x"), 2000, asker.open);
    echo.signal("SIGSTOP");
    const startMs = performance.now();
    const late = new Heard();
    const timingOut = client.transport.connect(echo.address, bytesOf("x"), 300, late.open);
    await expect(timingOut).rejects.toThrow("no answer within 300 ms");
    expect(performance.now() - startMs).toBeLessThan(2000);
    for (let i = 0; i < 20; i++) asker.link.send(new Uint8Array(1024 * 1024).fill(i));
    await Bun.sleep(100);
    expect(asker.link.bufferedBytes).toBeGreaterThan(10 * 1024 * 1024);
    expect(asker.endings).toEqual([]);
    echo.signal("SIGCONT");
    await peers.until(() => asker.messages.length === 20);
    expect(asker.messages.map((bytes) => bytes[77])).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    );
    expect(asker.link.bufferedBytes).toBe(0);
    expect(late.link).toBeUndefined();
  });

  test("a side that does not read makes bufferedBytes of the answering side grow", async () => {
    const { address, transport } = await peers.bind();
    const heard = new Heard();
    transport.onConnect((hello) => ({ kind: "accepted", hello, open: heard.open }));
    const caller = Bun.spawn([process.execPath, "-e", callerOf(address)], { stdout: "pipe" });
    afterAll(() => caller.kill("SIGKILL"));
    await peers.until(() => heard.messages.length === 1);
    caller.kill("SIGSTOP");
    for (let i = 0; i < 40; i++) {
      heard.link.send(new Uint8Array(1024 * 1024));
      await Bun.sleep(1);
    }
    await Bun.sleep(100);
    expect(heard.link.bufferedBytes).toBeGreaterThan(15 * 1024 * 1024);
    caller.kill("SIGCONT");
    await peers.until(() => heard.link.bufferedBytes === 0);
    caller.kill("SIGKILL");
    await peers.until(() => heard.endings.length === 1);
  });

  test("500 links opened and closed in a hurry leave nothing behind", async () => {
    const { address, transport } = await peers.bind();
    let open = 0;
    transport.onConnect((hello) => ({
      kind: "accepted",
      hello,
      open: () => {
        open++;
        return { message: () => undefined, ended: () => void open-- };
      },
    }));
    const client = await peers.bind();
    for (let round = 0; round < 10; round++) {
      const askers = Array.from({ length: 50 }, () => new Heard());
      const connecting = askers.map((asker) =>
        client.transport.connect(address, bytesOf("x"), 5000, asker.open),
      );
      await Promise.all(connecting);
      for (const asker of askers) asker.link.close();
      expect(askers.every((asker) => asker.endings.length === 1)).toBe(true);
    }
    await peers.until(() => open === 0);
  });

  test("an idle link outlives the time that a handshake may take", async () => {
    const { address, transport } = await peers.bind();
    const heard = new Heard();
    transport.onConnect((hello) => ({ kind: "accepted", hello, open: heard.open }));
    const client = await peers.bind();
    const asker = new Heard();
    await client.transport.connect(address, bytesOf("x"), 2000, asker.open);
    const silence = raw(address, "", 17_000);
    const startMs = performance.now();
    await silence;
    const closedAfterMs = performance.now() - startMs;

    // Bun takes up to twice the time, and a busy machine some more.
    expect(closedAfterMs).toBeLessThan(16_000);
    await Bun.sleep(Math.max(0, 12_000 - closedAfterMs));
    expect([asker.endings, heard.endings]).toEqual([[], []]);
    asker.link.send(bytesOf("still here"));
    await peers.until(() => heard.messages.length === 1);
  }, 25_000);
});

/** A process that opens a link, says one word and then listens. */
function callerOf(address: string): string {
  return `
    import { bindPeerPorts } from ${JSON.stringify(new URL("../../src/bun/transport.ts", import.meta.url).href)};
    const quiet = () => undefined;
    const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
    const { transport } = await bindPeerPorts({ hostname: "127.0.0.1", port: 0, logger });
    await transport.connect(${JSON.stringify(address)}, new Uint8Array(0), 2000, (link) => {
      link.send(new Uint8Array(1));
      return { message: quiet, ended: () => process.exit() };
    });
    setTimeout(() => process.exit(), 60_000);`;
}
