/**
 * R57: a layout version has one content, whoever proposes what at the same time, whatever messages are lost and whoever restarts in between.
 */
import { expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { LayoutVotes } from "../../src/cluster/layout-vote.ts";
import { type PeerRequest, PeerError, type Peers } from "../../src/cluster/peer-messages.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { assignLayout } from "../../src/ring/assignment.ts";
import { LayoutState } from "../../src/ring/layout-state.ts";
import { type Layout, type LayoutMember, layoutHash } from "../../src/ring/layout.ts";
import type { WriteBatch } from "../../src/storage/store.ts";
import { ManualClock } from "../support/manual-clock.ts";

const idOf = (index: number): string => (index + 1).toString(16).padStart(16, "0");

function memberOf(index: number): LayoutMember {
  const zone = { dc: "d", rack: `r${index % 3}`, host: `h${index}` };
  return { id: idOf(index), name: `n${index}`, zone, weight: 1, peerAddress: `n${index}:1` };
}

function layoutOf(count: number, version: number, previous?: Layout): Layout {
  const members = Array.from({ length: count }, (_, index) => memberOf(index));
  return assignLayout({ version, q: 16, n: 3, members, ...(previous && { previous }) });
}

/** What survives a restart. */
function diskOf(): ReplicaStore {
  const entries = new Map<string, Uint8Array>();
  const store = {
    get: (key: Uint8Array) => {
      const value = entries.get(key.toHex());
      return value && { value, sequence: 1 };
    },
    apply: async (batch: WriteBatch) => {
      for (const [at, key] of batch.keys.entries()) entries.set(key.toHex(), batch.values[at]!);
    },
  };
  return store as unknown as ReplicaStore;
}

class Assembly {
  readonly votes: LayoutVotes[] = [];
  readonly state: LayoutState;
  private readonly disks: ReplicaStore[];
  private readonly prng: Prng;
  readonly clock = new ManualClock();
  lossRate: number;
  readonly isDown = new Set<string>();

  constructor(seed: number, count: number, lossRate: number) {
    this.prng = new Prng(`votes ${seed}`);
    this.state = LayoutState.first(layoutOf(count, 1));
    this.lossRate = lossRate;
    this.disks = Array.from({ length: count }, diskOf);
    for (let index = 0; index < count; index++) this.restart(index);
  }

  restart(index: number): void {
    const options = {
      self: idOf(index),
      store: this.disks[index]!,
      peers: this.peers(),
      clock: this.clock,
      random: { u32: () => this.prng.below(2 ** 32), bytes: () => new Uint8Array(16) },
    };
    this.votes[index] = new LayoutVotes(options as never, () => this.state);
  }

  private peers(): Peers {
    const call = async (node: string, request: PeerRequest) => {
      for (let turns = this.prng.below(6); turns > 0; turns--) await Promise.resolve();
      const index = Number.parseInt(node, 16) - 1;
      if (this.isDown.has(node) || this.isLost()) throw new PeerError("unknown", "timeout", node);
      if (request.kind !== "exchange") throw new Error("unexpected");
      const body = await this.votes[index]!.answer(request.body);
      if (this.isLost()) throw new PeerError("unknown", "timeout", node);
      if (this.lossRate > 0 && this.prng.below(20) === 0) this.restart(index);
      return { kind: "exchange", body } as const;
    };
    return { call } as unknown as Peers;
  }

  private isLost(): boolean {
    return this.prng.below(1000) < this.lossRate * 1000;
  }

  /** Lets waits between ballots pass. */
  async run<T>(work: Promise<T>): Promise<T> {
    let isDone = false;
    void work.then(
      () => (isDone = true),
      () => (isDone = true),
    );
    while (!isDone) {
      for (let turns = 0; turns < 50; turns++) await Promise.resolve();
      this.clock.advance(50);
    }
    return work;
  }
}

test("R57: of proposals made at once, under loss and restarts, at most one content is chosen", async () => {
  let chosenCount = 0;
  for (let seed = 0; seed < 150; seed++) {
    const assembly = new Assembly(seed, 3 + (seed % 3), (seed % 5) * 0.08);
    const attempts = [0, 1, 2].map(async (proposer) => {
      const layout = { ...layoutOf(4 + proposer, 2, assembly.state.newest) };
      const { layout: chosen } = await assembly.votes[proposer]!.elect({ layout, lost: [] });
      return layoutHash(chosen);
    });
    const outcomes = await assembly.run(Promise.allSettled(attempts));
    const chosen = outcomes.flatMap((outcome) =>
      outcome.status === "fulfilled" ? [outcome.value] : [],
    );
    chosenCount += chosen.length;
    expect(new Set(chosen).size).toBeLessThanOrEqual(1);
  }
  expect(chosenCount).toBeGreaterThan(150);
});

test("R57: what was chosen stays chosen: a later proposer learns it and finishes it", async () => {
  const assembly = new Assembly(1, 5, 0);
  const first = layoutOf(6, 2, assembly.state.newest);
  const { layout } = await assembly.run(assembly.votes[0]!.elect({ layout: first, lost: [] }));
  expect(layoutHash(layout)).toBe(layoutHash(first));
  assembly.isDown.add(idOf(0));
  for (let index = 1; index < 5; index++) assembly.restart(index);
  const other = layoutOf(4, 2, assembly.state.newest);
  const again = await assembly.run(assembly.votes[3]!.elect({ layout: other, lost: [idOf(4)] }));
  expect(layoutHash(again.layout)).toBe(layoutHash(first));
  expect(again.lost).toEqual([]);
});

test("R57: the small side of a partition can change nothing, and cannot remove the large one", async () => {
  const assembly = new Assembly(2, 5, 0);
  for (const index of [2, 3, 4]) assembly.isDown.add(idOf(index));
  const layout = layoutOf(2, 2, assembly.state.newest);
  const lost = [2, 3, 4].map(idOf);
  const attempt = assembly.run(assembly.votes[0]!.elect({ layout, lost }));
  expect(attempt).rejects.toMatchObject({ code: "layout-conflict" });
  await attempt.catch(() => undefined);
});

test("a proposal on another base than the voter's gets no vote", async () => {
  const assembly = new Assembly(3, 3, 0);
  const elsewhere = new Assembly(4, 4, 0);
  const layout = layoutOf(5, 2, elsewhere.state.newest);
  const stranger = elsewhere.votes[0]!;
  Object.assign(elsewhere, { votes: [stranger, ...assembly.votes.slice(1), assembly.votes[0]!] });
  const attempt = elsewhere.run(stranger.elect({ layout, lost: [] }));
  await expect(attempt).rejects.toMatchObject({ code: "layout-conflict" });
});

test("R57, row 80: a member whose promise was lost has no vote before it has asked the others; then it forgets nothing that was chosen", async () => {
  const assembly = new Assembly(5, 4, 0);
  const first = layoutOf(6, 2, assembly.state.newest);
  assembly.isDown.add(idOf(3));
  await assembly.run(assembly.votes[0]!.elect({ layout: first, lost: [] }));
  await assembly.votes[2]!.abstain();
  assembly.isDown.clear();
  assembly.isDown.add(idOf(0));
  const other = { layout: layoutOf(5, 2, assembly.state.newest), lost: [] };
  const early = assembly.run(assembly.votes[3]!.elect(other));
  await expect(early).rejects.toMatchObject({ code: "layout-conflict" });
  // It asks all others, so all have to be there.
  assembly.isDown.clear();
  for (let step = 0; step < 40; step++) {
    assembly.clock.advance(500);
    for (let turns = 0; turns < 100; turns++) await Promise.resolve();
  }
  assembly.isDown.add(idOf(0));
  const { layout } = await assembly.run(assembly.votes[3]!.elect(other));
  expect(layoutHash(layout)).toBe(layoutHash(first));
});
