/** Nodes that change the ring together: each holds a layout state, takes its own steps and hears of the others' at random. */
import { expect } from "bun:test";
import fc from "fast-check";
import { HutchError } from "../../src/base/errors.ts";
import { hex } from "../../src/base/bytes.ts";
import { assignLayout } from "../../src/ring/assignment.ts";
import type { Layout, LayoutMember } from "../../src/ring/layout.ts";
import { LayoutState } from "../../src/ring/layout-state.ts";
import type { ChangeStamp, LayoutChange } from "../../src/ring/staged-changes.ts";
import { memberOf } from "./ring-fixtures.ts";

const NODES_MAX = 12;
const FIRST_NODES = 4;
export const COPIES = 3;

interface WorldNode {
  readonly member: LayoutMember;
  state: LayoutState;
  /** Lost for good: takes no step, says nothing. */
  isDead: boolean;
}

/** What happens, to which nodes, and a die. */
type Step = readonly [kind: number, node: number, other: number, die: number];
export const arbitrarySteps = (count: number): fc.Arbitrary<Step[]> =>
  fc.array(fc.tuple(fc.nat(99), fc.nat(99), fc.nat(99), fc.nat(99)), {
    minLength: Math.floor(count / 4),
    maxLength: count,
    size: "max",
  });

export class LayoutWorld {
  readonly nodes: WorldNode[];
  /** Every state that any node has ever had. */
  readonly seen: LayoutState[];
  /** Whether versions are forced: made by whoever likes, without a vote. */
  readonly #isForced: boolean;
  #hlc = 0;

  constructor({ isForced }: { readonly isForced: boolean }) {
    this.#isForced = isForced;
    const members = Array.from({ length: FIRST_NODES }, (_, at) => memberOf(at));
    const first = LayoutState.first(assignLayout({ version: 1, q: 16, n: COPIES, members }));
    this.nodes = members.map((member) => ({ member, state: first, isDead: false }));
    this.seen = [first];
  }

  run(steps: readonly Step[]): this {
    for (const step of steps) this.#step(step);
    return this;
  }

  /** Those who are neither dead nor told that they are gone. */
  get living(): WorldNode[] {
    return this.nodes.filter(
      ({ isDead, state, member }) => !isDead && !state.removed.has(member.id),
    );
  }

