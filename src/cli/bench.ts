/**
 * `hutch bench`: loads the keys, puts the load on, shows it live on standard error, and the tables at its end on standard output.
 *
 * The load itself is made by processes of their own (`bench-child.ts`). Ctrl-C ends the measuring early; what was measured until then is shown.
 */

import { writeFileSync } from "node:fs";
import { HutchError, messageOf } from "../base/errors.ts";
import { formatDurationMs } from "../config/knob-kinds.ts";
import type { Target } from "../load/lane.ts";
import { BenchCrew } from "./bench-crew.ts";
import { BenchTotals } from "./bench-figures.ts";
import { compareLines, histogramLines, liveLine, reportLines } from "./bench-lines.ts";
import type { BenchPlan, BenchShare } from "./bench-plan.ts";
import { benchPlan } from "./bench-plan.ts";
import { benchReport, readReport } from "./bench-report.ts";
import { connect, urlsFrom } from "./connect.ts";
import { authoritiesFrom, tokenFrom } from "./credentials.ts";
import { EXIT } from "./exit-codes.ts";
import { startProgress } from "./progress.ts";
import { Redrawn, terminalWidth } from "./screen.ts";
import { note, print, styled } from "./terminal.ts";

const ANSWER_TIMEOUT_MS = 5000;
const DRAW_MS = 500;
/** Where nobody watches a terminal, a line now and then is enough. */
const LINE_MS = 5000;

type Options = Readonly<Record<string, unknown>>;

export async function bench(options: Options): Promise<void> {
  const plan = benchPlan(options);
  const urls = urlsFrom(options);
  const then =
    options["compare"] === undefined ? undefined : readReport(String(options["compare"]));
  await checkNodes(urls, plan, options);
  const { totals, wasStopped } = await measure(plan, sharesOf(plan, urls, options), options);
  const report = benchReport(plan, urls, totals, new Date().toISOString());
  const json = `${JSON.stringify(report, null, 2)}\n`;
  if (typeof options["json"] === "string") writeJson(options["json"], json);
  if (options["json"] === true) process.stdout.write(json);
  else {
    const width = terminalWidth();
    for (const line of [...histogramLines(totals.latency()), "", ...reportLines(report, width)])
      print(line);
    if (then !== undefined) for (const line of compareLines(then, report, width)) print(line);
  }
  if (wasStopped) note("stopped early; the figures are of what was measured until then");
  if (report.succeeded === 0) process.exitCode = EXIT.unavailable;
}

/** Each node answers, and takes the bucket and the level: said before anything is measured. */
async function checkNodes(
  urls: readonly string[],
  plan: BenchPlan,
  options: Options,
): Promise<void> {
  for (const url of urls) {
    const client = connect({ ...options, url }, ANSWER_TIMEOUT_MS);
    await client.get(plan.bucket, "user00000000", plan.consistency);
  }
}

function sharesOf(plan: BenchPlan, urls: readonly string[], options: Options): BenchShare[] {
  const ca = authoritiesFrom(options);
  const targets = urls.map((url) => targetOf(url, ca));
  const token = tokenFrom(options);
  const headers = [
    ...(plan.consistency === "" ? [] : [`X-Consistency: ${plan.consistency}`]),
    ...(token !== "" ? [`Authorization: Bearer ${token}`] : []),
  ];
  return Array.from({ length: plan.processes }, (_, index) => ({ plan, targets, headers, index }));
}

function targetOf(text: string, ca: string): Target {
  const { protocol, hostname, port } = new URL(text);
  const isTls = protocol === "https:";
  const target = {
    hostname: hostname.replace(/^\[|\]$/g, ""),
    port: port === "" ? (isTls ? 443 : 80) : Number(port),
  };
  return isTls ? { ...target, tls: ca === "" ? {} : { ca } } : target;
}

interface Measured {
  readonly totals: BenchTotals;
  readonly wasStopped: boolean;
}

