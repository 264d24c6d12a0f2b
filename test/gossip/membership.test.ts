/** One membership against hand-made datagrams: what it believes, and what it refuses to. */
import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { type MemberRecord, REFUTATIONS } from "../../src/gossip/member.ts";
import { Membership } from "../../src/gossip/membership.ts";
import {
  decodeMessage,
  type Message,
  type MessageHead,
  MessageWriter,
} from "../../src/gossip/message.ts";
import type { Effects } from "../../src/gossip/effects.ts";
import { CANDIDATES_MAX } from "../../src/gossip/strangers.ts";
import { encodeUpdate, type Update } from "../../src/gossip/update.ts";
import { addressOf, CLUSTER_ID, idOf, recordOf } from "./gossip-run.ts";

const WALL_MS = 1_767_225_600_000;
const DAY_INCARNATIONS = 86_400 * REFUTATIONS;
const INCARNATION = recordOf(0).incarnation;
const SELF = idOf(0);

/** Node 0 of `count`, which knows the others' records. */
function subject(count = 5, left: string[] = []): Membership {
  const options = { clusterId: CLUSTER_ID, intervalMs: 1000, prng: new Prng(1), left };
  const membership = new Membership({ ...options, self: recordOf(0), nowMs: 0, wallMs: WALL_MS });
  const records = Array.from({ length: count }, (_, i) => recordOf(i));
  membership.setNamed(records, 0);
  membership.learn(
    records.map((record) => ({ record, liveness: "alive" })),
    "",
    0,
  );
  return membership;
}

/** A datagram from node `from`. */
function datagram(
  from: number,
  updates: readonly Update[],
  head: Partial<MessageHead> = {},
): Uint8Array {
  const writer = new MessageWriter(CLUSTER_ID);
  const flags = { wantsRecord: false, isReached: false };
  const its = {
    sender: idOf(from),
    incarnation: recordOf(from).incarnation,
    version: 1,
    heartbeat: 1,
  };
  const to = { kind: "news", target: SELF, sequence: 1, digest: 0 } as const;
  writer.begin({ ...flags, ...its, ...to, ...head });
  for (const update of updates) expect(writer.addUpdate(encodeUpdate(update))).toBeTrue();
  return writer.finish([]);
}

const hear = (
  membership: Membership,
  from: number,
  updates: readonly Update[],
  nowMs = 10,
): Effects => membership.receive(datagram(from, updates), addressOf(from), nowMs);
const opinion = (
  kind: "suspect" | "down",
  about: number,
  by: number,
  incarnation?: number,
): Update => ({
  kind,
  id: idOf(about),
  by: idOf(by),
  incarnation: incarnation ?? recordOf(about).incarnation,
});
const record = (of: number, changes: Partial<MemberRecord>): Update => ({
  kind: "record",
  record: { ...recordOf(of), ...changes },
});
const sent = (effects: Effects): Message[] =>
  effects.datagrams.map(({ bytes }) => decodeMessage(bytes, CLUSTER_ID) as Message);
const livenessOf = (membership: Membership, of: number): string =>
  membership.member(idOf(of))?.liveness ?? "none";

/** Ticks on time until `untilMs`, with the ears shut. */
function sleepUntil(membership: Membership, untilMs: number): void {
  while (membership.nextTickMs <= untilMs) membership.tick(membership.nextTickMs, WALL_MS);
}

