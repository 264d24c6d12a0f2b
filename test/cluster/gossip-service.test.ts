/** Five services on the ports of the simulated world; nothing else of a node. */
import { LayoutState } from "../../src/ring/layout-state.ts";
import { describe, expect, test } from "bun:test";
import type { ClusterView } from "../../src/cluster/cluster-view.ts";
import { GossipService } from "../../src/cluster/gossip-service.ts";
import { PeerError, type PeerReply, type PeerRequest } from "../../src/cluster/peer-messages.ts";
import type { Doubt, MemberChange } from "../../src/gossip/effects.ts";
import { REFUTATIONS } from "../../src/gossip/member.ts";
import { encodeTable } from "../../src/gossip/update.ts";
import type { Datagrams } from "../../src/ports/datagrams.ts";
import type { Layout } from "../../src/ring/layout.ts";
import { SimWorld } from "../../src/sim/world.ts";
import { addressOf, CLUSTER_ID, idOf, recordOf } from "../gossip/gossip-run.ts";

const INTERVAL_MS = 200;

function layoutOf(count: number, version = 1): Layout {
  const members = Array.from({ length: count }, (_, i) => {
    const { id, name, zone, weight, peerAddress } = recordOf(i);
    return { id, name, zone, weight, peerAddress };
  });
  const owners = new Uint16Array(16 * 3).map((_, i) => (i + Math.floor(i / 3)) % count);
  return { version, q: 16, n: 3, members, owners };
}

interface Station {
  readonly index: number;
  readonly service: GossipService;
  readonly changes: MemberChange[];
  readonly views: ClusterView[];
  readonly stale: string[];
  readonly doubts: Doubt[];
  readonly datagrams: Wire;
  declaredDown: number;
  guardChecks: number;
  isDead: boolean;
}

class Wire implements Datagrams {
  readonly counters = { sent: 0, received: 0, failed: 0 };
  receiver: ((bytes: Uint8Array, from: string) => void) | undefined;
  readonly deliver: (to: string, bytes: Uint8Array) => void;

  constructor(deliver: (to: string, bytes: Uint8Array) => void) {
    this.deliver = deliver;
  }

  send(to: string, bytes: Uint8Array): void {
    this.counters.sent++;
    this.deliver(to, bytes.slice());
  }

  onReceive(receive: (bytes: Uint8Array, from: string) => void): void {
    this.receiver = receive;
  }

  close(): void {
    this.receiver = undefined;
  }
}

class Room {
  readonly world: SimWorld;
  readonly stations: Station[] = [];
  hasDatagrams = true;
  calls = 0;

  constructor(seed: number, count = 5) {
    this.world = new SimWorld(seed);
    for (let i = 0; i < count; i++) this.stations.push(this.station(i, count, 0));
    for (const { service } of this.stations) service.start();
  }

  /** A new process in the place of `index`. */
  restart(index: number, life: number): Station {
    const station = this.station(index, this.stations.length, life);
    this.stations[index] = station;
    station.service.start();
    return station;
  }

  kill(index: number): void {
    this.stations[index]!.isDead = true;
    this.world.node(`n${index}`).crash();
    this.world.node(`n${index}`).restart();
  }

  station(index: number, count: number, life: number): Station {
    const { clock, random, logger } = this.world.node(`n${index}`);
    const datagrams = new Wire((to, bytes) => this.carry(station, to, bytes));
    const station: Station = {
      index,
      changes: [],
      views: [],
      stale: [],
      doubts: [],
      datagrams,
      declaredDown: 0,
      guardChecks: 0,
      isDead: false,
      service: new GossipService({
        self: recordOf(index, life),
        clusterId: CLUSTER_ID,
        state: LayoutState.first(layoutOf(count)),
        intervalMs: INTERVAL_MS,
        clock,
        random,
        datagrams,
        logger,
        peers: {
          call: (node, request) => this.call(station, node, request),
          knock: () => Promise.reject(new Error("no seeds, no knocks")),
        },
        seeds: [],
        guard: { check: () => void station.guardChecks++ },
        events: {
          onStale: (node, topic) => void station.stale.push(`${node} ${topic}`),
          onDeclaredDown: () => void station.declaredDown++,
          onDoubt: (doubt) => void station.doubts.push(doubt),
        },
      }),
    };
    station.service.onChange((view, changes) => {
      expect(view).toBe(station.service.view);
      station.views.push(view);
      station.changes.push(...changes);
    });
    return station;
  }

