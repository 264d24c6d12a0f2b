/**
 * Where failures strike together: a dc holds racks, a rack holds hosts, a host holds nodes. A rack's name means something only inside its dc, a
 * host's only inside its rack.
 *
 *   level    0 everything   1 dc   2 rack   3 host   4 node         each level divides the one above it
 *
 * The widest spread of k nodes (R55) has min(k, how many there are) distinct groups at every level; all of these can be had at once, and
 * whoever picks a node from a dc not met yet, else from a new rack, else from a new host, gets them.
 */
import type { LayoutMember } from "./layout.ts";

/** One level: which group each member is in, by member index; groups are numbered as they appear. */
export interface Grouping {
  readonly groupOf: Uint16Array;
  readonly count: number;
}

const KEY_OF_LEVEL: readonly ((member: LayoutMember) => string)[] = [
  () => "",
  ({ zone }) => zone.dc,
  ({ zone }) => `${zone.dc}\0${zone.rack}`,
  ({ zone }) => `${zone.dc}\0${zone.rack}\0${zone.host}`,
  ({ id }) => id,
];
const DC_LEVEL = 1;
const HOST_LEVEL = 3;

/** The groupings of all levels, the coarsest first. */
export function zoneLevels(members: readonly LayoutMember[]): readonly Grouping[] {
  return KEY_OF_LEVEL.map((keyOf) => {
    const groups = new Map<string, number>();
    const groupOf = Uint16Array.from(members, (member) => {
      const key = keyOf(member);
      const group = groups.get(key) ?? groups.size;
      groups.set(key, group);
      return group;
    });
    return { groupOf, count: groups.size };
  });
}

/** What a list of members covers, and what another one would add to it. */
export class ZoneCover {
  private readonly groupings: readonly Grouping[];
  /** By level and group, the round in which it was met. */
  private readonly metIn: readonly Uint32Array[];
  private round: number;

  constructor(levels: readonly Grouping[]) {
    this.groupings = levels.slice(DC_LEVEL, HOST_LEVEL + 1);
    this.metIn = this.groupings.map(({ count }) => new Uint32Array(count));
    this.round = 1;
  }

  clear(): void {
    this.round++;
  }

  add(member: number): void {
    for (const [at, { groupOf }] of this.groupings.entries())
      this.metIn[at]![groupOf[member]!] = this.round;
  }

  /** 3 for a member of a new dc, 2 for a new rack, 1 for a new host, 0 for none of them. */
  gain(member: number): number {
    const { groupings, metIn, round } = this;
    for (let at = 0; at < groupings.length; at++)
      if (metIn[at]![groupings[at]!.groupOf[member]!] !== round) return groupings.length - at;
    return 0;
  }

  /** Index of the first of `members[from, end)` that gains most. */
  widest(members: ArrayLike<number>, from: number, end: number): number {
    let best = from;
    let bestGain = -1;
    for (let at = from; at < end && bestGain < this.groupings.length; at++) {
      const gain = this.gain(members[at]!);
      if (gain <= bestGain) continue;
      best = at;
      bestGain = gain;
    }
    return best;
  }
}
