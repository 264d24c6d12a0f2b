/**
 * The ring as few shapes: partitions lie clockwise from the top, the copy in the outermost band is the first owner's. A band is drawn as one path per owner, whatever the
 * number of partitions, so the page stays small.
 *
 * More partitions than `SEGMENTS_MAX` are finer than a pixel: neighbours share a segment, and it has the colour of the owner that most of them have.
 */

/** 1.4 pixels each on a ring of 460 pixels. */
export const SEGMENTS_MAX = 1024;

/** What stands for a partition that no one owns in a band. */
export const NOBODY = "";

/** How many partitions share a segment: a power of two, as their number is. */
export function partitionsPerSegment(q: number): number {
  let shared = 1;
  while (q / shared > SEGMENTS_MAX) shared *= 2;
  return shared;
}

/** The owner of each segment of a band; of equals the one that comes first. */
export function segmentsOf(owners: readonly string[]): readonly string[] {
  const shared = partitionsPerSegment(owners.length);
  if (shared === 1) return owners;
  return Array.from({ length: Math.ceil(owners.length / shared) }, (_, segment) =>
    commonest(owners.slice(segment * shared, (segment + 1) * shared)),
  );
}

function commonest(names: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].reduce((best, one) => (one[1] > best[1] ? one : best))[0];
}

export interface Run {
  readonly owner: string;
  /** Segments from `start` up to, not including, `end`. */
  readonly start: number;
  readonly end: number;
}

/** Neighbours with the same owner become one run. The first and the last are not joined across the top. */
export function runsOf(segments: readonly string[]): readonly Run[] {
  const runs: Run[] = [];
  let start = 0;
  for (let end = 1; end <= segments.length; end++) {
    if (end < segments.length && segments[end] === segments[start]) continue;
    runs.push({ owner: segments[start]!, start, end });
    start = end;
  }
  return runs;
}

export interface Band {
  readonly innerRadius: number;
  readonly outerRadius: number;
}

/** For each owner the outline of all its runs in a band, as path data around 0, 0. */
export function bandPaths(segments: readonly string[], band: Band): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const { owner, start, end } of runsOf(segments)) {
    if (owner === NOBODY) continue;
    const outline = arcPath(start / segments.length, end / segments.length, band);
    paths.set(owner, (paths.get(owner) ?? "") + outline);
  }
  return paths;
}

/** A piece of a band between two parts of a turn, 0 at the top, clockwise. An arc cannot end where it begins, so a whole turn is two halves. */
export function arcPath(from: number, to: number, band: Band): string {
  if (to - from > 0.999) return arcPath(from, from + 0.5, band) + arcPath(from + 0.5, to, band);
  const { innerRadius, outerRadius } = band;
  const isLarge = to - from > 0.5 ? 1 : 0;
  return [
    `M${point(from, outerRadius)}`,
    `A${outerRadius} ${outerRadius} 0 ${isLarge} 1 ${point(to, outerRadius)}`,
    `L${point(to, innerRadius)}`,
    `A${innerRadius} ${innerRadius} 0 ${isLarge} 0 ${point(from, innerRadius)}Z`,
  ].join("");
}

function point(turn: number, radius: number): string {
  const angle = 2 * Math.PI * turn;
  return `${round(radius * Math.sin(angle))} ${round(-radius * Math.cos(angle))}`;
}

const round = (value: number): number => Math.round(100 * value) / 100 + 0; // no -0

/** The partition at a place around the centre, y downwards. */
export function partitionAt(x: number, y: number, q: number): number {
  const turn = Math.atan2(x, -y) / (2 * Math.PI);
  return Math.min(q - 1, Math.floor((turn < 0 ? turn + 1 : turn) * q));
}
