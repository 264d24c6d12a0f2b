/**
 * Which lines two texts share (longest common subsequence), for siblings side by side, and both in one text.
 *
 * The table has a cell per pair of lines, so what is alike at both ends is taken off first, and above `CELLS_MAX` the middle
 * counts as different as a whole.
 */

export type Side = "both" | "left" | "right";

export interface DiffLine {
  readonly side: Side;
  readonly text: string;
}

/** 16 MiB of numbers for a moment. */
const CELLS_MAX = 4_000_000;

export function lineDiff(left: string, right: string): readonly DiffLine[] {
  const a = left.split("\n");
  const b = right.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (
    end < a.length - start &&
    end < b.length - start &&
    a[a.length - 1 - end] === b[b.length - 1 - end]
  )
    end++;
  return [
    ...linesOf("both", a.slice(0, start)),
    ...middleDiff(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...linesOf("both", a.slice(a.length - end)),
  ];
}

const linesOf = (side: Side, texts: readonly string[]): DiffLine[] =>
  texts.map((text) => ({ side, text }));

function middleDiff(a: readonly string[], b: readonly string[]): DiffLine[] {
  const width = b.length + 1;
  if ((a.length + 1) * width > CELLS_MAX) return [...linesOf("left", a), ...linesOf("right", b)];
  const common = commonLengths(a, b);
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ side: "both", text: a[i]! });
      i++;
      j++;
    } else if (
      j === b.length ||
      (i < a.length && common[(i + 1) * width + j]! >= common[i * width + j + 1]!)
    ) {
      lines.push({ side: "left", text: a[i++]! });
    } else {
      lines.push({ side: "right", text: b[j++]! });
    }
  }
  return lines;
}

/** `[i * (b.length + 1) + j]` is the number of lines that `a` from `i` and `b` from `j` have in common, in order. */
function commonLengths(a: readonly string[], b: readonly string[]): Uint32Array {
  const width = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      lengths[i * width + j] =
        a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1]! + 1
          : Math.max(lengths[(i + 1) * width + j]!, lengths[i * width + j + 1]!);
  return lengths;
}

/** Every line of every text, what they share once: where somebody starts who wants to keep all. */
export function unionOf(texts: readonly string[]): string {
  return texts.reduce((all, text) =>
    lineDiff(all, text)
      .map((line) => line.text)
      .join("\n"),
  );
}
