/**
 * Making lists and numbers smaller while something holds of them: the two halves of shrinking.
 *
 * A list: delta debugging, as in Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002), by complements only. All of it is left
 * out, then halves, quarters ... and single items. From the end: what comes later depends on what came before.
 *
 * `isEnough` is asked about smaller lists only, and the result is either the whole list or one that it said yes to.
 *
 * @param sizeLeast items that go together at least: fewer questions, and more items that are left
 */
export function minimize<T>(
  items: readonly T[],
  isEnough: (kept: readonly T[]) => boolean,
  sizeLeast = 1,
): readonly T[] {
  let kept = items;
  for (let size = items.length; size >= sizeLeast; size >>= 1) {
    for (let end = kept.length; end > 0; end -= size) {
      const rest = kept.toSpliced(Math.max(0, end - size), Math.min(size, end));
      if (isEnough(rest)) kept = rest;
    }
  }
  return kept;
}

/** Up to here numbers are counts, of which one less is something else. */
const COUNTED_ONE_BY_ONE = 16;

/** Below a percent, or a hundredth of a millisecond, there is only nothing. */
const NEXT_TO_NOTHING = 0.01;

/** What to try instead of a number, the smallest first; closer to zero by at least an eighth, or with fewer digits. Empty for what is as simple as can be. */
export function simplerNumbers(value: number, least = 0): readonly number[] {
  if (value < 0) return simplerNumbers(-value, least).map((simpler) => -simpler);
  if (value < NEXT_TO_NOTHING) return [least].filter((own) => own < value);
  const candidates = [
    least,
    ...[1 / 2, 7 / 8].map((share) => floorOf(value * share, value >= 1)),
    ...(value <= COUNTED_ONE_BY_ONE ? [Math.ceil(value) - 1] : []),
    shorter(value, 1),
    shorter(value, 2),
  ];
  const smaller = candidates.filter((own) => own >= least && own < value);
  return [...new Set(smaller)].toSorted((a, b) => a - b);
}

/** Whole numbers stay whole; chances keep two digits. */
function floorOf(value: number, isWhole: boolean): number {
  return isWhole ? Math.floor(value) : shorter(value, 2);
}

/** Its first digits. */
function shorter(value: number, digits: number): number {
  if (value === 0) return 0;
  const unit = 10 ** (Math.floor(Math.log10(value)) + 1 - digits);
  return Number((Math.floor(value / unit) * unit).toPrecision(digits));
}
