/** The word somebody probably meant: least edit distance, if it is small for the word's length. */

/** Longest name that is compared; a longer one gets no suggestion. */
const NAME_LENGTH_MAX = 64;

/** The candidate closest to `word`, at most a third of its letters away; `undefined` where none is. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > NAME_LENGTH_MAX) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(
      word.toLowerCase().replaceAll("_", "-"),
      candidate.toLowerCase().replaceAll("_", "-"),
    );
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Levenshtein's distance, one row at a time. */
export function editDistance(source: string, target: string): number {
  let row = Array.from({ length: target.length + 1 }, (_, index) => index);
  for (let i = 1; i <= source.length; i++) {
    const next = [i];
    for (let j = 1; j <= target.length; j++) {
      const substitution = row[j - 1]! + (source[i - 1] === target[j - 1] ? 0 : 1);
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, substitution));
    }
    row = next;
  }
  return row[target.length]!;
}