  carry(from: Station, to: string, bytes: Uint8Array): void {
    if (!this.hasDatagrams || from.isDead) return;
    this.world.node("wire").clock.after(1, () => {
      const target = this.stations.find(({ index }) => addressOf(index) === to);
      if (target === undefined || target.isDead) return;
      target.datagrams.receiver?.(bytes, addressOf(from.index));
      bytes.fill(0xdb); // a datagram's bytes are valid only during the call
    });
  }

  async call(from: Station, node: string, request: PeerRequest): Promise<PeerReply> {
    this.calls++;
    const target = this.stations.find(({ index }) => idOf(index) === node)!;
    if (target.isDead || request.kind !== "exchange")
      throw new PeerError("not-sent", "unreachable", node);
    await this.world.node("wire").clock.sleep(2);
    const body = target.service.answerExchange(request.body, idOf(from.index));
    return { kind: "exchange", body };
  }

  downs(index: number): string {
    return this.stations
      .filter(({ isDead }) => !isDead)
      .map(({ service }) => (service.view.isUp(idOf(index)) ? "+" : "-"))
      .join("");
  }
}

describe("GossipService", () => {
  test("all learn all at the start, and nobody is in doubt afterwards", () => {
    const room = new Room(1);
    room.world.run(1000);
    for (const { service, changes } of room.stations) {
      expect([...service.view.members.values()].map(({ liveness }) => liveness)).toEqual(
        Array.from({ length: 5 }, () => "alive"),
      );
      changes.length = 0;
    }
    room.world.run(60_000);
    expect(room.stations.flatMap(({ changes }) => changes)).toEqual([]);
    expect(room.stations.every(({ guardChecks }) => guardChecks > 100)).toBeTrue();
  });

  test("a killed node leaves every view within 2 s, and a listener hears of it once", () => {
    const room = new Room(2);
    room.world.run(2000);
    room.kill(4);
    const heard = room.stations.map(({ changes }) => changes.length);
    room.world.run(2000);
    expect(room.downs(4)).toBe("----");
    for (const { isDead, changes, index } of room.stations) {
      if (isDead) continue;
      const downs = changes.slice(heard[index]).filter(({ after }) => after?.liveness === "down");
      expect(downs.map(({ id }) => id)).toEqual([idOf(4)]);
    }
  });

  test("views are immutable: one that was pinned does not change", () => {
    const room = new Room(3);
    room.world.run(2000);
    const pinned = room.stations[0]!.service.view;
    room.stations[1]!.service.setSelf({ phase: "syncing" });
    room.kill(4);
    room.world.run(3000);
    expect([pinned.isUp(idOf(4)), pinned.isServing(idOf(1))]).toEqual([true, true]);
    const { view } = room.stations[0]!.service;
    expect([view.isUp(idOf(4)), view.isServing(idOf(1))]).toEqual([false, false]);
  });

  test("a restarted node learns from one exchange, without waiting for datagrams", () => {
    const room = new Room(4);
    room.world.run(2000);
    room.kill(2);
    room.world.run(3000);
    const station = room.restart(2, 1);
    room.hasDatagrams = false;
    room.world.run(20);
    const known = [...station.service.view.members.values()].map(
      ({ record }) => record.incarnation,
    );
    expect(known.every((incarnation) => incarnation > 0)).toBeTrue();
    room.hasDatagrams = true;
    room.world.run(2000);
    expect(room.downs(2)).toBe("+++++");
    expect(station.declaredDown).toBe(0);
  });

  test("a node that was cut off and given up is told so, and shows its refutation", () => {
    const room = new Room(5);
    room.world.run(2000);
    const [station] = room.stations;
    const wire = room.carry.bind(room);
    room.carry = (from, to, bytes) => {
      if (from.index !== 0 && to !== addressOf(0)) wire(from, to, bytes);
    };
    room.world.run(4000);
    expect(room.downs(0)).toBe("+----");
    room.carry = wire;
    room.world.run(6000);
    expect(room.downs(0)).toBe("+++++");
    expect(station!.declaredDown).toBeGreaterThan(0);
    const { self, view } = station!.service;
    expect(self.incarnation).toBeGreaterThan(recordOf(0).incarnation);
    expect(view.incarnationOf(idOf(0))).toBe(self.incarnation);
    for (const { service } of room.stations)
      expect(service.view.incarnationOf(idOf(0))).toBe(self.incarnation);
  });

  test("a later layout swaps the view at once and makes the others ask for it", () => {
    const room = new Room(6);
    room.world.run(2000);
    const [station] = room.stations;
    const next = LayoutState.first(layoutOf(5, 2));
    station!.service.setLayouts(next);
    expect(station!.service.view.layout.version).toBe(2);
    expect(station!.service.self).toMatchObject({ layoutVersion: 2, layoutHash: next.hash });
    room.world.run(1000);
    for (const other of room.stations.slice(1)) {
      expect(other.stale).toContain(`${idOf(0)} layout`);
      other.service.setLayouts(next);
      other.stale.length = 0;
    }
    room.world.run(1000);
    for (const { stale } of room.stations) stale.length = 0;
    room.world.run(3000);
    expect(room.stations.flatMap(({ stale }) => stale)).toEqual([]);
  });

  test("R51: who is not in the next layout has left for ever", () => {
    const room = new Room(7);
    room.world.run(2000);
    const [station] = room.stations;
    station!.service.setLayouts(LayoutState.first(layoutOf(4, 2)));
    expect(station!.service.left()).toEqual([idOf(4)]);
    expect(station!.service.view.members.has(idOf(4))).toBeFalse();
    room.world.run(5000);
    expect(station!.service.view.members.has(idOf(4))).toBeFalse();
    expect(station!.service.candidates()).toEqual([]);
  });

  test("stop() says leaving and goes silent; the others take it as down soon", () => {
    const room = new Room(8);
    room.world.run(2000);
    const station = room.stations[3]!;
    station.service.stop();
    const { sent } = station.datagrams.counters;
    room.world.run(50);
    const phases = room.stations.map(
      ({ service }) => service.view.members.get(idOf(3))!.record.phase,
    );
    expect(phases).toEqual(Array.from({ length: 5 }, () => "leaving"));
    room.world.run(2000);
    expect(station.datagrams.counters.sent).toBe(sent);
    station.isDead = true;
    expect(room.downs(3)).toBe("----");
  });

  test("nothing is sent before the start", () => {
    const room = new Room(9, 3);
    const station = room.station(1, 3, 5);
    station.service.setSelf({ bucketsHash: 5 });
    room.world.run(1000);
    expect(station.datagrams.counters.sent).toBe(0);
    expect(station.service.view.members.get(idOf(1))!.record.bucketsHash).toBe(5);
  });

  test("R49: a far-future generation is a doubt, and the transport's word settles it", () => {
    const room = new Room(10);
    room.world.run(2000);
    const { service, doubts } = room.stations[0]!;
    const incarnation = recordOf(1).incarnation + 3 * 86_400 * REFUTATIONS;
    const body = encodeTable([{ record: { ...recordOf(1), incarnation }, liveness: "alive" }]);
    service.answerExchange(body, idOf(2));
    expect(doubts.map(({ kind }) => kind)).toEqual(["far-future"]);
    service.markAlive(idOf(1), incarnation);
    expect(service.view.incarnationOf(idOf(1))).toBe(incarnation);
  });

  test("an exchange that is no table is refused, a peer that does not answer is no trouble", async () => {
    const room = new Room(11);
    room.world.run(1000);
    const { service } = room.stations[0]!;
    expect(() => service.answerExchange(new Uint8Array([9, 9]), idOf(1))).toThrow("Cannot read");
    room.stations[1]!.isDead = true;
    expect(await service.pull(idOf(1))).toBeFalse();
  });

  test("row 70: a flood of unknown nodes is told to the operator once a minute", () => {
    const room = new Room(12);
    room.world.run(1000);
    const { service } = room.stations[0]!;
    const alarms = (): number =>
      room.world.log.filter(({ event }) => event === "gossip_candidates_flood").length;
    for (let batch = 0; batch < 3; batch++) {
      const fakes = Array.from({ length: 1000 }, (_, i) => recordOf(1000 * (batch + 1) + i));
      const table = encodeTable(fakes.map((record) => ({ record, liveness: "alive" as const })));
      service.answerExchange(table, idOf(1));
      room.world.run(1000);
    }
    expect(alarms()).toBe(1);
    expect(service.candidates().length).toBe(1024);
    expect(service.view.members.size).toBe(5);
  });
});
