import { expect, test } from "bun:test";
import { utf8, utf8Text } from "../../src/base/bytes.ts";
import { GREETING_BYTES } from "../../src/cluster/link-greeting.ts";
import { PeerClient } from "../../src/cluster/peer-client.ts";
import { PeerServer } from "../../src/cluster/peer-server.ts";
import { SealedTransport } from "../../src/cluster/sealed-transport.ts";
import type { Link, LinkEvents, RefusedLink, Transport } from "../../src/ports/transport.ts";
import { quietLogger } from "../ports/bun-peers.ts";
import { answer, read } from "../support/peer-pair.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { MemoryNetwork } from "../support/memory-transport.ts";
import { keyOf, sealParts } from "../support/sealed-pair.ts";

const A = "127.0.0.1:1";
const B = "127.0.0.1:2";
const C = "127.0.0.1:3";

interface Options {
  readonly keys?: readonly Uint8Array[];
  readonly name?: string;
}

/** An end that echoes, and keeps what it hears. */
class Echo implements LinkEvents {
  link: Link | undefined;
  readonly heard: (string | undefined)[] = [];
  end: string | undefined;

  readonly open = (link: Link): LinkEvents => {
    this.link = link;
    return this;
  };

  message(bytes: Uint8Array): void {
    this.heard.push(utf8Text(bytes));
  }

  ended(reason: string): void {
    this.end = reason;
  }
}

class World {
  readonly clock = new ManualClock();
  readonly network = new MemoryNetwork(this.clock);
  readonly served: Echo[] = [];

  node(address: string, { keys = [keyOf(1)], name = "hutch" }: Options = {}): SealedTransport {
    const parts = { ...sealParts(this.clock, keys, name), addresses: ["0.0.0.0:1", address] };
    const transport = new SealedTransport(this.network.transportAt(address), parts);
    this.listen(transport, address);
    return transport;
  }

  listen(transport: Transport, address: string): void {
    transport.onConnect((hello) => {
      const echo = new Echo();
      this.served.push(echo);
      const answer = utf8(`${address} welcomes ${utf8Text(hello)}`);
      return { kind: "accepted", hello: answer, open: echo.open };
    });
  }

  /** What the caller is told; its end of the link is in `asker`. */
  async call(from: Transport, to: string, asker = new Echo()): Promise<string | number> {
    const outcome = await from.connect(to, utf8("a"), 1000, asker.open).catch((thrown) => thrown);
    return outcome instanceof Uint8Array ? utf8Text(outcome)! : outcome.status;
  }

  /** The last greeting that went to `to`, taken on the way. */
  async overhear(from: Transport, to: string): Promise<Uint8Array> {
    const listener = this.network.listeners.get(to)!;
    let taken: Uint8Array | undefined;
    this.network.listeners.set(to, (hello) => {
      taken = hello;
      return { kind: "refused", status: 503, body: new Uint8Array(0) };
    });
    await this.call(from, to);
    this.network.listeners.set(to, listener);
    return taken!;
  }

  /** The status with which `to` answers these bytes; 200 for a link. */
  show(to: string, greeting: Uint8Array): number {
    const answer = this.network.listeners.get(to)!(greeting, "127.0.0.1:9");
    return answer.kind === "refused" ? answer.status : 200;
  }
}

const settled = (): Promise<void> => Bun.sleep(0);

test("Q4: nodes with the same key greet each other, and nobody reads what they say", async () => {
  const world = new World();
  const [a] = [world.node(A), world.node(B)];
  const asker = new Echo();
  expect(await world.call(a, B, asker)).toBe(`${B} welcomes a`);
  asker.link!.send(utf8("how are you?"));
  asker.link!.send(utf8("how are you?"));
  world.served[0]!.link!.send(utf8("fine"));
  await settled();
  expect([world.served[0]!.heard, asker.heard]).toEqual([
    ["how are you?", "how are you?"],
    ["fine"],
  ]);
  const [first, second] = world.network.links[0]!.sent;
  expect(first).not.toEqual(second!);
  expect(Buffer.from(first!).includes(Buffer.from("how"))).toBe(false);
  asker.link!.close();
  expect([asker.end, world.served[0]!.end]).toEqual(["closed", "closed"]);
});