describe("what comes from the network", () => {
  test("row 67: random bytes are counted, and get no answer", () => {
    const membership = subject();
    const prng = new Prng(67);
    for (const length of [0, 1, 13, 1400, 65_507])
      expect(membership.receive(prng.bytes(length), "10.9.9.9:1", 10).datagrams).toEqual([]);
    expect(membership.counters.malformed).toBe(5);
  });

  test("row 108, N14: a datagram of another cluster is counted, and changes nothing", () => {
    const membership = subject();
    const writer = new MessageWriter(new Uint8Array(16).fill(8));
    const head = { wantsRecord: false, isReached: false, incarnation: INCARNATION, version: 1 };
    const ids = { sender: idOf(1), target: SELF, kind: "ping", sequence: 1 } as const;
    writer.begin({ ...head, ...ids, heartbeat: 9, digest: 0 });
    writer.addUpdate(encodeUpdate(opinion("down", 2, 1)));
    const effects = membership.receive(writer.finish([]), addressOf(1), 10);
    expect([effects.datagrams, effects.changes]).toEqual([[], []]);
    expect(membership.counters.wrongCluster).toBe(1);
    expect(livenessOf(membership, 2)).toBe("alive");
  });

  test("R52: a ping for another node id gets no answer, whatever the address", () => {
    const membership = subject();
    const ping = (target: string): Uint8Array => datagram(1, [], { kind: "ping", target });
    expect(membership.receive(ping(idOf(3)), addressOf(1), 10).datagrams).toEqual([]);
    expect(membership.counters.ignored).toBe(1);
    const [ack] = sent(membership.receive(ping(SELF), addressOf(1), 20));
    expect(ack).toMatchObject({ kind: "ack", target: idOf(1), sequence: 1 });
  });

  test("row 68: a replayed datagram is no sign of life and brings nothing back", () => {
    const membership = subject();
    const old = datagram(1, [record(1, { version: 2, phase: "leaving" })], {
      heartbeat: 5,
      version: 2,
    });
    membership.receive(old, addressOf(1), 10);
    hear(membership, 1, [record(1, { version: 3, phase: "serving" })], 20);
    const phi = membership.phiOf(idOf(1), 5000);
    expect(phi).toBeGreaterThan(1);
    expect(membership.receive(old, addressOf(1), 400).changes).toEqual([]);
    expect(membership.member(idOf(1))!.record.phase).toBe("serving");
    expect(membership.phiOf(idOf(1), 5000)).toBe(phi);
  });

  test("row 68: opinions and records of an older incarnation are ignored", () => {
    const membership = subject();
    hear(membership, 2, [record(2, { incarnation: INCARNATION + 3 })]);
    const effects = hear(membership, 1, [
      opinion("suspect", 2, 1, INCARNATION + 2),
      opinion("down", 2, 3, INCARNATION),
      record(2, { incarnation: INCARNATION + 2, version: 99 }),
    ]);
    expect(effects.changes).toEqual([]);
    expect(membership.member(idOf(2))!.record.incarnation).toBe(INCARNATION + 3);
  });
});

describe("N13: what is said of this node", () => {
  test("row 69: 'you are down' is refuted by incarnation + 1 at once, to the liar and to others", () => {
    const membership = subject();
    const effects = hear(membership, 1, [opinion("down", 0, 1)]);
    expect(effects.wasDeclaredDown).toBeTrue();
    expect(effects.refutedAs!.incarnation).toBe(INCARNATION + 1);
    expect(membership.self.incarnation).toBe(INCARNATION + 1);
    const tellsIt = (message: Message): boolean =>
      message.updates.some(({ kind }) => kind === "record") &&
      message.incarnation === INCARNATION + 1;
    expect(
      sent(effects)
        .filter(tellsIt)
        .map(({ target }) => target)
        .toSorted(),
    ).toEqual([1, 1, 2, 3, 4].map(idOf));
  });

  test("a mere suspicion is refuted, too, and is no reason to sync", () => {
    const membership = subject();
    const effects = hear(membership, 1, [opinion("suspect", 0, 1)]);
    expect(effects.wasDeclaredDown).toBeFalse();
    expect(membership.self.incarnation).toBe(INCARNATION + 1);
  });

  test("a verdict that arrives after the refutation of the suspicion still counts, once", () => {
    const membership = subject();
    hear(membership, 1, [opinion("suspect", 0, 1)]);
    expect(hear(membership, 2, [opinion("down", 0, 2)]).wasDeclaredDown).toBeTrue();
    expect(hear(membership, 3, [opinion("down", 0, 3)]).wasDeclaredDown).toBeFalse();
    expect(membership.self.incarnation).toBe(INCARNATION + 1);
  });

  test("verdicts on an earlier start are history", () => {
    const membership = subject();
    const effects = hear(membership, 1, [opinion("down", 0, 1, INCARNATION - REFUTATIONS)]);
    expect([effects.wasDeclaredDown, effects.changes]).toEqual([false, []]);
  });

  test("a record of it that others made up is surpassed", () => {
    const membership = subject();
    hear(membership, 1, [record(0, { version: 7, phase: "left" })]);
    expect(membership.self).toMatchObject({ incarnation: INCARNATION + 1, phase: "serving" });
    hear(membership, 1, [record(0, { incarnation: INCARNATION + 500 })]);
    expect(membership.self.incarnation).toBe(INCARNATION + 501);
  });

  test("setSelf() raises the version and tells some members at once", () => {
    const membership = subject();
    const effects = membership.setSelf({ phase: "leaving" }, 10);
    expect(membership.self).toMatchObject({
      version: 2,
      phase: "leaving",
      incarnation: INCARNATION,
    });
    expect(sent(effects).map(({ kind, version }) => [kind, version])).toEqual(
      Array.from({ length: 4 }, () => ["news", 2]),
    );
    expect(effects.changes.map(({ id }) => id)).toEqual([SELF]);
  });
});

