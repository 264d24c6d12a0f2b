/**
 * In which order the owners of a partition stand. The first mints blind writes (D3), the next stands in for it, and a bucket with a smaller n
 * has only the first ones. So:
 *
 *   - the first j owners are as widely spread as j of these owners can be, for every j
 *   - each node is first, second, ... in its share of the partitions it owns: exactly for the first (rounded down or up), for the others as
 *     nearly as the first rule allows
 *
 * Place by place, the owners that may stand there are evened out with those behind them (`balance.ts`); nothing else changes its place.
 */
import { balance } from "./balance.ts";
import type { MovableLoad, Reach } from "./balance.ts";
import type { ZoneCover } from "./zones.ts";

/** Puts the owners of every partition in order, in place. */
export function orderOwners(
  owners: Uint16Array,
  n: number,
  nodeCount: number,
  cover: ZoneCover,
): void {
  for (let place = 0; place < n - 1; place++) {
    for (let start = 0; start < owners.length; start += n)
      bringWidest(owners, start + place, start, start + n, cover);
    const load = new PlaceLoad(owners, n, place, nodeCount, cover);
    const { low, high } = fairBounds(load.ownedBehind, n - place);
    balance(load, low, high);
  }
}

/** Moves the first of `owners[place, end)` that adds most to the spread of those before to `place`. */
function bringWidest(
  owners: Uint16Array,
  place: number,
  start: number,
  end: number,
  cover: ZoneCover,
): void {
  coverRange(cover, owners, start, place);
  const from = cover.widest(owners, place, end);
  const owner = owners[from]!;
  owners.copyWithin(place + 1, place, from);
  owners[place] = owner;
}

function coverRange(cover: ZoneCover, owners: Uint16Array, start: number, end: number): void {
  cover.clear();
  for (let at = start; at < end; at++) cover.add(owners[at]!);
}

function fairBounds(
  counts: Int32Array,
  placeCount: number,
): { readonly low: Int32Array; readonly high: Int32Array } {
  return {
    low: counts.map((count) => Math.floor(count / placeCount)),
    high: counts.map((count) => Math.ceil(count / placeCount)),
  };
}

/** How often each node stands at one place. */
class PlaceLoad implements MovableLoad {
  readonly counts: Int32Array;
  /** By node, the partitions in which it stands at this place or behind it. */
  readonly ownedBehind: Int32Array;
  private readonly owners: Uint16Array;
  private readonly n: number;
  private readonly place: number;
  private readonly cover: ZoneCover;
  private readonly held: number[][];

  constructor(owners: Uint16Array, n: number, place: number, nodeCount: number, cover: ZoneCover) {
    this.counts = new Int32Array(nodeCount);
    this.ownedBehind = new Int32Array(nodeCount);
    this.owners = owners;
    this.n = n;
    this.place = place;
    this.cover = cover;
    this.held = Array.from({ length: nodeCount }, () => []);
    for (const [at, owner] of owners.entries()) {
      if (at % n >= place) this.ownedBehind[owner]!++;
      if (at % n !== place) continue;
      this.counts[owner]!++;
      this.held[owner]!.push(Math.floor(at / n));
    }
  }

  offer(from: number, _takers: readonly number[], reach: Reach): void {
    const { owners, n, place, cover } = this;
    for (const partition of this.held[from]!) {
      const start = partition * n;
      coverRange(cover, owners, start, start + place);
      const gain = cover.gain(from);
      for (let at = start + place + 1; at < start + n; at++)
        if (cover.gain(owners[at]!) === gain && reach(owners[at]!, partition)) return;
    }
  }

  move(from: number, to: number, partition: number): void {
    const at = partition * this.n + this.place;
    this.owners[this.owners.indexOf(to, at)] = from;
    this.owners[at] = to;
    const partitions = this.held[from]!;
    partitions.splice(partitions.indexOf(partition), 1);
    this.held[to]!.push(partition);
    this.counts[from]!--;
    this.counts[to]!++;
  }
}