test("Q4, row 59: without the key, with another one, or of another cluster: 401, and the hello is not looked at", async () => {
  const world = new World();
  world.node(B);
  const plain = world.network.transportAt(A);
  expect(await world.call(plain, B)).toBe(401);
  expect(await world.call(world.node(A, { keys: [keyOf(2)] }), B)).toBe(401);
  expect(await world.call(world.node(A, { name: "other" }), B)).toBe(401);
  expect(world.served).toEqual([]);
});

test("Q4: who answers has to show the key too", async () => {
  const world = new World();
  const a = world.node(A);
  world.listen(world.network.transportAt(B), B);
  const asker = new Echo();
  expect(await world.call(a, B, asker)).toBe(401);
  expect(asker.link).toBeUndefined();
  expect([a.refused, world.network.links[0]!.isOpen]).toEqual([1, false]);
});

test("Q4: the reason of a refusal is that of a node with the key; what a stranger says is none", async () => {
  const world = new World();
  const [a, b] = [world.node(A), world.node(B)];
  const why = { kind: "refused", status: 409, body: utf8('{"code":"duplicate-node-id"}') } as const;
  b.onConnect(() => why);
  const refusal = async (): Promise<readonly unknown[]> => {
    const asked = a.connect(B, utf8("a"), 1000, new Echo().open);
    const { status, body } = await asked.catch((thrown) => thrown);
    return [status, utf8Text(body)];
  };
  expect(await refusal()).toEqual([409, utf8Text(why.body)]);
  // Somebody on the way who makes one up, or repeats what the node has said to another greeting.
  const real = world.network.listeners.get(B)!;
  const earlier = real(await world.overhear(a, B), A) as RefusedLink;
  expect(earlier.body.length).toBe(32 + why.body.length);
  for (const body of [why.body, earlier.body, new Uint8Array(40), new Uint8Array(0)]) {
    world.network.listeners.set(B, () => ({ ...why, body }));
    expect(await refusal()).toEqual([409, ""]);
  }
  // The very same, with another status.
  world.network.listeners.set(B, (...greeting) => ({
    ...(real(...greeting) as RefusedLink),
    status: 421,
  }));
  expect(await refusal()).toEqual([421, ""]);
});

test("Q4: a greeting that is replayed, shown to another node, shortened or changed is refused", async () => {
  const world = new World();
  const a = world.node(A);
  const [b, c] = [world.node(B), world.node(C)];
  const greeting = await world.overhear(a, B);
  expect(world.show(C, greeting)).toBe(401);
  for (let length = 0; length < greeting.length; length++)
    expect(world.show(B, greeting.subarray(0, length))).toBe(401);
  for (let index = 0; index < greeting.length; index++) {
    const changed = greeting.slice();
    changed[index]! ^= 0x10;
    expect(world.show(B, changed)).toBe(401);
  }
  expect([b.refused, c.refused]).toEqual([2 * greeting.length, 1]);
  expect(greeting.length).toBe(GREETING_BYTES + 1);
  expect([world.show(B, greeting), world.show(B, greeting)]).toEqual([200, 401]);
});

test("Q4: a greeting of more than 30 s ago or ahead is refused", async () => {
  const world = new World();
  const a = world.node(A);
  world.node(B);
  const [early, late] = [await world.overhear(a, B), await world.overhear(a, B)];
  world.clock.stepWall(30_000);
  expect(world.show(B, early)).toBe(200);
  world.clock.stepWall(1);
  expect(world.show(B, late)).toBe(401);
  world.clock.stepWall(-60_002);
  expect(world.show(B, late)).toBe(401);
});

