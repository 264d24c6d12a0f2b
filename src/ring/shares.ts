/**
 * How much of the ring each member should own: in proportion to its weight as far as the widest spread allows.
 *
 * With k owners per partition, let *units* be the groups of the coarsest level that has at least k groups, and *areas* those of the level above,
 * fewer than k. The widest spread is then exactly: k distinct units, and no area without one. In copies of the whole ring:
 *
 *   a unit owns at most 1, an area at least 1, all together k, otherwise in proportion to weight      (water-filling)
 *
 * The solution comes as *runs*, each a whole number of turns round the ring:
 *
 *   an area too light for its turn owns exactly one      a unit too heavy for its turn owns exactly one      all others share the rest
 *
 * Laying the members of a run end to end along the circle (McNaughton 1959) meets every demand at once: a unit is never longer than a turn, so
 * it never meets itself; an area is never shorter, so it is everywhere. So bounds of share rounded down and up can always be met. Everything is
 * integers: a share is q x numerator x weight / denominator, far below 2^53.
 */
import type { LayoutMember } from "./layout.ts";
import { zoneLevels } from "./zones.ts";

/** Members whose shares of the ring are `numerator` x weight / `denominator`; they sum up to whole turns. */
export interface Run {
  readonly members: readonly number[];
  readonly numerator: number;
  readonly denominator: number;
}

/** What a set of owners must look like; all by member index. */
export interface Spread {
  readonly unitOf: Uint16Array;
  readonly areaOf: Uint16Array;
  readonly unitCount: number;
  readonly areaCount: number;
  /** How many owners may be in an area that has one already. */
  readonly extrasMax: number;
}

/** @param replicaCount at most as many as there are members */
export function widestSpread(members: readonly LayoutMember[], replicaCount: number): Spread {
  const levels = zoneLevels(members);
  const at = levels.findIndex(({ count }) => count >= replicaCount);
  const units = levels[at]!;
  const areas = at === 0 ? units : levels[at - 1]!;
  return {
    unitOf: units.groupOf,
    areaOf: areas.groupOf,
    unitCount: units.count,
    areaCount: areas.count,
    extrasMax: replicaCount - areas.count,
  };
}

/** A unit: its members, its weight, its area. */
interface Unit {
  readonly members: number[];
  readonly area: number;
  weight: number;
}

/** The runs of `members`: each member is in one. */
export function shareOut(members: readonly LayoutMember[], spread: Spread): Run[] {
  const units = unitsOf(members, spread);
  const areas = Array.from({ length: spread.areaCount }, (_, area) =>
    units.filter((unit) => unit.area === area),
  );
  const replicaCount = spread.extrasMax + spread.areaCount;
  const light = new Set<number>();
  for (;;) {
    const free = units.filter(({ area }) => !light.has(area));
    const filled = fill(free, replicaCount - light.size);
    const wanting = areas.flatMap((own, area) =>
      !light.has(area) && isWanting(own, filled) ? [area] : [],
    );
    if (wanting.length === 0)
      return runsOf(
        [...light].map((area) => areas[area]!),
        filled,
      );
    for (const area of wanting) light.add(area);
  }
}

function unitsOf(members: readonly LayoutMember[], { unitOf, areaOf, unitCount }: Spread): Unit[] {
  const units: (Unit | undefined)[] = new Array<undefined>(unitCount).fill(undefined);
  for (const [index, { weight }] of members.entries()) {
    const unit = (units[unitOf[index]!] ??= { members: [], area: areaOf[index]!, weight: 0 });
    unit.members.push(index);
    unit.weight += weight;
  }
  return units.map((unit) => unit!); // every group has a member
}

interface Filled {
  /** Units that own a whole turn. */
  readonly full: ReadonlySet<Unit>;
  readonly rest: readonly Unit[];
  /** A unit of `rest` owns turns / weight of its own weight: less than one turn. */
  readonly turns: number;
  readonly weight: number;
}

/** `turns` turns over `units`, none of which gets more than one. */
function fill(units: readonly Unit[], turns: number): Filled {
  const heaviestFirst = [...units].sort((a, b) => b.weight - a.weight);
  const full = new Set<Unit>();
  let turnsLeft = turns;
  let weightLeft = weightOf(units);
  for (const unit of heaviestFirst) {
    if (turnsLeft * unit.weight < weightLeft) break;
    full.add(unit);
    turnsLeft--;
    weightLeft -= unit.weight;
  }
  return {
    full,
    rest: units.filter((unit) => !full.has(unit)),
    turns: turnsLeft,
    weight: weightLeft,
  };
}

/** Whether an area with these units would own less than a turn. */
function isWanting(units: readonly Unit[], { full, turns, weight }: Filled): boolean {
  return !units.some((unit) => full.has(unit)) && turns * weightOf(units) < weight;
}

function weightOf(units: readonly Unit[]): number {
  return units.reduce((sum, { weight }) => sum + weight, 0);
}

function runsOf(lightAreas: readonly (readonly Unit[])[], filled: Filled): Run[] {
  const runs = lightAreas.map((units) => run(units, 1, weightOf(units)));
  for (const unit of filled.full) runs.push(run([unit], 1, unit.weight));
  if (filled.rest.length === 0) return runs;
  const byArea = [...filled.rest].sort((a, b) => a.area - b.area);
  return [...runs, run(byArea, filled.turns, filled.weight)];
}

function run(units: readonly Unit[], numerator: number, denominator: number): Run {
  return { members: units.flatMap((unit) => unit.members), numerator, denominator };
}

/** The least and the most partitions each member may own: its share of `q`, rounded down and up. */
export function shareBounds(
  members: readonly LayoutMember[],
  runs: readonly Run[],
  q: number,
): { readonly low: Int32Array; readonly high: Int32Array } {
  const low = new Int32Array(members.length);
  const high = new Int32Array(members.length);
  for (const { members: indexes, numerator, denominator } of runs)
    for (const index of indexes) {
      const share = (q * numerator * members[index]!.weight) / denominator;
      low[index] = Math.floor(share);
      high[index] = Math.ceil(share);
    }
  return { low, high };
}
