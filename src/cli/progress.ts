/** A bar with rate and remaining time on a terminal; one line at the end elsewhere. */

import { Presets, SingleBar } from "cli-progress";
import { cutTo, sizeText } from "./table.ts";
import { note } from "./terminal.ts";

export interface Progress {
  /** `done` of the unit that the total is in; `records` is what people count. */
  update(done: number, records: number): void;
  stop(summary: string): void;
}

/** `total` 0 where nobody knows. `unit` names the records: `keys`, `lines`. */
export function startProgress(total: number, unit: string): Progress {
  const startedAtMs = performance.now();
  const rateOf = (records: number) =>
    Math.round((records * 1000) / Math.max(1, performance.now() - startedAtMs));
  if (process.stderr.isTTY !== true || total === 0)
    return { update: () => undefined, stop: (summary) => note(summary) };
  const bar = new SingleBar(
    {
      format: `{bar} {percentage}% | {records} ${unit} | {rate}/s | {eta_formatted} left`,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 50,
      formatTime: spanText,
    },
    Presets.shades_classic,
  );
  bar.start(total, 0, { records: 0, rate: 0 });
  return {
    update: (done, records) =>
      bar.update(done, {
        records: records.toLocaleString("en"),
        rate: rateOf(records).toLocaleString("en"),
      }),
    stop: (summary) => {
      bar.stop();
      note(summary);
    },
  };
}

/** `90 s`, `2 min`; a question mark where nobody can say. */
export function spanText(seconds: number): string {
  if (!Number.isFinite(seconds)) return "?";
  const whole = Math.round(seconds);
  if (whole < 120) return `${whole} s`;
  return whole < 7200 ? `${Math.round(whole / 60)} min` : `${Math.round(whole / 3600)} h`;
}

export interface JobProgress {
  /** @param share 0..1; `bytes` in all, where the work moves some */
  update(share: number, detail: string, bytes?: number): void;
  /** @param summary "" says nothing */
  stop(summary: string): void;
}

/** The bar counts in parts of the whole, as a share has no unit. */
const PARTS = 1000;
const DETAIL_PLACES = 60;

/** For work that a node does and reports. */
export function startJobProgress(): JobProgress {
  const tell = (summary: string): void => (summary === "" ? undefined : note(summary));
  if (process.stderr.isTTY !== true) return { update: () => undefined, stop: tell };
  const startedAtMs = performance.now();
  let first: { readonly share: number; readonly bytes: number } | undefined;
  const bar = new SingleBar(
    {
      format: `{bar} {percentage}% | {detail} | {rate} | {eta_formatted} left`,
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      etaBuffer: 50,
      formatTime: spanText,
    },
    Presets.shades_classic,
  );
  bar.start(PARTS, 0, { detail: "", rate: "" });
  return {
    update: (share, detail, bytes = 0) => {
      first ??= { share, bytes };
      const seconds = Math.max(1, performance.now() - startedAtMs) / 1000;
      const rate = rateText((share - first.share) / seconds, (bytes - first.bytes) / seconds);
      bar.update(Math.round(share * PARTS), { detail: cutTo(detail, DETAIL_PLACES), rate });
    },
    stop: (summary) => {
      bar.stop();
      tell(summary);
    },
  };
}

/** Bytes where some move, else shares of the whole. */
export function rateText(sharePerSecond: number, bytesPerSecond: number): string {
  if (bytesPerSecond > 0) return `${sizeText(Math.round(bytesPerSecond))}/s`;
  return `${(sharePerSecond * 60 * 100).toFixed(1)} %/min`;
}
