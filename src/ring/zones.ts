/**
 * Where failures strike together: a dc holds racks, a rack holds hosts, a host holds nodes. A rack's name means something only inside its dc,
 * a host's only inside its rack.
 */
import type { LayoutMember } from "./layout.ts";

export function dcOf({ zone }: LayoutMember): string {
  return zone.dc;
}

export function rackOf({ zone }: LayoutMember): string {
  return `${zone.dc}\0${zone.rack}`;
}

export function hostOf({ zone }: LayoutMember): string {
  return `${zone.dc}\0${zone.rack}\0${zone.host}`;
}

/** What a list of members covers, and what another one would add to it. */
export class ZoneCover {
  private readonly dcs = new Set<string>();
  private readonly racks = new Set<string>();
  private readonly hosts = new Set<string>();

  add(member: LayoutMember): void {
    this.dcs.add(dcOf(member));
    this.racks.add(rackOf(member));
    this.hosts.add(hostOf(member));
  }

  /** 3 for a new dc, 2 for a new rack, 1 for a new host, 0 for none of them. */
  gain(member: LayoutMember): number {
    if (!this.dcs.has(dcOf(member))) return GAIN_MAX;
    if (!this.racks.has(rackOf(member))) return 2;
    return this.hosts.has(hostOf(member)) ? 0 : 1;
  }

  /** Index of the first of `members[from..]` that gains most. */
  widest(members: readonly LayoutMember[], from: number): number {
    let best = from;
    let bestGain = -1;
    for (let at = from; at < members.length && bestGain < GAIN_MAX; at++) {
      const gain = this.gain(members[at]!);
      if (gain <= bestGain) continue;
      best = at;
      bestGain = gain;
    }
    return best;
  }
}
const GAIN_MAX = 3;
