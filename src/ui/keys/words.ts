/** Times and acknowledgements in words. */
import { formatAge } from "../parts/format.ts";

export function untilText(expiresAt: string | undefined, nowMs: number): string {
  if (expiresAt === undefined) return "never";
  const leftMs = Date.parse(expiresAt) - nowMs;
  return leftMs <= 0 ? "expired" : `in ${formatAge(leftMs)}`;
}

export function sinceText(wallMs: number, nowMs: number): string {
  return nowMs - wallMs < 1000 ? "just now" : `${formatAge(nowMs - wallMs)} ago`;
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
