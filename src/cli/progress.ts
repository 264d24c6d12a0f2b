/** A bar with rate and remaining time on a terminal; one line at the end elsewhere. */

import { Presets, SingleBar } from "cli-progress";
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
