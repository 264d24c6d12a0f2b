import { describe, expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import { utf8, utf8Text } from "../../src/base/bytes.ts";
import type { PeerReply, PeerRequest } from "../../src/cluster/peer-messages.ts";
import {
  beginBatch,
  decodeHello,
  encodeHello,
  FrameReader,
  type Hello,
  sealBatch,
  setBudget,
  VERSIONS,
  writeRequestFrame,
} from "../../src/cluster/peer-protocol.ts";
import { LINKS_MAX } from "../../src/cluster/peer-server.ts";
import { LINK_REPLY_BYTES_MAX, LINK_WORK_MAX } from "../../src/cluster/peer-server-link.ts";
import { type Link, LinkRefusedError } from "../../src/ports/transport.ts";
import {
  A,
  absent,
  answer,
  B_ADDRESS,
  identityOf,
  mergeOf,
  PeerPair,
  read,
  settle,
} from "../support/peer-pair.ts";

const knock: PeerRequest = { kind: "knock", body: utf8("let me in") };

/** A peer that is under the test's own hand. */
class RawPeer {
  readonly pair: PeerPair;
  readonly replies: PeerReply[] = [];
  ended = "";
  link!: Link;

  constructor(pair: PeerPair) {
    this.pair = pair;
  }

  async connect(changes: Partial<Hello> = {}): Promise<Hello> {
    const hello = { ...identityOf(A), versions: VERSIONS, purpose: "member" as const, ...changes };
    return decodeHello(await this.connectWith(encodeHello(hello)));
  }

  connectWith(hello: Uint8Array): Promise<Uint8Array> {
    return this.pair.network.transportAt("raw:1").connect(B_ADDRESS, hello, 1000, (link) => {
      this.link = link;
      return {
        message: (bytes) => {
          const frames = new FrameReader(bytes, 1);
          while (frames.next()) this.replies.push(frames.readReply());
        },
        ended: (reason) => (this.ended = reason),
      };
    });
  }

  /** The status and code with which the server refuses. */
  async refusal(connecting: Promise<unknown>): Promise<string> {
    const error = await connecting.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof LinkRefusedError)) return "accepted";
    return `${error.status} ${utf8Text(error.body)}`;
  }

  ask(requests: readonly PeerRequest[], budgetMs = 500): void {
    this.link.send(batchOf(requests, budgetMs));
  }

  get said(): string[] {
    return this.replies.map((reply) => (reply.kind === "failed" ? reply.code : reply.kind));
  }
}

function batchOf(requests: readonly PeerRequest[], budgetMs = 500): Uint8Array {
  const batch = beginBatch(0, 1);
  requests.forEach((request, i) => {
    const start = batch.length;
    writeRequestFrame(batch, i + 1, request);
    setBudget(batch, start, budgetMs);
  });
  return sealBatch(batch);
}