test("Q4: a message that is repeated, left out, changed or turned round ends the link", async () => {
  for (const tamper of ["repeat", "skip", "change", "reflect"] as const) {
    const world = new World();
    const [a] = [world.node(A), world.node(B)];
    const asker = new Echo();
    await world.call(a, B, asker);
    asker.link!.send(utf8("one"));
    await settled();
    const wire = world.network.links[0]!;
    const one = wire.sent[0]!;
    if (tamper === "repeat") wire.deliver(one);
    if (tamper === "reflect") wire.other.deliver(one);
    if (tamper === "change") wire.deliver(one.map((byte) => byte ^ 1));
    if (tamper === "skip") {
      wire.hold();
      for (const text of ["two", "three"]) asker.link!.send(utf8(text));
      wire.deliver(wire.sent[2]!);
    }
    expect([tamper, world.served[0]!.heard, asker.heard]).toEqual([tamper, ["one"], []]);
    expect(asker.end).toBe("closed");
  }
});

test("Q7: links under a removed key end, those under a key that stays go on", async () => {
  const world = new World();
  const [a, b] = [sealParts(world.clock), sealParts(world.clock)];
  const ends = [A, B].map((address, index) => {
    const parts = { ...[a, b][index]!, addresses: [address] };
    return new SealedTransport(world.network.transportAt(address), parts);
  });
  world.listen(ends[1]!, B);
  const [before, after] = [new Echo(), new Echo()];
  await world.call(ends[0]!, B, before);
  for (const { ring } of [a, b]) ring.set([keyOf(1), keyOf(2)]);
  for (const { ring } of [a, b]) ring.set([keyOf(2), keyOf(1)]);
  await world.call(ends[0]!, B, after);
  before.link!.send(utf8("still"));
  await settled();
  expect(world.served[0]!.heard).toEqual(["still"]);
  for (const { ring } of [a, b]) ring.set([keyOf(2)]);
  before.link!.send(utf8("over"));
  after.link!.send(utf8("on"));
  await settled();
  expect(world.served.map(({ heard }) => heard)).toEqual([["still"], ["on"]]);
  expect([before.end, after.end]).toEqual(["closed", undefined]);
});

test("Q7: a link under a key that seals no more gives way to a new one when it is quiet", async () => {
  const world = new World();
  const [a, b] = [sealParts(world.clock), sealParts(world.clock)];
  const [from, to] = [A, B].map((address, index) => {
    const parts = { ...[a, b][index]!, addresses: [address] };
    return new SealedTransport(world.network.transportAt(address), parts);
  });
  const server = new PeerServer({
    transport: to!,
    clock: world.clock,
    logger: quietLogger,
    handler: { handle: answer },
    identity: () => identityOf("bbbbbbbbbbbbbbbb"),
  });
  const client = new PeerClient({
    transport: from!,
    clock: world.clock,
    random: a.random,
    logger: quietLogger,
    identity: () => identityOf("aaaaaaaaaaaaaaaa"),
    addressOf: () => B,
    scheduleFlush: queueMicrotask,
  });
  const call = (): Promise<unknown> => client.call("bbbbbbbbbbbbbbbb", read, 500, "replica");
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) {
      await settled();
      world.clock.advance(1);
    }
  };
  const both = (...keys: Uint8Array[]): void => [a, b].forEach(({ ring }) => ring.set(keys));
  const answered = async (): Promise<number> => {
    const calls = Promise.all([call(), call()]);
    await turns();
    return (await calls).length;
  };
  expect(await answered()).toBe(2);
  both(keyOf(1), keyOf(2));
  expect([await answered(), world.network.links.length]).toEqual([2, 1]);
  both(keyOf(2), keyOf(1));
  expect([await answered(), world.network.links.length]).toEqual([2, 2]);
  both(keyOf(2));
  expect([await answered(), world.network.links.length]).toEqual([2, 2]);
  expect([client.counters.lost, client.counters.unreachable, server.linkCount]).toEqual([0, 0, 1]);
  client.close();
  server.close();
});

const identityOf = (nodeId: string) => ({
  clusterId: new Uint8Array(16).fill(1),
  clusterName: "hutch",
  nodeId,
  incarnation: 1,
});
