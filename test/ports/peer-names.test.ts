/** Names instead of numbers, up to real sockets. */
import { afterAll, describe, expect, test } from "bun:test";
import { PeerAddresses } from "../../src/bun/peer-address.ts";
import { isHostName, PeerNames, type Resolve } from "../../src/bun/peer-names.ts";
import { bindPeerPorts } from "../../src/bun/transport.ts";
import { bunPeers, quietLogger } from "./bun-peers.ts";
import { bytesOf } from "./peer-world.ts";

const peers = bunPeers();
afterAll(() => peers.closeAll());

/** A resolver that a test changes, and that counts. */
function resolverOf(answers: Record<string, string[] | Error>) {
  const asked: string[] = [];
  const resolve: Resolve = async (name) => {
    asked.push(name);
    const answer = answers[name] ?? new Error("ENOTFOUND");
    if (answer instanceof Error) throw answer;
    return answer;
  };
  return { asked, resolve };
}

describe("isHostName()", () => {
  test.each(["hutch-0.hutch", "a", "hutch-0.hutch.default.svc.cluster.local.", "n_1", "3com"])(
    "takes %p",
    (name) => expect(isHostName(name)).toBe(true),
  );
  test.each(["", "-a", "a-", "a..b", ".a", "1.2.3", "127.0.0.1", "::1", "a b", "a/b", "é"])(
    "refuses %p",
    (name) => expect(isHostName(name)).toBe(false),
  );
});

test("a name is as long as DNS takes it", () => {
  expect([isHostName("a".repeat(253)), isHostName("a".repeat(254))]).toEqual([true, false]);
});

describe("PeerNames", () => {
  test("callers at the same time share one question; the next attempt asks again and finds who has moved", async () => {
    const answers: Record<string, string[]> = { "n1.x": ["::1", "10.0.0.1"] };
    const { asked, resolve } = resolverOf(answers);
    const names = new PeerNames(resolve);
    expect(names.known("n1.x")).toBeUndefined();
    expect(await Promise.all([names.find("n1.x"), names.find("n1.x")])).toEqual([
      "10.0.0.1",
      "10.0.0.1",
    ]);
    expect(asked).toEqual(["n1.x"]);
    answers["n1.x"] = ["10.0.0.2"];
    expect(names.known("n1.x")).toBe("10.0.0.1");
    expect(await names.find("n1.x")).toBe("10.0.0.2");
    expect(names.known("n1.x")).toBe("10.0.0.2");
    expect(asked.length).toBeGreaterThan(1);
  });

  test("a failure is told to who connects, and takes nothing from datagrams", async () => {
    const answers: Record<string, string[] | Error> = { a: ["10.0.0.1"] };
    const names = new PeerNames(resolverOf(answers).resolve);
    await names.find("a");
    answers["a"] = new Error("SERVFAIL");
    await expect(names.find("a")).rejects.toThrow("SERVFAIL");
    expect(names.known("a")).toBe("10.0.0.1");
    answers["a"] = ["not-a-number"];
    await expect(names.find("a")).rejects.toThrow("the name has no address");
  });

  test("no more than 64 questions are open at the same time", async () => {
    const names = new PeerNames(() => new Promise(() => undefined));
    for (let i = 0; i < 64; i++) void names.find(`n${i}`);
    await expect(names.find("one-more")).rejects.toThrow("too many names are being resolved");
  });
});

describe("PeerAddresses", () => {
  test("a resolver that is silent is given up with the attempt", async () => {
    const addresses = new PeerAddresses(() => new Promise(() => undefined));
    await expect(addresses.find("n1:5", 5)).rejects.toThrow(
      'Cannot connect to "n1:5": no name server within 5 ms',
    );
    await expect(addresses.find("[n1]:5", 5)).rejects.toThrow(
      "neither a numeric address nor a name",
    );
    await expect(addresses.find("n1:0", 5)).rejects.toThrow("neither a numeric address nor a name");
    expect(await addresses.find("127.0.0.1:5", 5)).toEqual({
      host: "127.0.0.1",
      port: 5,
      isIPv6: false,
    });
  });
});

describe("two nodes that know names", () => {
  test("links and datagrams find a node by its name, where it is now", async () => {
    const first = await peers.bind();
    const second = await peers.bind();
    const answers: Record<string, string[]> = { "hutch-1.hutch": ["127.0.0.1"] };
    const { resolve } = resolverOf(answers);
    const node = await bindPeerPorts({
      hostname: "127.0.0.1",
      port: 0,
      logger: quietLogger,
      resolve,
    });
    const nothing = { message: () => undefined, ended: () => undefined };
    try {
      for (const { address, transport, datagrams } of [first, second]) {
        const named = `hutch-1.hutch:${address.split(":")[1]}`;
        transport.onConnect(() => ({
          kind: "accepted",
          hello: bytesOf("hi"),
          open: () => nothing,
        }));
        expect(await node.transport.connect(named, bytesOf("hello"), 5000, () => nothing)).toEqual(
          bytesOf("hi"),
        );
        let heard = 0;
        datagrams.onReceive(() => heard++);
        while (heard === 0) {
          node.datagrams.send(named, bytesOf("ping"));
          await Bun.sleep(1);
        }
      }
    } finally {
      node.datagrams.close();
      await node.transport.close();
    }
  });
});
