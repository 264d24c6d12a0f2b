/**
 * The owners of every partition while a layout is being made, and the changes that keep each set as widely spread as it must be
 * (`shares.ts`): at most one owner per unit, at least one per area.
 *
 * As a load for `balance.ts`: replacing one owner of one partition by another is an edge of the flow partition -> area -> unit -> node, and every
 * edge of that flow is such a replacement, so the bounds of `shareBounds` are always reached.
 */
import { assert } from "../base/assert.ts";
import type { MovableLoad, Reach } from "./balance.ts";
import type { Spread } from "./shares.ts";

export class OwnerSets implements MovableLoad {
  readonly q: number;
  readonly n: number;
  /** As in a layout; the first `sizes[p]` of each partition count. */
  readonly owners: Uint16Array;
  readonly sizes: Uint8Array;
  readonly counts: Int32Array;
  private readonly spread: Spread;
  /** By node, its partitions. */
  private readonly held: number[][];
  /** How many owners of the partition that was looked at last are in each unit and area. */
  private readonly inUnit: Uint8Array;
  private readonly inArea: Uint8Array;
  private extras: number;

  constructor(q: number, n: number, nodeCount: number, spread: Spread) {
    this.q = q;
    this.n = n;
    this.owners = new Uint16Array(q * n);
    this.sizes = new Uint8Array(q);
    this.counts = new Int32Array(nodeCount);
    this.spread = spread;
    this.held = Array.from({ length: nodeCount }, () => []);
    this.inUnit = new Uint8Array(spread.unitCount);
    this.inArea = new Uint8Array(spread.areaCount);
    this.extras = 0;
  }

  add(partition: number, node: number): void {
    const size = this.sizes[partition]!;
    assert(size < this.n, "a partition has at most n owners");
    this.owners[partition * this.n + size] = node;
    this.sizes[partition] = size + 1;
    this.held[node]!.push(partition);
    this.counts[node]!++;
  }

  /** As many of `nodes` as may own a partition together, the first ones where not all may. */
  compatible(nodes: readonly number[]): number[] {
    this.forget();
    return nodes.filter((node) => {
      const isKept = this.fits(node);
      if (isKept) this.note(node);
      return isKept;
    });
  }

  /** The node that may join the owners of `partition` and comes first in `order`, which is negative for what comes first. */
  bestAddition(partition: number, order: (a: number, b: number) => number): number {
    this.look(partition);
    let best = -1;
    for (let node = 0; node < this.counts.length; node++)
      if (this.fits(node) && (best < 0 || order(node, best) < 0)) best = node;
    assert(best >= 0, "a set that is not full can be added to");
    return best;
  }

  offer(from: number, takers: readonly number[], reach: Reach): void {
    for (const partition of this.held[from]!) {
      this.look(partition);
      for (const to of takers) if (this.canReplace(from, to) && reach(to, partition)) return;
    }
  }

  /** The new owner stands where the old one stood. */
  move(from: number, to: number, partition: number): void {
    const at = this.owners.indexOf(from, partition * this.n);
    assert(at >= 0 && at < (partition + 1) * this.n, "only an owner can be replaced");
    this.owners[at] = to;
    const partitions = this.held[from]!;
    partitions.splice(partitions.indexOf(partition), 1);
    this.held[to]!.push(partition);
    this.counts[from]!--;
    this.counts[to]!++;
  }

  private look(partition: number): void {
    this.forget();
    const start = partition * this.n;
    const end = start + this.sizes[partition]!;
    for (let at = start; at < end; at++) this.note(this.owners[at]!);
  }

  private forget(): void {
    this.inUnit.fill(0);
    this.inArea.fill(0);
    this.extras = 0;
  }

  private note(node: number): void {
    const area = this.spread.areaOf[node]!;
    if (this.inArea[area]! > 0) this.extras++;
    this.inArea[area]!++;
    this.inUnit[this.spread.unitOf[node]!]!++;
  }

  /** Whether `node` may come to those noted, so that the rest of the set can still cover every area. */
  private fits(node: number): boolean {
    const { unitOf, areaOf, extrasMax } = this.spread;
    if (this.inUnit[unitOf[node]!]! > 0) return false;
    return this.inArea[areaOf[node]!] === 0 || this.extras < extrasMax;
  }

  /** Whether `to` may stand in for `from` among those noted, a full set. */
  private canReplace(from: number, to: number): boolean {
    if (from === to) return false;
    const { unitOf, areaOf } = this.spread;
    if (unitOf[from] === unitOf[to]) return true;
    if (this.inUnit[unitOf[to]!]! > 0) return false;
    return areaOf[from] === areaOf[to] || this.inArea[areaOf[from]!]! > 1;
  }
}