describe("nobody is convicted on one node's word", () => {
  test("one accuser, however loud, makes a suspect and no more", () => {
    const membership = subject();
    for (let i = 0; i < 50; i++) hear(membership, 1, [opinion("down", 2, 1)], 10 + i);
    expect(livenessOf(membership, 2)).toBe("suspect");
    expect(membership.counters.convictions).toBe(0);
  });

  test("two that have come to the verdict convict", () => {
    const membership = subject();
    hear(membership, 1, [opinion("suspect", 2, 1)]);
    hear(membership, 1, [opinion("down", 2, 3)]);
    expect(livenessOf(membership, 2)).toBe("down");
  });

  test("who is no member has no voice, and nobody speaks against himself", () => {
    const membership = subject();
    hear(membership, 1, [opinion("suspect", 2, 77), opinion("suspect", 3, 3)]);
    expect(livenessOf(membership, 2) + livenessOf(membership, 3)).toBe("alivealive");
  });

  test("who hears of a suspect in a small cluster sees for itself", () => {
    const membership = subject();
    const messages = sent(hear(membership, 1, [opinion("suspect", 2, 1)]));
    const [ping] = messages.filter(({ kind }) => kind === "ping");
    expect(ping!.target).toBe(idOf(2));
    expect(ping!.updates).toContainEqual(opinion("suspect", 2, 0));
  });

  test("silence leads to suspicion, helpers are asked first, and to the verdict after the time", () => {
    const membership = subject(3);
    const kinds: string[] = [];
    const startMs = membership.nextTickMs;
    while (livenessOf(membership, 1) === "alive")
      for (const message of sent(membership.tick(membership.nextTickMs, WALL_MS)))
        if (message.target === idOf(1)) kinds.push(message.kind);
    expect(kinds.slice(0, 3).toSorted()).toEqual(["ping", "ping", "ping-request"]);
    expect(membership.nextTickMs - startMs).toBeWithin(900, 2500);
    sleepUntil(membership, startMs + 2000);
    expect(livenessOf(membership, 1)).toBe("suspect");
    sleepUntil(membership, startMs + 20_000);
    expect(livenessOf(membership, 1)).toBe("down");
  });

  test("R49: who said that it is leaving and falls silent gets one interval", () => {
    const membership = subject(5);
    hear(membership, 1, [record(1, { version: 2, phase: "leaving" })]);
    hear(membership, 2, [opinion("suspect", 1, 2)], 20);
    sleepUntil(membership, 1025);
    expect(livenessOf(membership, 1)).toBe("down");
  });

  test("Lifeguard: where not even the helpers answer, the own timeouts stretch", () => {
    const membership = subject(5);
    sleepUntil(membership, 20_000);
    expect(membership.health).toBeWithin(1, 9);
  });
});

