import { describe, expect, test } from "bun:test";
import { utf8 } from "../../src/base/bytes.ts";
import { OPEN_MS } from "../../src/cluster/peer-breaker.ts";
import {
  IN_FLIGHT_MAX,
  WAITING_BYTES_MAX,
  WAITING_COUNT_MAX,
} from "../../src/cluster/peer-link.ts";
import type { PeerReply } from "../../src/cluster/peer-messages.ts";
import {
  beginBatch,
  FrameReader,
  sealBatch,
  writeReplyFrame,
} from "../../src/cluster/peer-protocol.ts";
import {
  A,
  absent,
  answer,
  B,
  B_ADDRESS,
  identityOf,
  mergeOf,
  PeerPair,
  read,
  said,
  settle,
} from "../support/peer-pair.ts";

const never = (): Promise<PeerReply> => new Promise(() => undefined);

function kindsIn(message: Uint8Array): string[] {
  const frames = new FrameReader(message, 1);
  const kinds: string[] = [];
  while (frames.next()) kinds.push(frames.readRequest()!.kind);
  return kinds;
}

describe("peer client", () => {
  test("opens one link, with the first call, and keeps it", async () => {
    const pair = new PeerPair();
    expect(pair.network.calls).toEqual([]);
    expect(await Promise.all([pair.outcome(), pair.outcome()])).toEqual(["record", "record"]);
    expect(await pair.outcome()).toBe("record");
    expect(pair.network.calls).toEqual([B_ADDRESS]);
  });

  test("calls of one turn travel in one batch, and so do their replies", async () => {
    const pair = new PeerPair();
    await pair.call();
    await Promise.all(Array.from({ length: 64 }, () => pair.call(mergeOf(100))));
    const [link] = pair.network.links;
    expect(link!.sent.map((message) => kindsIn(message).length)).toEqual([1, 64]);
    expect(link!.other.sent).toHaveLength(2);
  });

  test("N6: replica work leaves before clients' and clients' before repair, whenever it was asked for", async () => {
    const pair = new PeerPair();
    await pair.call();
    void pair.client.call(B, { kind: "status" }, 500, "repair").catch(() => 0);
    void pair.client.call(B, read, 500, "client").catch(() => 0);
    void pair.client.call(B, mergeOf(1), 500, "replica").catch(() => 0);
    await settle();
    expect(kindsIn(pair.network.links[0]!.sent[1]!)).toEqual(["merge", "read", "status"]);
  });

  test("what a request refers to may change once it has been made", async () => {
    const pair = new PeerPair();
    let seen = "";
    pair.handle = (request) => {
      if (request.kind === "merge") seen = request.record.toHex();
      return { kind: "stored", isDurable: true };
    };
    const merge = mergeOf(3);
    const call = pair.call(merge);
    merge.record.fill(0);
    await call;
    expect(seen).toBe("070707");
  });

  test("a link that is backed up gathers one batch until it drains", async () => {
    const pair = new PeerPair();
    await pair.call();
    const [link] = pair.network.links;
    link!.hold();
    const first = pair.outcome(mergeOf(300_000));
    await settle();
    const later = [pair.outcome(), pair.outcome(), pair.outcome()];
    await settle();
    expect(link!.sent).toHaveLength(2);
    link!.release();
    pair.clock.advance(1);
    expect(await Promise.all(later)).toEqual(["record", "record", "record"]);
    expect(kindsIn(link!.sent[2]!)).toHaveLength(3);
    expect(await first).toBe("stored");
  });

  test("a batch ends at 1 MiB, a longer message travels alone", async () => {
    const pair = new PeerPair();
    await pair.call();
    const link = pair.network.links.at(-1)!;
    const before = link.sent.length;
    await Promise.all([mergeOf(600_000), mergeOf(600_000), mergeOf(10)].map((m) => pair.call(m)));
    await pair.call(mergeOf(8_000_000));
    expect(link.sent.slice(before).map((message) => kindsIn(message).length)).toEqual([1, 2, 1]);
  });

  test("at most 4,096 requests wait, fewer of lower priority; beyond that they were surely not sent", async () => {
    const pair = new PeerPair();
    pair.network.silent.add(B_ADDRESS);
    const ends: string[] = [];
    const ask = (priority: "replica" | "repair"): void =>
      void said(pair.client.call(B, read, 5000, priority)).then((end) => ends.push(end));
    for (let i = 0; i < WAITING_COUNT_MAX; i++) ask("repair");
    await settle();
    expect(ends).toEqual(Array(WAITING_COUNT_MAX / 2).fill("not-sent overloaded"));
    for (let i = 0; i <= WAITING_COUNT_MAX / 2; i++) ask("replica");
    await settle();
    expect(ends).toHaveLength(WAITING_COUNT_MAX / 2 + 1);
    expect(pair.client.counters.overloaded).toBe(WAITING_COUNT_MAX / 2 + 1);
  });

  test("at most 4 MiB wait, except for one larger message", async () => {
    const pair = new PeerPair();
    pair.network.silent.add(B_ADDRESS);
    const large = pair.outcome(mergeOf(WAITING_BYTES_MAX + 1));
    expect(await pair.outcome(mergeOf(1))).toBe("not-sent overloaded");
    pair.clock.advance(1000);
    expect(await large).toBe("not-sent timeout");
    pair.clock.advance(2000);
    void pair.outcome(mergeOf(WAITING_BYTES_MAX - 1000));
    expect(await pair.outcome(mergeOf(2000))).toBe("not-sent overloaded");
    expect(pair.client.counters.waitingBytes).toBeLessThan(WAITING_BYTES_MAX);
    pair.client.close();
    expect(pair.client.counters.waitingBytes).toBe(0);
  });

  test("no more requests are under way than the server takes", async () => {
    const pair = new PeerPair();
    pair.handle = () => never();
    for (let i = 0; i < IN_FLIGHT_MAX + 10; i++) {
      void pair.outcome(read, 60_000);
      if (i % 4000 === 0) await settle();
    }
    await settle();
    expect(pair.server.counters.inWork).toBe(IN_FLIGHT_MAX);
    expect(pair.server.counters.overloaded).toBe(0);
  });

  test("N2: a link that ends leaves what was sent unknown and what was not sent not-sent", async () => {
    const pair = new PeerPair();
    pair.handle = () => never();
    const sent = pair.outcome();
    await settle();
    const waiting = pair.outcome();
    pair.network.links[0]!.close();
    expect(await sent).toBe("unknown lost");
    expect(await waiting).toBe("not-sent unreachable");
    expect(pair.client.counters.lost).toBe(1);
    pair.handle = answer;
    expect(await pair.outcome()).toBe("record");
  });

  test("R25: a peer whose process is gone is refused, unreachable, and found again", async () => {
    const pair = new PeerPair();
    await pair.call();
    pair.stop();
    expect(await pair.outcome()).toBe("not-sent unreachable");
    expect(pair.client.isConnectionRefused(B)).toBe(true);
    expect(pair.client.isReachable(B)).toBe(false);
    pair.server = pair.serve();
    pair.clock.advance(2000);
    expect(pair.client.isReachable(B)).toBe(false); // asking starts an attempt
    await settle();
    expect(pair.client.isReachable(B)).toBe(true);
    expect(pair.client.isConnectionRefused(B)).toBe(false);
  });

  test("N4: attempts to connect back off with jitter, to 2 s at most, and calls do not wait for them", async () => {
    const pair = new PeerPair();
    pair.stop();
    const { calls } = pair.network;
    await pair.outcome();
    const gaps: number[] = [];
    for (let elapsedMs = 0; gaps.length < 40;) {
      pair.clock.advance(1);
      elapsedMs++;
      const before = calls.length;
      expect(await pair.outcome()).toBe("not-sent unreachable");
      if (calls.length === before) continue;
      gaps.push(elapsedMs);
      elapsedMs = 0;
    }
    expect(gaps[0]).toBeLessThanOrEqual(100);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(2001);
    expect(Math.max(...gaps)).toBeGreaterThan(1000);
    expect(new Set(gaps).size).toBeGreaterThan(20);
  });

  test("a peer that gossip sees come up is tried at once", async () => {
    const pair = new PeerPair();
    pair.stop();
    for (let i = 0; i < 10; i++) {
      await pair.outcome();
      pair.clock.advance(2000);
    }
    await pair.outcome();
    pair.server = pair.serve();
    expect(await pair.outcome()).toBe("not-sent unreachable");
    pair.client.retryNow(B);
    expect(pair.client.isReachable(B)).toBe(true);
    expect(await pair.outcome()).toBe("record");
  });

  test("R52: a peer that has moved is asked where it is now", async () => {
    const pair = new PeerPair();
    await pair.call();
    pair.addresses.set(B, "b:2");
    pair.network.listeners.set("b:2", pair.network.listeners.get(B_ADDRESS)!);
    pair.client.retryNow(B);
    expect(await pair.outcome()).toBe("record");
    expect(pair.network.calls).toEqual([B_ADDRESS, "b:2"]);
  });

  test("a node without an address is unreachable", async () => {
    const pair = new PeerPair();
    pair.addresses.clear();
    expect(await pair.outcome()).toBe("not-sent unreachable");
    expect(pair.client.isReachable(B)).toBe(false);
  });

  test("row 73: a peer that never answers costs one deadline, then the breaker opens", async () => {
    const pair = new PeerPair();
    pair.handle = () => never();
    const calls = Array.from({ length: 5 }, () => pair.outcome());
    await settle();
    pair.clock.advance(511);
    expect(await Promise.all(calls)).toEqual(Array(5).fill("unknown timeout"));
    expect(pair.client.isReachable(B)).toBe(false);
    expect(await pair.outcome()).toBe("not-sent unreachable");
    expect(pair.client.counters.timeouts).toBe(5);
  });

  test("N9: after a while one request probes, and a success closes the breaker", async () => {
    const pair = new PeerPair();
    pair.handle = () => never();
    for (let i = 0; i < 5; i++) await pair.outcomeLater();
    pair.clock.advance(OPEN_MS);
    const probe = pair.outcome();
    expect(await pair.outcome()).toBe("not-sent unreachable");
    await settle();
    pair.clock.advance(520);
    expect(await probe).toBe("unknown timeout");
    expect(pair.client.isReachable(B)).toBe(false);
    pair.clock.advance(OPEN_MS);
    pair.handle = answer;
    expect(await pair.outcome()).toBe("record");
    expect(await Promise.all([pair.outcome(), pair.outcome()])).toEqual(["record", "record"]);
  });

  test("a link that is silent when the breaker opens is given up, the probe gets a new one", async () => {
    const pair = new PeerPair();
    await pair.call();
    pair.network.links[0]!.other.hold(); // replies get lost
    for (let i = 0; i < 5; i++) await pair.outcomeLater();
    expect(pair.network.links[0]!.isOpen).toBe(false);
    pair.clock.advance(OPEN_MS);
    expect(await pair.outcome()).toBe("record");
    expect(pair.network.links).toHaveLength(2);
  });

  test("a client's tiny timeout says nothing about the peer", async () => {
    const pair = new PeerPair();
    pair.handle = () => never();
    for (let i = 0; i < 20; i++) await pair.outcomeLater(read, 5);
    expect(pair.client.isReachable(B)).toBe(true);
  });

  test("row 74: garbage counts as a failure and answers nothing", async () => {
    const pair = new PeerPair();
    pair.handle = () => never();
    for (let i = 0; i < 5; i++) {
      const call = pair.outcome();
      await settle();
      pair.network.links.at(-1)!.other.deliver(utf8("HTTP/1.1 200 OK"));
      expect(await call).toBe("unknown lost");
    }
    expect(pair.client.isReachable(B)).toBe(false);
    expect(pair.client.counters.badFrames).toBe(5);
    expect(pair.logged).toContainEqual(expect.stringContaining("peer_bad_frame"));
  });

  test.each<[string, number, PeerReply]>([
    ["a reply of another kind", 1, { kind: "stored", isDurable: true }],
    ["a reply to nothing that was asked", 99, absent],
  ])("row 74: %s is garbage", async (_, id, reply) => {
    const pair = new PeerPair();
    pair.handle = () => never();
    const call = pair.outcome();
    await settle();
    const batch = beginBatch(0, 1);
    writeReplyFrame(batch, id, reply);
    pair.network.links[0]!.other.deliver(sealBatch(batch));
    expect(await call).toBe("unknown lost");
    expect(pair.client.counters.badFrames).toBe(1);
  });

  test("row 65: a reply that comes twice, or after its call gave up, is passed over", async () => {
    const pair = new PeerPair();
    await pair.call();
    const server = pair.network.links[0]!.other;
    server.deliver(server.sent[0]!);
    server.hold();
    expect(await pair.outcomeLater()).toBe("unknown timeout");
    server.release();
    expect(await pair.outcome()).toBe("record");
    expect(pair.client.counters.badFrames).toBe(0);
  });

  test("R52: another node at the same address is not asked", async () => {
    const pair = new PeerPair();
    pair.serverIdentity = identityOf("cccccccccccccccc");
    expect(await pair.outcome()).toBe("not-sent unreachable");
    expect(pair.client.refusalOf(B)).toMatchObject({ status: 421, code: "wrong-node" });
    expect(pair.network.links[0]!.sent).toEqual([]);
    expect(pair.network.links[0]!.isOpen).toBe(false);
  });

  test("a refusal is kept, and logged once", async () => {
    const pair = new PeerPair();
    pair.isDuplicate = true;
    for (let i = 0; i < 3; i++) {
      expect(await pair.outcome()).toBe("not-sent unreachable");
      pair.clock.advance(2000);
    }
    expect(pair.client.refusalOf(B)).toMatchObject({ status: 409, code: "duplicate-node-id" });
    expect(pair.client.isConnectionRefused(B)).toBe(false);
    expect(pair.logged).toEqual(["peer_link_refused duplicate-node-id"]);
  });

  test("N5, N10: the latency of reads is known per peer, and forgotten slowly", async () => {
    const pair = new PeerPair();
    let durationMs = 0;
    pair.handle = async () => {
      await pair.clock.sleep(durationMs);
      return absent;
    };
    for (let i = 1; i <= 100; i++) {
      durationMs = i;
      const call = pair.call(read, 5000);
      await settle();
      pair.clock.advance(i);
      await call;
      if (i === 19) expect(pair.client.latencyP95Ms(B)).toBeUndefined();
    }
    pair.clock.advance(100);
    expect(pair.client.latencyP95Ms(B)).toBe(95);
    const meanMs = pair.client.latencyMeanMs(B);
    expect(meanMs).toBeGreaterThan(80);
    pair.clock.advance(10_000);
    expect(pair.client.latencyMeanMs(B)).toBeCloseTo(meanMs / 2, 1);
    expect(pair.client.latencyMeanMs("0000000000000000")).toBe(0);
  });

  test("R53: after a pause all links are dropped, and nothing is held against the peers", async () => {
    const pair = new PeerPair();
    pair.handle = () => never();
    const call = pair.outcome();
    await settle();
    pair.client.dropAllLinks();
    expect(await call).toBe("unknown lost");
    pair.handle = answer;
    expect(await pair.outcome()).toBe("record");
  });

  test("N1: a request that waited for the link tells what is left of its time", async () => {
    const pair = new PeerPair();
    let budgetMs = 0;
    pair.handle = (_request, _from, leftMs) => {
      budgetMs = leftMs;
      return absent;
    };
    await pair.call();
    const [link] = pair.network.links;
    link!.hold();
    void pair.outcome(mergeOf(300_000));
    await settle();
    const call = pair.outcome(read, 400);
    await settle();
    pair.clock.advance(150);
    link!.release();
    pair.clock.advance(1);
    await call;
    expect(budgetMs).toBe(249);
  });

  test("close() ends every call, and later ones at once", async () => {
    const pair = new PeerPair();
    pair.handle = () => never();
    const sent = pair.outcome();
    await settle();
    const waiting = pair.outcome();
    pair.client.close();
    expect(await Promise.all([sent, waiting, pair.outcome()])).toEqual([
      "unknown closed",
      "not-sent closed",
      "not-sent closed",
    ]);
    expect(pair.network.links[0]!.isOpen).toBe(false);
  });

  test("forget() ends the link of a node that has left", async () => {
    const pair = new PeerPair();
    await pair.call();
    pair.addresses.clear();
    pair.client.forget(B);
    expect(pair.network.links[0]!.isOpen).toBe(false);
    expect(await pair.outcome()).toBe("not-sent unreachable");
  });
});

describe("knock", () => {
  const fresh = { ...identityOf(A), clusterId: new Uint8Array(16) };

  test("a node without a cluster asks a node of which it knows the address", async () => {
    const pair = new PeerPair();
    pair.clientIdentity = fresh;
    pair.handle = (request) => ({
      kind: "knock",
      body: request.kind === "knock" ? request.body : new Uint8Array(0),
    });
    const { hello, reply } = await pair.client.knock(
      B_ADDRESS,
      { kind: "knock", body: utf8("hi") },
      500,
    );
    expect(hello.nodeId).toBe(B);
    expect(reply).toEqual({ kind: "knock", body: utf8("hi") });
    expect(pair.network.links[0]!.isOpen).toBe(false);
  });

  test("ends when nobody answers in time", async () => {
    const pair = new PeerPair();
    pair.handle = () => never();
    const knock = pair.client.knock(B_ADDRESS, { kind: "knock", body: utf8("hi") }, 500);
    const ended = knock.then(
      () => "answered",
      (error: Error) => error.message,
    );
    await settle();
    pair.clock.advance(500);
    expect(await ended).toBe("no answer within 500 ms");
    expect(pair.network.links[0]!.isOpen).toBe(false);
  });
});