  #step([kind, at, otherAt, die]: Step): void {
    const { living } = this;
    const node = living[at % living.length];
    const other = this.nodes[otherAt % this.nodes.length]!;
    if (node === undefined) return;
    if (kind < 12) this.#stage(node, other, die);
    else if (kind < 26) this.#apply(node, die);
    else if (kind < 56) this.work(node);
    else if (!other.isDead) this.#become(node, this.#told(node, other));
  }

  /** Over the wire. */
  #told(node: WorldNode, other: WorldNode): LayoutState {
    return node.state.merge(LayoutState.decode(other.state.encode()));
  }

  #become(node: WorldNode, next: LayoutState): void {
    if (next === node.state) return;
    const before = node.state;
    // Every step goes up in the order of the semilattice.
    expect(hex(before.merge(next).encode())).toBe(hex(next.encode()));
    node.state = next;
    this.seen.push(next);
    if (!this.#isForced)
      expect(next.readLayout.version).toBeGreaterThanOrEqual(before.readLayout.version);
  }

  #stage(node: WorldNode, other: WorldNode, die: number): void {
    const change = this.#change(node, other, die);
    const stamp = { hlc: ++this.#hlc, node: node.member.id };
    this.#become(node, node.state.stage([change], stamp));
  }

  #change(node: WorldNode, { member }: WorldNode, die: number): LayoutChange {
    const { id } = member;
    if (die < 40 && this.nodes.length < NODES_MAX) {
      const joining = memberOf(this.nodes.length);
      this.nodes.push({ member: joining, state: node.state, isDead: false });
      return { kind: "join", member: joining, ...(die < 15 && { replaces: id }) };
    }
    if (die < 60) return { kind: "leave", node: id };
    if (die < 70) return { kind: "remove", node: id };
    if (die < 80) return { kind: "update", node: id, weight: 1 + (die % 3) };
    if (die < 90 && !node.state.removed.has(id)) return { kind: "join", member };
    return { kind: "none", node: id };
  }

  /** A vote lets only a node win that has the newest version there is; it may cost some numbers. */
  #apply(node: WorldNode, die: number): void {
    const { state, member } = node;
    const newest = Math.max(...this.nodes.map((each) => each.state.nextVersion));
    const isMember = state.newest.members.some(({ id }) => id === member.id);
    if (!isMember || (state.nextVersion < newest && !this.#isForced)) return;
    try {
      const layout = die < 20 ? state.nextAs(state.layouts[0]!) : this.#choose(state, die);
      const lost = die < 20 ? [] : state.lost;
      const version = layout.version + (die % 5 === 0 && !this.#isForced ? 1 : 0);
      this.#become(node, state.withLayout({ ...layout, version }, lost));
      // Some of those are up in truth, and go on until they hear of it.
      for (const each of this.nodes)
        if (lost.includes(each.member.id) && die % 2 === 0) each.isDead = true;
    } catch (error) {
      if (!(error instanceof HutchError)) throw error;
      expect(error.code).toBe("layout-conflict");
    }
  }

  #choose(state: LayoutState, die: number) {
    const [contents] = state.conflicts.values();
    return contents === undefined
      ? state.next(COPIES)
      : state.nextAs(contents[die % contents.length]!);
  }

  /** The node takes the steps that are due, as `LayoutManager` does. */
  work(node: WorldNode): void {
    const { id } = node.member;
    const { version } = node.state.newest;
    if (node.state.trackers.nodes.has(id)) {
      this.#become(node, node.state.report(id, { ack: version }));
      if (node.state.trackers.ackedByAll() >= version)
        this.#become(node, node.state.report(id, { sync: version }));
      const syncAck = node.state.trackers.syncedByAll();
      this.#become(node, node.state.report(id, { syncAck }));
    }
    this.#retire(node);
  }

  /** Nobody who is waited for still reads from what is let go. */
  #retire(node: WorldNode): void {
    const { nodes } = node.state.trackers;
    this.#become(node, node.state.retired());
    const oldest = node.state.layouts[0]!.version;
    for (const { member, state, isDead } of this.nodes) {
      if (isDead || !nodes.has(member.id) || state.removed.has(member.id)) continue;
      expect(state.readLayout.version).toBeGreaterThanOrEqual(oldest);
    }
  }

  /** Until everybody who is up has heard of everything. */
  converge(): LayoutState {
    const up = this.nodes.filter(({ isDead }) => !isDead);
    // Twice round: what the last one knows comes to all.
    const round = [...up, ...up];
    for (let at = 1; at < round.length; at++)
      this.#become(round[at]!, this.#told(round[at]!, round[at - 1]!));
    const encodings = new Set(up.map(({ state }) => hex(state.encode())));
    expect(encodings.size).toBe(1);
    return up[0]!.state;
  }

  /**
   * Until nothing is left to do. Where versions are in conflict, somebody goes on from the last that was not; and removes those who died with the news of
   * their removal. `undefined` where nobody is left to.
   */
  settle(): LayoutState | undefined {
    const { trackers, conflicts, newest } = this.#workAll();
    const [operator] = this.living;
    const dead = this.nodes.flatMap(({ isDead, member: { id } }) =>
      isDead && trackers.nodes.has(id) ? [id] : [],
    );
    const isLeft = newest.members.some(
      ({ id }) => !dead.includes(id) && !operator?.state.removed.has(id),
    );
    if (operator === undefined || !isLeft) return undefined;
    if (conflicts.size > 0) this.#operate(operator, operator.state.nextAs(newest), dead);
    this.#removeGone(operator, dead);
    return this.#workAll();
  }

  #workAll(): LayoutState {
    for (let round = 0; round < 5; round++) {
      this.converge();
      for (const node of this.living) this.work(node);
    }
    return this.converge();
  }

  #removeGone(operator: WorldNode, dead: readonly string[]): void {
    const isStale = operator.state.newest.members.some(({ id }) => operator.state.removed.has(id));
    if (dead.length === 0 && !isStale) return;
    const nothing = [...operator.state.staged.keys()].map(
      (node) => ({ kind: "none", node }) as const,
    );
    const removals = dead.map((node) => ({ kind: "remove", node }) as const);
    const stamp = (): ChangeStamp => ({ hlc: ++this.#hlc, node: operator.member.id });
    const staged = operator.state.stage(nothing, stamp()).stage(removals, stamp());
    this.#operate(operator, staged.next(COPIES), dead);
  }

  #operate(node: WorldNode, layout: Layout, lost: readonly string[]): void {
    this.#become(node, node.state.withLayout(layout, lost));
  }
}
