/**
 * Who is asked for a partition, and who stands in: every member of the layout once (R55).
 *
 *   1. the owners of p, in order
 *   2. the owners of p+1, p+2, ... round the ring that are not in the list yet
 *   3. members that own nothing, by id
 *
 * Up to the greatest N that a bucket can have, the walk of 2 and 3 takes those first whose dc is new to the list, then those whose rack is,
 * then those whose host is, and keeps ring order among equals: whoever stands in for an owner seldom shares its fate, and a bucket with more
 * replicas than the layout has owners is spread as widely as can be. From there on it is plain ring order.
 *
 * This is on the way of every request, so lists are kept: after the first time one costs two loads. They are forgotten with their layout, or
 * when one layout has more than `LIST_ENTRIES_MAX` of them.
 */
import { assert } from "../base/assert.ts";
import { REPLICAS_MAX } from "./layout.ts";
import type { Layout } from "./layout.ts";
import { ZoneCover, zoneLevels } from "./zones.ts";

/** 256 partitions of 1,024 members, four times over: 8 MiB. */
const LIST_ENTRIES_MAX = 1 << 20;

/** Every node of `layout`: the owners of `partition` first, then fallbacks in ring order. */
export function preferenceList(layout: Layout, partition: number): readonly string[] {
  if (layout !== lastLayout) useLists(layout);
  return lastLists!.lists[partition] ?? lastLists!.make(partition);
}

const listsOfLayouts = new WeakMap<Layout, PreferenceLists>();
let lastLayout: Layout | undefined;
let lastLists: PreferenceLists | undefined;

function useLists(layout: Layout): void {
  lastLayout = layout;
  lastLists = listsOfLayouts.get(layout);
  if (lastLists !== undefined) return;
  lastLists = new PreferenceLists(layout);
  listsOfLayouts.set(layout, lastLists);
}

class PreferenceLists {
  readonly layout: Layout;
  readonly lists: (readonly string[] | undefined)[];
  private entryCount: number;
  private readonly isSeen: Uint8Array;
  private readonly owningCount: number;
  private readonly cover: ZoneCover;

  constructor(layout: Layout) {
    this.layout = layout;
    this.lists = new Array<undefined>(layout.q).fill(undefined);
    this.entryCount = 0;
    this.isSeen = new Uint8Array(layout.members.length);
    this.owningCount = new Set(layout.owners).size;
    this.cover = new ZoneCover(zoneLevels(layout.members));
  }

  make(partition: number): readonly string[] {
    const { layout } = this;
    assert(partition >= 0 && partition < layout.q, "a partition is below q");
    this.entryCount += layout.members.length;
    if (this.entryCount > LIST_ENTRIES_MAX) {
      this.lists.fill(undefined);
      this.entryCount = layout.members.length;
    }
    const order = this.ringOrder(partition);
    this.spreadFallbacks(order);
    const list = order.map((index) => layout.members[index]!.id);
    this.lists[partition] = list;
    return list;
  }

  /** Member indexes as the walk meets them; it ends where all that own anything are met. */
  private ringOrder(partition: number): number[] {
    const { n, members, owners } = this.layout;
    const { isSeen, owningCount } = this;
    isSeen.fill(0);
    const order: number[] = [];
    for (let at = partition * n; order.length < owningCount; at++) {
      const owner = owners[at % owners.length]!;
      if (isSeen[owner] === 1) continue;
      isSeen[owner] = 1;
      order.push(owner);
    }
    for (let index = 0; index < members.length; index++) if (isSeen[index] === 0) order.push(index);
    return order;
  }

  /** Brings forward, behind the owners and up to `REPLICAS_MAX`, whoever adds most to the spread. */
  private spreadFallbacks(order: number[]): void {
    const { cover, layout } = this;
    cover.clear();
    const count = Math.min(order.length, REPLICAS_MAX);
    for (let at = 0; at < count; at++) {
      if (at >= layout.n) moveTo(order, cover.widest(order, at, order.length), at);
      cover.add(order[at]!);
    }
  }
}

function moveTo(list: number[], from: number, to: number): void {
  if (from !== to) list.splice(to, 0, ...list.splice(from, 1));
}