describe("who is back", () => {
  function withDown(): Membership {
    const membership = subject();
    hear(membership, 1, [opinion("suspect", 2, 1), opinion("down", 2, 3)]);
    expect(livenessOf(membership, 2)).toBe("down");
    return membership;
  }
  const heartbeat = (membership: Membership, beat: number, incarnation: number): void =>
    void membership.receive(
      datagram(2, [], { heartbeat: beat, incarnation }),
      addressOf(2),
      20 + beat,
    );

  test("R53: a node that was down is up again three heartbeats after its refutation", () => {
    const membership = withDown();
    heartbeat(membership, 10, INCARNATION);
    const effects = hear(membership, 3, [record(2, { incarnation: INCARNATION + 1 })], 40);
    expect(sent(effects).find(({ target }) => target === idOf(2))!.updates).toContainEqual(
      opinion("down", 2, 0),
    );
    const seen = [11, 12, 13].map((beat) => {
      heartbeat(membership, beat, INCARNATION + 1);
      return livenessOf(membership, 2);
    });
    expect(seen).toEqual(["down", "down", "alive"]);
  });

  test("heartbeats without a refutation do not bring it back: it has to learn that it was given up", () => {
    const membership = withDown();
    for (let beat = 2; beat < 10; beat++) heartbeat(membership, beat, INCARNATION);
    expect(livenessOf(membership, 2)).toBe("down");
    const ping = datagram(2, [], { kind: "ping", heartbeat: 10 });
    const [ack] = sent(membership.receive(ping, addressOf(2), 40));
    expect(ack!.updates).toContainEqual(opinion("down", 2, 0));
  });

  test("a suspect is up again with its refutation", () => {
    const membership = subject();
    hear(membership, 1, [opinion("suspect", 2, 1)]);
    hear(membership, 1, [record(2, { incarnation: INCARNATION + 1 })]);
    expect(livenessOf(membership, 2)).toBe("alive");
  });

  test("a new generation is another process: up at once", () => {
    const membership = withDown();
    hear(membership, 1, [record(2, { incarnation: INCARNATION + REFUTATIONS, phase: "syncing" })]);
    expect(livenessOf(membership, 2)).toBe("alive");
    expect(membership.phiOf(idOf(2), 1e9)).toBe(0);
  });

  test("the transport's word clears a suspect, starts a new process, and makes a down one refute", () => {
    const membership = subject();
    hear(membership, 1, [opinion("suspect", 2, 1)]);
    membership.markAlive(idOf(2), INCARNATION, 20);
    expect(livenessOf(membership, 2)).toBe("alive");
    const down = withDown();
    const [told] = sent(down.markAlive(idOf(2), INCARNATION, 20));
    expect(told!.updates).toContainEqual(opinion("down", 2, 0));
    expect(livenessOf(down, 2)).toBe("down");
    down.markAlive(idOf(2), INCARNATION + REFUTATIONS, 30);
    expect(down.member(idOf(2))).toMatchObject({ liveness: "alive", record: { phase: "syncing" } });
    hear(down, 1, [record(2, { incarnation: INCARNATION + REFUTATIONS, name: "new" })], 40);
    expect(down.member(idOf(2))!.record.name).toBe("new");
  });
});