async function measure(
  plan: BenchPlan,
  shares: readonly BenchShare[],
  options: Options,
): Promise<Measured> {
  let totals = new BenchTotals();
  let stretch = new BenchTotals();
  let wasStopped = false;
  const crew = new BenchCrew(shares, (index, figures) => {
    totals.add(index, figures);
    stretch.add(index, figures);
  });
  const stop = (): void => {
    if (wasStopped) process.exit(EXIT.ok);
    wasStopped = true;
    crew.stop();
  };
  process.on("SIGINT", stop).on("SIGTERM", stop);
  try {
    await crew.start();
    if (options["load"] !== false) await fill(crew, plan, () => totals);
    totals = new BenchTotals();
    stretch = new BenchTotals();
    if (wasStopped) return { totals, wasStopped };
    note(headline(plan, shares[0]!.targets.length));
    const take = (): Latest => {
      const taken = stretch;
      stretch = new BenchTotals();
      return { totals, stretch: taken };
    };
    totals.overdue = await watched(crew, plan, take);
    return { totals, wasStopped };
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
    crew.close();
  }
}

/** Puts the load on and shows it live; how many operations it owed at its end. */
async function watched(crew: BenchCrew, plan: BenchPlan, take: () => Latest): Promise<number> {
  const live = startLive(plan, take);
  try {
    return (await crew.run("run")).overdue;
  } finally {
    live.stop();
  }
}

function headline(plan: BenchPlan, nodes: number): string {
  const { workload, shares, distribution, connections, rate, valueBytes, keyCount } = plan;
  const mix = Object.entries(shares)
    .map(([kind, share]) => `${Math.round(share * 1000) / 10} % ${kind}`)
    .join(", ");
  const how = rate === undefined ? "as fast as it goes" : `${rate.toLocaleString("en")} a second`;
  return `${styled("bold", `workload ${workload}`, process.stderr)}: ${mix}; ${distribution} over ${keyCount.toLocaleString("en")} keys of ${valueBytes} bytes; ${connections} connections to ${nodes === 1 ? "1 node" : `${nodes} nodes`}, ${how}, for ${formatDurationMs(plan.durationMs)}`;
}

async function fill(crew: BenchCrew, plan: BenchPlan, totalsNow: () => BenchTotals): Promise<void> {
  const progress = startProgress(plan.keyCount, "keys");
  const tick = setInterval(() => {
    const done = totalsNow().succeeded;
    progress.update(done, done);
  }, DRAW_MS);
  try {
    await crew.run("load");
  } finally {
    clearInterval(tick);
    const { succeeded, failed, problems } = totalsNow();
    const errors = [...problems].map(([name, count]) => `, ${count} x ${name}`).join("");
    progress.stop(`loaded ${succeeded.toLocaleString("en")} keys${failed === 0 ? "" : errors}`);
  }
}

interface Latest {
  readonly totals: BenchTotals;
  readonly stretch: BenchTotals;
}

/** On a terminal a picture in place, elsewhere a line now and then. */
function startLive({ durationMs }: BenchPlan, take: () => Latest): { stop(): void } {
  const isTerminal = process.stderr.isTTY === true;
  const picture = isTerminal ? new Redrawn(process.stderr) : undefined;
  const draw = (): void => {
    const { totals, stretch } = take();
    if (stretch.succeeded + stretch.failed === 0) return;
    const line = liveLine(stretch.rate, stretch.latency(), totals.failed);
    const time = `${totals.seconds.toFixed(1).padStart(5)} of ${formatDurationMs(durationMs)}`;
    if (picture === undefined) note(`${time} ${line}`);
    else picture.draw([`${time} ${line}`, "", ...histogramLines(totals.latency())]);
  };
  const tick = setInterval(draw, isTerminal ? DRAW_MS : LINE_MS);
  return {
    stop(): void {
      clearInterval(tick);
      picture?.clear();
    },
  };
}

function writeJson(file: string, json: string): void {
  try {
    writeFileSync(file, json);
  } catch (error) {
    throw new HutchError("usage", `Cannot write --json "${file}": ${messageOf(error)}`);
  }
}
