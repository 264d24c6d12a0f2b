/** Numbers, sizes and times in few characters. */

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** `1.5 KiB`. */
export function formatBytes(bytes: number): string {
  let value = Math.max(0, bytes);
  let unit = 0;
  while (value >= 999.5 && unit < SIZES.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : shortNumber(value)} ${SIZES[unit]}`;
}

/** Three digits that count: 0.12, 3.4, 56, 789. */
function shortNumber(value: number): string {
  if (value === 0) return "0";
  if (value < 1) return value.toFixed(2);
  return value < 9.95 ? value.toFixed(1) : String(Math.round(value));
}

/** `12,345`; from a million on `1.2 M`. */
export function formatCount(count: number): string {
  if (count >= 1e9) return `${shortNumber(count / 1e9)} G`;
  if (count >= 1e6) return `${shortNumber(count / 1e6)} M`;
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function formatRate(perSecond: number): string {
  return perSecond > 0 && perSecond < 9.95 ? perSecond.toFixed(1) : formatCount(perSecond);
}

/** `0.13 ms`, `12 ms`, `1.2 s`. */
export function formatMs(ms: number): string {
  if (ms >= 999.5) return `${shortNumber(ms / 1000)} s`;
  return `${shortNumber(ms)} ms`;
}

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["min", 60_000],
  ["s", 1000],
] as const;

/** How long ago, in its largest unit: `3 min`. */
export function formatAge(ms: number): string {
  for (const [unit, size] of UNITS) if (ms >= size) return `${Math.floor(ms / size)} ${unit}`;
  return "now";
}

export function formatPercent(fraction: number): string {
  return `${(100 * fraction).toFixed(fraction < 0.0995 ? 1 : 0)} %`;
}

/** `1 node`, `3 nodes`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}

/** `n1, n2 and n3`. */
export function listed(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}