describe("peer server: who may connect", () => {
  test("a member of the cluster is told who answers", async () => {
    const hello = await new RawPeer(new PeerPair()).connect();
    expect(hello).toMatchObject({ nodeId: "bbbbbbbbbbbbbbbb", clusterName: "test" });
  });

  test.each<[string, Partial<Hello>, string]>([
    ["row 60: another cluster id", { clusterId: new Uint8Array(16).fill(1) }, "421 wrong-cluster"],
    ["row 60: another cluster name", { clusterName: "prod" }, "421 wrong-cluster"],
    ["a member without a cluster id", { clusterId: new Uint8Array(16) }, "421 wrong-cluster"],
    [
      "N14: a knock from another cluster",
      { purpose: "knock", clusterId: new Uint8Array(16).fill(1) },
      "421 wrong-cluster",
    ],
    ["row 61: a later version", { versions: { min: 3, max: 4 } }, "426 version-mismatch"],
  ])("%s is refused", async (_, changes, want) => {
    const pair = new PeerPair();
    const peer = new RawPeer(pair);
    const [status, code] = want.split(" ");
    const refusal = await peer.refusal(peer.connect(changes));
    expect(refusal).toStartWith(`${status} {"code":"${code}"`);
    expect(refusal).toContain('"supported":{"min":1,"max":1}');
    expect([pair.server.linkCount, pair.server.counters.refusedLinks]).toEqual([0, 1]);
  });

  test("a second process with a node id that is alive is refused", async () => {
    const pair = new PeerPair();
    pair.isDuplicate = true;
    const peer = new RawPeer(pair);
    expect(await peer.refusal(peer.connect())).toStartWith('409 {"code":"duplicate-node-id"');
  });

  test("row 62: bytes that are no hello are refused", async () => {
    const peer = new RawPeer(new PeerPair());
    expect(await peer.refusal(peer.connectWith(utf8("GET / HTTP/1.1")))).toStartWith("400 ");
  });

  test("a node that has no cluster yet takes knocks only", async () => {
    const pair = new PeerPair();
    pair.serverIdentity = { ...pair.serverIdentity, clusterId: new Uint8Array(16) };
    const peer = new RawPeer(pair);
    expect(await peer.refusal(peer.connect())).toStartWith("503 ");
    expect(await peer.refusal(peer.connect({ purpose: "knock" }))).toBe("accepted");
  });

  test("who only knocks may only knock", async () => {
    const pair = new PeerPair();
    pair.handle = () => ({ kind: "knock", body: utf8("welcome") });
    const peer = new RawPeer(pair);
    await peer.connect({ purpose: "knock", clusterId: new Uint8Array(16) });
    peer.ask([read, knock]);
    await settle();
    expect(peer.said).toEqual(["forbidden", "knock"]);
  });

  test("a member has one link, those that knock many, and all together a bound", async () => {
    const pair = new PeerPair();
    const first = new RawPeer(pair);
    await first.connect();
    await new RawPeer(pair).connect();
    expect([first.ended, pair.server.linkCount]).toEqual(["closed", 1]);
    const next = new RawPeer(pair);
    for (let i = 1; i < LINKS_MAX; i++) await next.connect({ purpose: "knock" });
    expect(await next.refusal(next.connect({ purpose: "knock" }))).toStartWith("503 ");
    next.link.close();
    expect(await next.refusal(next.connect({ purpose: "knock" }))).toBe("accepted");
  });
});

