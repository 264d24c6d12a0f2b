/** Sizes, spans of time and acknowledgements in words. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

export function sizeText(bytes: number): string {
  let unit = 0;
  let size = bytes;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit++;
  }
  return `${unit === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)} ${UNITS[unit]}`;
}

const STEPS = [
  ["d", 86_400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
] as const;

/** `5 min`, `2 d`: one number is enough to see what is soon. */
export function spanText(spanMs: number): string {
  const seconds = Math.max(0, Math.round(spanMs / 1000));
  const [unit, each] = STEPS.find(([, step]) => seconds >= step) ?? STEPS.at(-1)!;
  return `${Math.floor(seconds / each)} ${unit}`;
}

export function untilText(expiresAt: string | undefined, nowMs: number): string {
  if (expiresAt === undefined) return "never";
  const leftMs = Date.parse(expiresAt) - nowMs;
  return leftMs <= 0 ? "expired" : `in ${spanText(leftMs)}`;
}

export function sinceText(wallMs: number, nowMs: number): string {
  return nowMs - wallMs < 1000 ? "just now" : `${spanText(nowMs - wallMs)} ago`;
}

/** `n=3, ok=2, primary=2, hinted=1` as "2 of 3 nodes have it, 1 hinted". */
export function acksText(header: string): string {
  const counts = new Map(
    header.split(",").map((pair) => pair.trim().split("=") as [string, string]),
  );
  const ok = counts.get("ok");
  if (ok === undefined) return "done";
  const hinted = counts.get("hinted") ?? "0";
  const hints = hinted === "0" ? "" : `, ${hinted} as a hint`;
  return `${ok} of ${counts.get("n")} nodes have it${hints}`;
}
