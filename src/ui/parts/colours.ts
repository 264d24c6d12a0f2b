/** One colour for each node or zone, the same in all views. Names are sorted, so a colour stays with its node as long as none comes before it. */

/** Middle tones that stand out from a white and from a black ground, neighbours far apart; told apart also where red and green are not. */
const PALETTE = [
  "#7c5cff",
  "#f2994a",
  "#12a594",
  "#e5588f",
  "#3b82f6",
  "#b7950b",
  "#8e6a5b",
  "#5c9e31",
  "#b455d6",
  "#0ea5c6",
  "#d1495b",
  "#6b7a99",
] as const;

export type ColourOf = (name: string) => string;

export function coloursOf(names: Iterable<string>): ColourOf {
  const sorted = [...new Set(names)].sort(byNumber);
  const places = new Map(sorted.map((name, index) => [name, index]));
  return (name) => PALETTE[(places.get(name) ?? 0) % PALETTE.length]!;
}

/** n2 before n10. */
export function byNumber(one: string, other: string): number {
  return one.localeCompare(other, "en", { numeric: true });
}
