/** Q4: a certificate has to name the node that shows it, on either side of a link. */
import { expect, test } from "bun:test";
import { PeerConnection } from "../../src/cluster/peer-connection.ts";
import { encodeHello, type Hello, VERSIONS } from "../../src/cluster/peer-protocol.ts";
import { PeerServer } from "../../src/cluster/peer-server.ts";
import type { Link, Transport } from "../../src/ports/transport.ts";
import { quietLogger } from "../ports/bun-peers.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { A, answer, B } from "../support/peer-pair.ts";
import { CountingRandom } from "../support/fake-kv.ts";

const clusterId = new Uint8Array(16).fill(1);
const identityOf = (nodeId: string) => ({
  clusterId,
  clusterName: "hutch",
  nodeId,
  incarnation: 1,
});
const helloOf = (nodeId: string): Hello => ({
  ...identityOf(nodeId),
  versions: VERSIONS,
  purpose: "member",
});
const nameOf = (node: string): string | undefined => (node === A ? "a" : undefined);

/** How b answers a hello of `node` under a certificate with these names; 200 for a link. */
function statusFor(node: string, certified: readonly string[] | undefined): number {
  let accept: Parameters<Transport["onConnect"]>[0] | undefined;
  const transport = { onConnect: (given: typeof accept) => (accept = given) };
  const clock = new ManualClock();
  const server = new PeerServer({
    transport: transport as unknown as Transport, // nothing else of it is used
    clock,
    logger: quietLogger,
    handler: { handle: answer },
    identity: () => identityOf(B),
    nameOf,
  });
  const outcome = accept!(encodeHello(helloOf(node)), "127.0.0.1:1", certified);
  server.close();
  return outcome.kind === "refused" ? outcome.status : 200;
}

test("Q4: who opens a link is refused where the certificate names another node", () => {
  expect(statusFor(A, ["a", "localhost"])).toBe(200);
  expect(statusFor(A, ["b"])).toBe(403);
  expect(statusFor(A, [])).toBe(403);
  // Not known yet: it comes to join. Without TLS there are no names.
  expect(statusFor("cccccccccccccccc", ["c"])).toBe(200);
  expect(statusFor(A, undefined)).toBe(200);
});

/** Whether a link to a is taken whose other side shows these names, and why not. */
async function opened(certified: readonly string[]): Promise<[boolean, string | undefined]> {
  const link: Link = { bufferedBytes: 0, isOpen: true, certified, send() {}, close() {} };
  const connect: Transport["connect"] = async (_to, _hello, _timeoutMs, open) => {
    open(link);
    return encodeHello(helloOf(A));
  };
  const quiet = { opened() {}, failed() {}, message() {}, ended() {} };
  const ports = {
    clock: new ManualClock(),
    random: new CountingRandom(),
    logger: quietLogger,
    transport: { connect } as Transport, // nothing else of it is used
    hello: () => helloOf(B),
    addressOf: () => "127.0.0.1:1",
    nameOf,
  };
  const connection = new PeerConnection(A, ports, quiet);
  connection.poke(0);
  await Bun.sleep(0);
  return [connection.isOpen, connection.refusal?.code];
}

test("Q4: who answers is not believed where the certificate names another node", async () => {
  expect(await opened(["a"])).toEqual([true, undefined]);
  expect(await opened(["b"])).toEqual([false, "wrong-certificate"]);
});
