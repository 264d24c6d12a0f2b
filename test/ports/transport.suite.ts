/** What links do in both worlds. */
import { isConnectionRefused } from "../../src/cluster/peer-connection.ts";
import { expect, test } from "bun:test";
import { HELLO_BYTES_MAX, LinkRefusedError, type PeerAddress } from "../../src/ports/transport.ts";
import { bytesOf, Heard, type Peer, type PeerWorld } from "./peer-world.ts";

interface Pair {
  readonly client: Peer;
  readonly server: Peer;
  readonly asker: Heard;
  readonly answerer: Heard;
  /** What the server said first. */
  readonly welcome: Uint8Array;
}

/** Two nodes with a link between them. */
async function linked(
  world: PeerWorld,
  prepare: (answerer: Heard) => void = () => undefined,
): Promise<Pair> {
  const [client, server] = [await world.peer(), await world.peer()];
  const [asker, answerer] = [new Heard(), new Heard()];
  prepare(answerer);
  server.ports.transport.onConnect(() => ({
    kind: "accepted",
    hello: bytesOf("welcome"),
    open: answerer.open,
  }));
  const { transport } = client.ports;
  const connecting = transport.connect(server.address, bytesOf("hello"), 5000, asker.open);
  return { client, server, asker, answerer, welcome: await world.settle(connecting) };
}

/** Bytes that say which message they are and can be checked. */
function patterned(index: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = (i * 31 + index * 7 + (i >>> 8)) & 0xff;
  return bytes;
}

export function transportSuite(world: PeerWorld): void {
  opening(world);
  messages(world);
  ending(world);
}

function opening(world: PeerWorld): void {
  test("connect() shows each side the hello of the other, and opens before it settles", async () => {
    const [client, server] = [await world.peer(), await world.peer()];
    const asker = new Heard();
    const seen: unknown[] = [];
    server.ports.transport.onConnect((hello, from) => {
      seen.push(hello.length, hello[299], from);
      return { kind: "accepted", hello: patterned(2, HELLO_BYTES_MAX), open: new Heard().open };
    });
    let wasOpen = false;
    const connecting = client.ports.transport
      .connect(server.address, patterned(1, 300), 5000, asker.open)
      .finally(() => (wasOpen = asker.link?.isOpen));
    expect(await world.settle(connecting)).toEqual(patterned(2, HELLO_BYTES_MAX));
    expect(wasOpen).toBe(true);
    expect(seen.slice(0, 2)).toEqual([300, patterned(1, 300)[299]]);
    expect(String(seen[2])).toContain(client.address.slice(0, client.address.indexOf(":")));
  });

  test("an empty hello is a hello", async () => {
    const [client, server] = [await world.peer(), await world.peer()];
    const empty = new Uint8Array(0);
    let length = -1;
    server.ports.transport.onConnect((hello) => {
      length = hello.length;
      return { kind: "accepted", hello: empty, open: new Heard().open };
    });
    const connecting = client.ports.transport.connect(
      server.address,
      empty,
      5000,
      new Heard().open,
    );
    expect(await world.settle(connecting)).toEqual(empty);
    expect(length).toBe(0);
  });

  test("who refuses says why, and nothing is opened", async () => {
    const [client, server] = [await world.peer(), await world.peer()];
    const { transport } = client.ports;
    const asker = new Heard();
    const refusal = (): Promise<unknown> =>
      world.settle(
        transport
          .connect(server.address, bytesOf("hello"), 5000, asker.open)
          .catch((thrown: unknown) => thrown),
      );
    expect(await refusal()).toMatchObject({ name: "LinkRefusedError", status: 503 });
    const body = patterned(3, 2000);
    server.ports.transport.onConnect(() => ({ kind: "refused", status: 421, body }));
    const thrown = await refusal();
    expect(thrown).toBeInstanceOf(LinkRefusedError);
    expect(thrown).toMatchObject({ status: 421, body });
    expect(asker.link).toBeUndefined();
  });

  test("R25: connecting to nobody fails, soon, and says that the connection was refused", async () => {
    const client = await world.peer();
    const asker = new Heard();
    const failing = async (to: PeerAddress): Promise<unknown> =>
      world.settle(
        client.ports.transport
          .connect(to, bytesOf("hello"), 5000, asker.open)
          .catch((thrown: unknown) => thrown),
      );
    const thrown = await failing(await world.nobody());
    expect(thrown).toBeInstanceOf(Error);
    expect(thrown).not.toBeInstanceOf(LinkRefusedError);
    expect(isConnectionRefused(thrown)).toBe(true);
    expect(asker.link).toBeUndefined();
  });
}