describe("identity", () => {
  test("R49: a generation more than a day ahead waits for the transport's word", () => {
    const membership = subject();
    const far = { incarnation: INCARNATION + 2 * DAY_INCARNATIONS, peerAddress: "10.1.1.1:1" };
    const effects = hear(membership, 1, [record(2, far)]);
    expect(effects.doubts).toEqual([
      { kind: "far-future", id: idOf(2), address: "10.1.1.1:1", incarnation: far.incarnation },
    ]);
    expect(membership.member(idOf(2))!.record.incarnation).toBe(INCARNATION);
    membership.markAlive(idOf(2), far.incarnation, 20);
    hear(membership, 1, [record(2, far)], 30);
    expect(membership.member(idOf(2))!.record.peerAddress).toBe("10.1.1.1:1");
  });

  test("R49: a generation within a day, also after a year of uptime, is accepted", () => {
    const membership = subject();
    membership.tick(1000, WALL_MS + 400 * 86_400_000);
    const later = INCARNATION + 400 * DAY_INCARNATIONS;
    hear(membership, 1, [record(2, { incarnation: later })], 1010);
    expect(membership.member(idOf(2))!.record.incarnation).toBe(later);
  });

  test("R52: a lower generation from elsewhere is ignored and told who came after it", () => {
    const membership = subject();
    hear(membership, 2, [
      record(2, { incarnation: INCARNATION + REFUTATIONS, peerAddress: "10.1.1.1:1" }),
    ]);
    const ping = datagram(2, [opinion("suspect", 3, 2)], { kind: "ping", heartbeat: 99 });
    const effects = membership.receive(ping, "10.2.2.2:2", 20);
    expect(effects.changes).toEqual([]);
    expect(effects.datagrams.map(({ to }) => to)).toEqual(["10.2.2.2:2"]);
    expect(sent(effects)[0]!.updates).toEqual([
      record(2, { incarnation: INCARNATION + REFUTATIONS, peerAddress: "10.1.1.1:1" }),
    ]);
    expect(membership.member(idOf(2))!.record.peerAddress).toBe("10.1.1.1:1");
  });

  test("R52: hearing of a later start of oneself is told, once in a while", () => {
    const membership = subject();
    const later = record(0, { incarnation: INCARNATION + REFUTATIONS, peerAddress: "10.1.1.1:1" });
    const doubts = [10, 20, 6000].map((nowMs) => {
      sleepUntil(membership, nowMs);
      return hear(membership, 1, [later], nowMs).doubts.map(({ kind }) => kind);
    });
    expect(doubts).toEqual([["superseded"], [], ["superseded"]]);
    expect(membership.self.incarnation).toBe(INCARNATION);
  });

  test("row 102: two addresses under one incarnation are reported, and the first stays", () => {
    const membership = subject();
    const { doubts } = hear(membership, 1, [record(2, { peerAddress: "10.1.1.1:1" })]);
    expect(doubts.map(({ kind, address }) => [kind, address])).toEqual([
      ["duplicate", "10.1.1.1:1"],
    ]);
    expect(membership.member(idOf(2))!.record.peerAddress).toBe(addressOf(2));
    const own = membership.receive(datagram(0, [], { heartbeat: 3 }), "10.1.1.1:1", 20);
    expect(own.doubts).toEqual([
      { kind: "duplicate", id: SELF, address: "10.1.1.1:1", incarnation: INCARNATION },
    ]);
  });

  test("R51: who has left is ignored for ever, whatever its incarnation", () => {
    const membership = subject(5, [idOf(9)]);
    membership.setNamed(
      [0, 1, 2, 3].map((i) => recordOf(i)),
      10,
    );
    expect(membership.left().toSorted()).toEqual([idOf(4), idOf(9)].toSorted());
    for (const ghost of [4, 9]) {
      const risen = record(ghost, { incarnation: INCARNATION + DAY_INCARNATIONS / 2 });
      hear(membership, 1, [risen], 20);
      const effects = membership.receive(
        datagram(ghost, [risen], { kind: "ping" }),
        addressOf(ghost),
        30,
      );
      expect(effects.datagrams).toEqual([]);
    }
    membership.setNamed(
      Array.from({ length: 10 }, (_, i) => recordOf(i)),
      40,
    );
    expect(membership.member(idOf(4))).toBeUndefined();
    expect(membership.candidates()).toEqual([]);
  });

  test("R51: who is not in the layout is a candidate: answered, without a voice, no member", () => {
    const membership = subject();
    const ping = datagram(20, [record(20, {}), opinion("down", 2, 20)], { kind: "ping" });
    const [ack] = sent(membership.receive(ping, "10.5.5.5:5", 10));
    expect(ack).toMatchObject({ kind: "ack", updates: [], heartbeats: [] });
    expect(membership.members().has(idOf(20))).toBeFalse();
    expect(livenessOf(membership, 2)).toBe("alive");
    expect(membership.candidates().map(({ id }) => id)).toEqual([idOf(20)]);
    membership.setNamed(
      [0, 1, 2, 3, 4, 20].map((i) => recordOf(i)),
      20,
    );
    expect(membership.member(idOf(20))!.record.incarnation).toBe(recordOf(20).incarnation);
    expect(membership.candidates()).toEqual([]);
  });

  test("row 70: 100,000 fake members end at 1,024 candidates, counted, and no member", () => {
    const membership = subject();
    for (let i = 0; i < 100_000; i += 10)
      hear(
        membership,
        1,
        Array.from({ length: 10 }, (_, j) => record(100 + i + j, {})),
        10,
      );
    expect(membership.candidates().length).toBe(CANDIDATES_MAX);
    expect(membership.counters.candidatesDropped).toBe(100_000 - CANDIDATES_MAX);
    expect(membership.members().size).toBe(5);
  });

  test("candidates that fell silent a minute ago give way", () => {
    const membership = subject();
    for (let i = 0; i < CANDIDATES_MAX; i++) hear(membership, 1, [record(100 + i, {})], 10);
    sleepUntil(membership, 61_000);
    hear(membership, 1, [record(5000, {})], 61_000);
    expect(membership.candidates().map(({ id }) => id)).toContain(idOf(5000));
    expect(membership.candidates().length).toBe(CANDIDATES_MAX);
  });
});

describe("the pause guard (R53, N11)", () => {
  test("a tick that is late convicts nobody for one window", () => {
    const membership = subject();
    hear(membership, 1, [opinion("suspect", 2, 1)]);
    membership.tick(60_000, WALL_MS);
    expect(livenessOf(membership, 2)).toBe("suspect");
    expect(membership.counters.pauses).toBe(1);
    expect(membership.health).toBe(1);
    sleepUntil(membership, 61_900);
    expect(livenessOf(membership, 2)).toBe("suspect");
    sleepUntil(membership, 63_000);
    expect(livenessOf(membership, 2)).toBe("down");
    expect(membership.counters.pauses).toBe(1);
  });

  test("a datagram that is looked at while a tick is overdue shows the pause, too", () => {
    const membership = subject();
    hear(membership, 1, [], 30_000);
    expect(membership.counters.pauses).toBe(1);
    expect(membership.phiOf(idOf(2), 30_000)).toBe(0);
  });
});

