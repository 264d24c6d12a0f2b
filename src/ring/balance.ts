/**
 * Evens out a load by shortest augmenting paths (Ford and Fulkerson 1956, Edmonds and Karp 1972): while some node has too much, or too little,
 * find the shortest chain of moves a -> b -> c that carries one unit of load from where there is room to give to where there is room to take.
 *
 * Nodes between the ends keep their load, so no step makes anything worse, and every step brings the sum of what is too much and too little
 * down: it ends. If the moves are all the residual edges of a flow, it ends at bounds that can be met, whenever any can.
 */

/** What can be moved. A unit of load has a number, the partition it is in. */
export interface MovableLoad {
  /** By node. */
  readonly counts: Int32Array;
  /** Calls `reach(to, unit)` for those of `takers`, at least, who could take a unit over from `from`, until it answers true. */
  offer(from: number, takers: readonly number[], reach: Reach): void;
  move(from: number, to: number, unit: number): void;
}

export type Reach = (to: number, unit: number) => boolean;
type Test = (node: number) => boolean;

/** Moves load until every node has `low[node]` to `high[node]` of it, or as near as moves lead. */
export function balance(load: MovableLoad, low: Int32Array, high: Int32Array): void {
  const { counts } = load;
  const hasTooMuch: Test = (node) => counts[node]! > high[node]!;
  const hasTooLittle: Test = (node) => counts[node]! < low[node]!;
  const search = new PathSearch(load);
  // First what mends two nodes at once.
  search.drain(hasTooMuch, hasTooLittle);
  search.drain(hasTooMuch, (node) => counts[node]! < high[node]!);
  search.drain((node) => counts[node]! > low[node]!, hasTooLittle);
}

class PathSearch {
  private readonly load: MovableLoad;
  /** By node: who would hand over to it, and which unit; -1 at a start, -2 not met. */
  private readonly giver: Int32Array;
  private readonly unit: Int32Array;

  constructor(load: MovableLoad) {
    this.load = load;
    this.giver = new Int32Array(load.counts.length);
    this.unit = new Int32Array(load.counts.length);
  }

  /** Carries load from nodes that pass `isSource` to nodes that pass `isTarget` while there is a path. */
  drain(isSource: Test, isTarget: Test): void {
    for (;;) {
      const end = this.find(isSource, isTarget);
      if (end === undefined) return;
      this.carry(end);
    }
  }

  /** The target that the fewest moves lead to; `giver` and `unit` tell the way back. */
  private find(isSource: Test, isTarget: Test): number | undefined {
    const { giver, unit } = this;
    const queue = this.start(isSource);
    let found: number | undefined;
    const reachFrom =
      (from: number): Reach =>
      (to, movedUnit) => {
        if (giver[to] !== NOT_MET) return false;
        giver[to] = from;
        unit[to] = movedUnit;
        queue.push(to);
        if (isTarget(to)) found = to;
        return found !== undefined;
      };
    let takers = this.notMet();
    if (!takers.some(isTarget)) return undefined;
    for (let at = 0; at < queue.length && found === undefined; at++) {
      const metBefore = queue.length;
      this.load.offer(queue[at]!, takers, reachFrom(queue[at]!));
      if (queue.length > metBefore) takers = takers.filter((node) => giver[node] === NOT_MET);
    }
    return found;
  }

  private start(isSource: Test): number[] {
    const sources: number[] = [];
    for (let node = 0; node < this.giver.length; node++) {
      this.giver[node] = isSource(node) ? START : NOT_MET;
      if (this.giver[node] === START) sources.push(node);
    }
    return sources;
  }

  private notMet(): number[] {
    const nodes: number[] = [];
    for (let node = 0; node < this.giver.length; node++)
      if (this.giver[node] === NOT_MET) nodes.push(node);
    return nodes;
  }

  /** From the end of the path to its start, so that whoever takes has given before. */
  private carry(end: number): void {
    const { giver, unit, load } = this;
    for (let to = end; giver[to] !== START; to = giver[to]!) load.move(giver[to]!, to, unit[to]!);
  }
}
const START = -1;
const NOT_MET = -2;
