/** Files that people keep and give back: snapshots in a data directory, saved buckets, measured loads. */
import fc from "fast-check";
import { utf8 } from "../../src/base/bytes.ts";
import {
  type BenchReport,
  differences,
  parseReport,
  ratiosOf,
} from "../../src/cli/bench-report.ts";
import { parseManifest, restoreQuestion } from "../../src/cli/snapshot.ts";
import { checkedLine } from "../../src/storage/checked-line.ts";
import { readSummary, summaryBytes } from "../../src/storage/snapshot-files.ts";
import { type Decoder, decoder, REFUSED } from "./decoder.ts";
import { diskWith } from "./disks.ts";

const textOf = (input: Uint8Array): string => Buffer.from(input).toString("utf8");

/** What `parse` makes of text; `REFUSED` for what is no JSON, which is said like any other refusal. */
function parsedWith<T>(parse: (text: string) => T, input: Uint8Array): T | typeof REFUSED {
  try {
    return parse(textOf(input));
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return REFUSED;
    throw thrown;
  }
}

const count = fc.integer({ min: 0, max: 2 ** 40 });

const summary = fc
  .record({ createdMs: fc.integer({ min: 1, max: 2 ** 42 }), tables: count, bytes: count })
  .map((known) => ({ name: "daily", ...known }));

const latency = fc.record({
  count,
  p50Ms: fc.nat(9),
  p90Ms: fc.nat(9),
  p99Ms: fc.nat(9),
  p999Ms: fc.nat(9),
  maxMs: fc.nat(9),
});
const report = fc.tuple(latency, latency, count).map(([all, read, rate]): BenchReport => ({
  hutch: "0.1.0",
  at: "2026-11-22T02:00:00Z",
  urls: ["http://127.0.0.1:7001"],
  plan: { workload: "b", keyCount: 1000, seed: "1" } as BenchReport["plan"], // it is only compared
  seconds: 10,
  rate,
  succeeded: rate,
  failed: 0,
  problems: { "503 unavailable": 2 },
  overdue: 0,
  clientCore: 0.5,
  latencies: { all, read },
}));
const [NOW] = fc.sample(report, { seed: 1, numRuns: 1 }) as [BenchReport];

const manifest = fc
  .array(fc.constantFrom("demo", "users", "0.b_c-d"), { maxLength: 3 })
  .map((names) => ({
    at: "2026-11-22T02:00:00Z",
    cluster: "hutch",
    buckets: names.map((name) => ({ name, n: 3, conflicts: "siblings", ttl: 0 })),
  }));

export const FILE_DECODERS: readonly Decoder[] = [
  decoder({
    name: "summary of a snapshot",
    covers: ["storage/snapshot-files.ts readSummary", "storage/checked-line.ts lineIn"],
    valid: summary.map(summaryBytes),
    decode: (input) => {
      const read = readSummary(diskWith({ "snapshots/daily/SNAPSHOT": input }), "daily");
      if (!(read.createdMs >= 0 && read.tables >= 0 && read.bytes >= 0))
        throw new Error(`it cannot be: ${JSON.stringify(read)}`);
      // Counted anew where the file cannot be read.
      return read.createdMs === 0 ? REFUSED : read;
    },
    refusals: [],
    sealed: "whole",
    reseal: (damaged) => checkedLine(textOf(damaged).split("\n")[0]!),
    encode: summaryBytes,
  }),
  decoder({
    name: "report of a load",
    covers: ["cli/bench-report.ts parseReport"],
    valid: report.map((one) => utf8(JSON.stringify(one))),
    decode: (input) => {
      const then = parsedWith(parseReport, input);
      if (then === REFUSED) return REFUSED;
      const ratios = ratiosOf(then, NOW);
      if (!ratios.every((one) => typeof one.then === "number"))
        throw new Error("it is compared with what is no number");
      return [ratios.length, differences(then, NOW)];
    },
    refusals: ["usage"],
  }),
  decoder({
    name: "list of saved buckets",
    covers: ["cli/snapshot.ts parseManifest"],
    valid: manifest.map((one) => utf8(JSON.stringify(one))),
    decode: (input) => {
      const read = parsedWith(parseManifest, input);
      if (read === REFUSED) return REFUSED;
      // They become parts of paths, and of a question in a terminal.
      if (!read.buckets.every(({ name }) => /^[\w.-]+$/.test(name)))
        throw new Error("a path leads away");
      if (/[\x00-\x1f\x7f]/.test(restoreQuestion(read))) throw new Error("the question is obeyed");
      return read;
    },
    refusals: ["usage"],
  }),
];