describe("peer server: requests", () => {
  async function connected(): Promise<[PeerPair, RawPeer]> {
    const pair = new PeerPair();
    const peer = new RawPeer(pair);
    await peer.connect();
    return [pair, peer];
  }

  test("the handler is told who asks, and what is left of the time", async () => {
    const [pair, peer] = await connected();
    const calls: unknown[] = [];
    pair.handle = (request, from, budgetMs) => {
      calls.push([request.kind, from, budgetMs]);
      return absent;
    };
    peer.ask([read], 123);
    await settle();
    expect(calls).toEqual([["read", A, 123]]);
    expect(pair.inbound).toBe(1);
  });

  test("what a handler throws is told: a HutchError whole, anything else as `internal`, and logged", async () => {
    const [pair, peer] = await connected();
    pair.handle = async ({ kind }) => {
      if (kind !== "read") throw new TypeError("x is not a function");
      throw new HutchError("clock-skew", "too far ahead", { retry: "safe", data: { aheadMs: 7 } });
    };
    peer.ask([read, mergeOf(1)]);
    await settle();
    expect(peer.replies[0]).toEqual({
      kind: "failed",
      code: "clock-skew",
      message: "too far ahead",
      retry: "safe",
      data: { aheadMs: 7 },
    });
    expect(peer.replies[1]).toMatchObject({ kind: "failed", code: "internal", retry: "no" });
    expect(JSON.stringify(peer.replies[1])).not.toContain("function");
    expect(pair.logged).toEqual(["peer_request_failed merge"]);
  });

  test("a handler that throws at once is no different", async () => {
    const [pair, peer] = await connected();
    pair.handle = () => {
      throw new HutchError("disk-full", "no room", { retry: "safe" });
    };
    peer.ask([read]);
    await settle();
    expect(peer.said).toEqual(["disk-full"]);
  });

  test("R62: a request of a later version is answered `not-implemented`", async () => {
    const [, peer] = await connected();
    const batch = beginBatch(0, 1);
    const starts = [{ kind: "status" } as const, read].map((request, i) => {
      const start = batch.length;
      writeRequestFrame(batch, i + 1, request);
      setBudget(batch, start, 100);
      return start;
    });
    batch.buffer[starts[0]!] = 77;
    peer.link.send(sealBatch(batch));
    await settle();
    expect(peer.said).toEqual(["not-implemented", "record"]);
  });

  test("N1: a request whose budget is spent is not begun", async () => {
    const [pair, peer] = await connected();
    let begun = 0;
    pair.handle = () => {
      begun++;
      pair.clock.advance(60);
      return absent;
    };
    peer.ask([read, read, read], 100);
    await settle();
    expect([begun, pair.server.counters.expired]).toEqual([2, 1 + 2]);
    expect(peer.said).toEqual([]);
  });

  test("N1: a reply that comes too late is not sent", async () => {
    const [pair, peer] = await connected();
    pair.handle = async () => {
      await pair.clock.sleep(200);
      return absent;
    };
    peer.ask([read], 100);
    await settle();
    pair.clock.advance(200);
    await settle();
    expect([peer.said, pair.server.counters.expired]).toEqual([[], 1]);
    expect(pair.server.counters.inWork).toBe(0);
  });

  test("replies that are ready in one turn leave in one batch, the others when they are ready", async () => {
    const [pair, peer] = await connected();
    pair.handle = async (request) => {
      if (request.kind === "merge") await pair.clock.sleep(10);
      return answer(request);
    };
    peer.ask([mergeOf(1), read, read]);
    await settle();
    expect(peer.said).toEqual(["record", "record"]);
    pair.clock.advance(10);
    await settle();
    expect(peer.said).toEqual(["record", "record", "stored"]);
    expect(pair.server.counters.batches).toBe(2);
  });

  test("at most 8,192 requests of a link are in work, the rest hears `overloaded`", async () => {
    const [pair, peer] = await connected();
    pair.handle = () => new Promise(() => undefined);
    peer.ask(Array<PeerRequest>(LINK_WORK_MAX + 3).fill(read));
    await settle();
    expect(peer.said).toEqual(["overloaded", "overloaded", "overloaded"]);
    expect(pair.server.counters.inWork).toBe(LINK_WORK_MAX);
  });

  test("a peer that asks and does not read is told `overloaded`, then loses the link", async () => {
    const [pair, peer] = await connected();
    const large = { ...absent, state: "present" as const, record: new Uint8Array(8 * 1024 * 1024) };
    pair.handle = () => large as PeerReply;
    pair.network.links[0]!.other.hold();
    for (let i = 0; i < 12; i++) {
      peer.ask([read]);
      await settle();
    }
    const { counters } = pair.server;
    expect(counters.replyBytes).toBeLessThan(LINK_REPLY_BYTES_MAX + large.record.length + 1024);
    expect(counters.overloaded).toBeGreaterThan(0);
    expect(peer.ended).toBe("");
    for (let i = 0; i < 20 && peer.ended === ""; i++) {
      peer.ask(Array<PeerRequest>(8000).fill(read));
      await settle();
    }
    expect(peer.ended).toBe("closed");
    expect(counters.replyBytes).toBe(0);
  });

  test.each<[string, Uint8Array]>([
    ["no batch", utf8("what is this")],
    ["a flipped bit", batchOf([mergeOf(5)]).map((byte, i) => (i === 20 ? byte ^ 4 : byte))],
    ["nothing at all", new Uint8Array(0)],
  ])("row 62: %s ends the link, is counted, and nothing is done", async (_, bytes) => {
    const [pair, peer] = await connected();
    let handled = 0;
    pair.handle = () => {
      handled++;
      return absent;
    };
    peer.link.send(bytes);
    await settle();
    expect([peer.ended, handled, pair.server.counters.badFrames]).toEqual(["closed", 0, 1]);
    expect(pair.server.linkCount).toBe(0);
    expect(pair.logged).toEqual([expect.stringContaining("peer_bad_frame")]);
  });

  test("replies for a link that has ended go nowhere", async () => {
    const [pair, peer] = await connected();
    pair.handle = async () => {
      await pair.clock.sleep(10);
      return absent;
    };
    peer.ask([read]);
    await settle();
    peer.link.close();
    pair.clock.advance(10);
    await settle();
    expect(pair.server.counters).toMatchObject({ inWork: 0, replyBytes: 0, batches: 0 });
  });

  test("R53: links that are dropped before a message is taken take nothing of it", async () => {
    const [pair, peer] = await connected();
    let handled = 0;
    pair.handle = () => {
      handled++;
      return absent;
    };
    pair.onInbound = () => pair.server.dropAllLinks();
    peer.ask([read]);
    await settle();
    expect([peer.ended, handled]).toEqual(["closed", 0]);
  });

  test("close() ends all links and takes no more", async () => {
    const [pair, peer] = await connected();
    pair.server.close();
    expect(peer.ended).toBe("closed");
    expect(await peer.refusal(peer.connect())).toStartWith("503 ");
  });
});
