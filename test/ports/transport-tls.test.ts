/** Q4, Q26, row 59: who may open a link where the nodes show certificates. */
import { afterAll, expect, test } from "bun:test";
import * as http2 from "node:http2";
import * as net from "node:net";
import * as tls from "node:tls";
import { Metrics } from "../../src/base/metrics.ts";
import { makeAuthority } from "../../src/cli/certificates.ts";
import { PEER_PATH } from "../../src/bun/peer-http.ts";
import { testAuthority, testTls } from "../support/test-certificates.ts";
import { bunPeers } from "./bun-peers.ts";
import { bytesOf, Heard } from "./peer-world.ts";

const peers = bunPeers(testTls("n1"));
afterAll(() => peers.closeAll());

const stranger = makeAuthority("strangers", Date.now());

async function server() {
  const { transport, address } = await peers.bind();
  const certified: unknown[] = [];
  const answerer = new Heard();
  transport.onConnect((_hello, _from, names) => {
    certified.push(names);
    return { kind: "accepted", hello: bytesOf("welcome"), open: answerer.open };
  });
  return { transport, address, certified, answerer };
}

/** "welcome", or the code of what went wrong. */
async function call(to: string, world: ReturnType<typeof bunPeers>, heard = new Heard()) {
  const { transport } = await world.bind();
  return transport
    .connect(to, bytesOf("hello"), 2000, heard.open)
    .then((hello) => new TextDecoder().decode(hello))
    .catch((thrown: Error & { code?: string }) => thrown.code ?? thrown.message);
}

test("Q4: each side learns the names that the certificate of the other vouches for", async () => {
  const { address, certified } = await server();
  const other = bunPeers(testTls("n2"));
  const asker = new Heard();
  expect(await call(address, other, asker)).toBe("welcome");
  expect([certified, asker.link?.certified]).toEqual([[["n2"]], ["n1"]]);
  await other.closeAll();
});

test("row 59: no certificate, one of another authority, one that has expired: refused in the handshake, counted", async () => {
  const { address, certified, transport } = await server();
  const none = await tlsCall(address, {});
  expect(none).toBe("ERR_SSL_TLSV1_ALERT_CERTIFICATE_REQUIRED");
  const worlds = [
    bunPeers(testTls("n2", { authority: stranger })),
    bunPeers(testTls("n2", { daysAgo: 400 })),
  ];
  for (const world of worlds) expect(await call(address, world)).not.toBe("welcome");
  expect(certified).toEqual([]);
  expect(transport.refusedHandshakes).toBe(3);
  await Promise.all(worlds.map((world) => world.closeAll()));
});

test("Q4: an answerer of another authority, or without TLS, is not believed", async () => {
  const imposters = [bunPeers(testTls("n1", { authority: stranger })), bunPeers()];
  for (const imposter of imposters) {
    const { address, transport } = await imposter.bind();
    let calls = 0;
    transport.onConnect(() => {
      calls++;
      return { kind: "accepted", hello: bytesOf("welcome"), open: new Heard().open };
    });
    const heard = new Heard();
    expect(await call(address, peers, heard)).not.toBe("welcome");
    expect([calls, heard.link === undefined]).toEqual([0, true]);
    await imposter.closeAll();
  }
});

test("Q26: TLS before 1.2 and no TLS at all get no link", async () => {
  const { address, certified } = await server();
  const { cert, key } = testTls("n2");
  const old = { cert, key, minVersion: "TLSv1", maxVersion: "TLSv1.1" } as const;
  expect(await tlsCall(address, old)).toBe("ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION");
  const plain = bunPeers();
  expect(await call(address, plain)).not.toBe("welcome");
  await plain.closeAll();
  expect(certified).toEqual([]);
});

test("Q26: another certificate is shown from the next connection on, one that cannot be used is not", async () => {
  const { address, transport, certified } = await server();
  const asked = async (): Promise<readonly string[] | undefined> => {
    const asker = new Heard();
    expect(await call(address, peers, asker)).toBe("welcome");
    return asker.link?.certified;
  };
  expect(await asked()).toEqual(["n1"]);
  transport.setTls(testTls("n3"));
  expect(await asked()).toEqual(["n3"]);
  const broken = { ...testTls("n4"), key: testTls("n5").key };
  expect(() => transport.setTls(broken)).toThrow("Cannot use the certificate");
  expect(() => transport.setTls({ ...testTls("n4"), ca: "nothing" })).toThrow("peer-ca");
  expect(await asked()).toEqual(["n3"]);
  // As one that asks, too.
  expect(await call((await server()).address, peers)).toBe("welcome");
  expect(certified).toEqual([["n1"], ["n1"], ["n1"]]);
  const metrics = new Metrics();
  transport.defineMetrics(metrics);
  const shown = /peer_certificate_expiry_timestamp_seconds (\d+)/.exec(metrics.text())?.[1];
  expect(Number(shown) * 1000 - Date.now()).toBeGreaterThan(396 * 24 * 3600 * 1000);
});

test("two servers cannot have one port", async () => {
  const { address } = await server();
  const port = Number(address.split(":")[1]);
  await expect(peers.bind("127.0.0.1", port)).rejects.toMatchObject({ code: "port-in-use" });
});

test("a connection that never begins its handshake is closed", async () => {
  const { address } = await server();
  const socket = net.connect(Number(address.split(":")[1]), "127.0.0.1");
  socket.on("error", () => undefined);
  const startMs = performance.now();
  await new Promise((resolve) => socket.on("close", resolve));
  expect(performance.now() - startMs).toBeLessThan(9000);
}, 12_000);

test("row 58: nothing but links is served", async () => {
  const { address, certified } = await server();
  const { cert, key, ca } = testTls("n2");
  const session = http2.connect(`https://${address}`, {
    cert,
    key,
    ca,
    checkServerIdentity: () => undefined,
  });
  const ask = (path: string, method: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const stream = session.request({ ":path": path, ":method": method });
      stream.on("response", (headers) => resolve(headers[":status"] ?? 0));
      stream.on("error", reject);
      stream.end();
    });
  expect([
    await ask("/", "GET"),
    await ask("/v1/kv/b/k", "GET"),
    await ask(PEER_PATH, "POST"),
  ]).toEqual([404, 404, 400]);
  expect(certified).toEqual([]);
  session.destroy();
});

/** The code with which a connection of our own making ends. */
function tlsCall(address: string, options: tls.ConnectionOptions): Promise<string | undefined> {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const socket = tls.connect({
      host: host!,
      port: Number(port),
      ca: testAuthority().certificatePem,
      ALPNProtocols: ["h2"],
      checkServerIdentity: () => undefined,
      ...options,
    });
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.on("close", () => resolve("closed"));
  });
}