describe("differences", () => {
  test("another layout or other buckets are told to whoever can fetch them, again and again", () => {
    const membership = subject();
    const newer = { version: 2, layoutVersion: 2, bucketsHash: 1 };
    expect(hear(membership, 1, [record(1, newer)], 10).stale).toEqual([
      { node: idOf(1), topic: "layout" },
      { node: idOf(1), topic: "buckets" },
    ]);
    expect(hear(membership, 1, [], 500).stale).toEqual([]);
    sleepUntil(membership, 2100);
    expect(hear(membership, 1, [], 2100).stale.length).toBe(2);
    const older = { version: 2, layoutVersion: 0 };
    expect(hear(membership, 2, [record(2, older)], 2100).stale).toEqual([]);
  });

  test("tables that go on differing are exchanged; equal tables never are", () => {
    const membership = subject();
    const stale = [10, 3000, 6000, 9000].map((nowMs) => {
      sleepUntil(membership, nowMs);
      return hear(membership, 1, [], nowMs).stale.length;
    });
    expect(stale).toEqual([0, 0, 0, 1]);
    const { digest } = sent(membership.setSelf({}, 9000))[0]!;
    for (let nowMs = 9010; nowMs < 60_000; nowMs += 1000) {
      sleepUntil(membership, nowMs);
      const same = datagram(2, [], { digest, heartbeat: nowMs });
      expect(membership.receive(same, addressOf(2), nowMs).stale).toEqual([]);
    }
  });

  test("learn() takes what is newer, and a dead node's record does not make it alive", () => {
    const options = { clusterId: CLUSTER_ID, intervalMs: 1000, prng: new Prng(1), left: [] };
    const fresh = new Membership({ ...options, self: recordOf(0, 1), nowMs: 0, wallMs: WALL_MS });
    fresh.setNamed(
      [0, 1, 2].map((i) => recordOf(i)),
      0,
    );
    expect(fresh.snapshot().length).toBe(1);
    const table = [
      { record: recordOf(1), liveness: "alive" },
      { record: recordOf(2), liveness: "down" },
    ] as const;
    fresh.learn(table, idOf(1), 10);
    expect([livenessOf(fresh, 1), livenessOf(fresh, 2)]).toEqual(["alive", "suspect"]);
    expect(fresh.snapshot().length).toBe(3);
    expect(fresh.learn(table, idOf(1), 20).changes).toEqual([]);
  });

  test("a member whose record was lost is asked for it, and gives it", () => {
    const membership = subject();
    const [ask] = sent(membership.receive(datagram(1, [], { version: 4 }), addressOf(1), 10));
    expect(ask).toMatchObject({ kind: "news", wantsRecord: true });
    const [answer] = sent(
      membership.receive(datagram(2, [], { wantsRecord: true }), addressOf(2), 20),
    );
    expect(answer!.updates).toContainEqual({ kind: "record", record: membership.self });
  });
});

describe("greetings", () => {
  test("a member that may be elsewhere now is shown the own record there; a stranger is not", () => {
    const membership = subject();
    const [letter] = sent(membership.greet(idOf(2), "elsewhere:9", 10));
    expect(letter).toMatchObject({ kind: "ping", target: idOf(2) });
    expect(letter!.updates).toContainEqual({ kind: "record", record: membership.self });
    expect(membership.greet(idOf(2), "elsewhere:9", 10).datagrams[0]!.to).toBe("elsewhere:9");
    expect(membership.member(idOf(2))!.record.peerAddress).toBe(addressOf(2));
    expect(membership.greet(idOf(77), "elsewhere:9", 10).datagrams).toEqual([]);
  });

  test("whoever is a member counts as heard, and nobody else", () => {
    const options = { clusterId: CLUSTER_ID, intervalMs: 1000, prng: new Prng(1), left: [] };
    const membership = new Membership({ ...options, self: recordOf(0), nowMs: 0, wallMs: WALL_MS });
    membership.setNamed([recordOf(0), recordOf(1)], 0);
    hear(membership, 7, []);
    membership.markAlive(idOf(7), recordOf(7).incarnation, 10);
    membership.receive(datagram(1, [], { target: idOf(5) }), addressOf(1), 10);
    expect(membership.hasHeard).toBeFalse();
    hear(membership, 1, []);
    expect(membership.hasHeard).toBeTrue();
  });
});