function messages(world: PeerWorld): void {
  test("messages arrive whole, in order, each once, in both directions", async () => {
    const { asker, answerer, welcome } = await linked(world, (heard) => {
      heard.onMessage = (bytes, link) => link.send(bytes);
    });
    expect(welcome).toEqual(bytesOf("welcome"));
    const lengths = Array.from({ length: 500 }, (_, i) => [0, 1, 3, 17, 2048, 70_000][i % 6]!);
    const sent = lengths.map((length, index) => patterned(index, length));
    for (const message of sent) asker.link.send(message.slice());
    await world.until(() => asker.messages.length >= sent.length);
    await world.pass(20);
    expect(answerer.messages.length).toBe(500);
    expect(asker.messages.length).toBe(500);
    sent.forEach((message, i) => {
      if (Buffer.compare(message, answerer.messages[i]!) !== 0) throw new Error(`there: ${i}`);
      if (Buffer.compare(message, asker.messages[i]!) !== 0) throw new Error(`back: ${i}`);
    });
    asker.link.close();
  });

  test("what the accepting side says while it opens arrives after its hello", async () => {
    const [client, server] = [await world.peer(), await world.peer()];
    const asker = new Heard();
    server.ports.transport.onConnect(() => ({
      kind: "accepted",
      hello: bytesOf("welcome"),
      open: (link) => {
        link.send(bytesOf("first"));
        return new Heard().open(link);
      },
    }));
    const { transport } = client.ports;
    await world.settle(transport.connect(server.address, bytesOf("hello"), 5000, asker.open));
    await world.until(() => asker.messages.length > 0);
    expect(asker.texts()).toEqual(["first"]);
  });

  test("a message of 20 MiB passes, and bufferedBytes tells of it and falls to nothing", async () => {
    const { asker, answerer } = await linked(world);
    const large = patterned(9, 20 * 1024 * 1024);
    asker.link.send(large.slice());
    asker.link.send(bytesOf("after"));
    expect(asker.link.bufferedBytes).toBeGreaterThan(10 * 1024 * 1024);
    await world.until(() => answerer.messages.length === 2);
    expect(Buffer.compare(answerer.messages[0]!, large)).toBe(0);
    expect(answerer.texts()[1]).toBe("after");
    await world.until(() => asker.link.bufferedBytes === 0);
    asker.link.close();
  });

  test("bytes that were received stay as they are", async () => {
    const { asker, answerer } = await linked(world);
    for (let i = 0; i < 50; i++) {
      asker.link.send(patterned(i, 1000));
      await world.pass(1);
    }
    await world.until(() => answerer.messages.length === 50);
    answerer.messages.forEach((bytes, i) => expect(bytes).toEqual(patterned(i, 1000)));
    answerer.messages[0]!.fill(0);
    expect(answerer.messages[1]).toEqual(patterned(1, 1000));
  });
}

function ending(world: PeerWorld): void {
  for (const who of ["asker", "answerer"] as const) {
    test(`close() by the ${who} ends the link on both sides, once, and nothing comes after it`, async () => {
      const pair = await linked(world);
      const mine = pair[who];
      const theirs = who === "asker" ? pair.answerer : pair.asker;
      theirs.link.send(bytesOf("before"));
      await world.until(() => mine.messages.length === 1);
      theirs.link.send(bytesOf("too late"));
      mine.link.close();
      expect(mine.endings.length).toBe(1);
      expect(mine.link.isOpen).toBe(false);
      mine.link.close();
      mine.link.send(bytesOf("nobody hears"));
      await world.until(() => theirs.endings.length > 0);
      expect(theirs.link.isOpen).toBe(false);
      theirs.link.send(bytesOf("nobody hears"));
      await world.pass(50);
      expect([mine.endings.length, theirs.endings.length]).toEqual([1, 1]);
      expect([mine.late, theirs.late, mine.messages.length]).toEqual([0, 0, 1]);
      expect(theirs.texts()).not.toContain("nobody hears");
      expect(mine.link.bufferedBytes + theirs.link.bufferedBytes).toBe(0);
    });
  }

  test("a link may be closed while it is opened", async () => {
    const [client, server] = [await world.peer(), await world.peer()];
    const [asker, answerer] = [new Heard(), new Heard()];
    server.ports.transport.onConnect(() => ({
      kind: "accepted",
      hello: bytesOf("welcome"),
      open: answerer.open,
    }));
    const open: typeof asker.open = (link) => {
      const events = asker.open(link);
      link.close();
      return events;
    };
    const { transport } = client.ports;
    await world.settle(transport.connect(server.address, bytesOf("hello"), 5000, open));
    await world.until(() => answerer.endings.length > 0);
    expect([asker.endings.length, answerer.endings.length]).toEqual([1, 1]);
  });

  test("close() of the transport ends its links, lets nobody in and connects to nobody", async () => {
    const { client, server, asker, answerer } = await linked(world);
    await world.settle(server.ports.transport.close());
    expect(answerer.endings.length).toBe(1);
    await world.until(() => asker.endings.length === 1);
    const thrown = (promise: Promise<unknown>): Promise<unknown> =>
      world.settle(promise.catch((reason: unknown) => reason));
    const hello = bytesOf("hello");
    const { open } = new Heard();
    const there = client.ports.transport.connect(server.address, hello, 5000, open);
    expect(await thrown(there)).toBeInstanceOf(Error);
    const back = server.ports.transport.connect(client.address, hello, 5000, open);
    expect(await thrown(back)).toBeInstanceOf(Error);
    await world.settle(server.ports.transport.close());
  });

  test("many links between the same two nodes do not get in each other's way", async () => {
    const [client, server] = [await world.peer(), await world.peer()];
    const answerers: Heard[] = [];
    server.ports.transport.onConnect((hello) => {
      const heard = new Heard();
      heard.onMessage = (bytes, link) => link.send(bytes);
      answerers.push(heard);
      return { kind: "accepted", hello, open: heard.open };
    });
    const askers = Array.from({ length: 20 }, () => new Heard());
    const { transport } = client.ports;
    const connecting = askers.map((asker, i) =>
      transport.connect(server.address, bytesOf(`${i}`), 5000, asker.open),
    );
    const welcomes = await world.settle(Promise.all(connecting));
    expect(welcomes.map((bytes) => new TextDecoder().decode(bytes))).toEqual(
      askers.map((_, i) => `${i}`),
    );
    askers.forEach((asker, i) => asker.link.send(bytesOf(`from ${i}`)));
    askers[0]!.link.close();
    await world.until(() => askers.slice(1).every((asker) => asker.messages.length === 1));
    askers.slice(1).forEach((asker, i) => expect(asker.texts()).toEqual([`from ${i + 1}`]));
    expect(askers.filter((asker) => asker.endings.length > 0).length).toBe(1);
  });
}
