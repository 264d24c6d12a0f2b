/**
 * A process that puts its share of the load of `hutch bench` on the cluster: whoever draws the picture must not make the load late. It does what it is
 * told over its channel (its share, then phases) and tells what it counts twice a second. It ends when the process that started it does.
 */

import { messageOf } from "../base/errors.ts";
import { Prng } from "../base/prng.ts";
import { type KeyChoice, latest, scrambledZipfian, uniform } from "../load/key-choice.ts";
import { Load, type LoadOptions } from "../load/load-generator.ts";
import { hutchProtocol } from "../load/protocol.ts";
import { Tally } from "../load/tally.ts";
import { KeySpace, type Workload, eachKeyOnce, mixed } from "../load/workload.ts";
import type { BenchNews, BenchPhase } from "./bench-figures.ts";
import { figuresOf } from "./bench-figures.ts";
import type { BenchShare } from "./bench-plan.ts";
import { EXIT } from "./exit-codes.ts";

export const STRETCH_MS = 500;

export type BenchOrder =
  | { readonly type: "phase"; readonly phase: BenchPhase; readonly share: BenchShare }
  | { readonly type: "stop" };

export function serveBench(): void {
  const tell = (news: BenchNews): void => void process.send?.(news);
  const stop = Promise.withResolvers<void>();
  process.on("disconnect", () => process.exit(EXIT.ok));
  process.on("message", (order: BenchOrder) => {
    if (order.type === "stop") return stop.resolve();
    runPhase(order.phase, order.share, tell, stop.promise).catch((error) =>
      tell({ type: "failed", detail: messageOf(error) }),
    );
  });
  tell({ type: "ready" });
}

async function runPhase(
  phase: BenchPhase,
  share: BenchShare,
  tell: (news: BenchNews) => void,
  stopped: Promise<void>,
): Promise<void> {
  const load = new Load(loadOptions(phase, share));
  const { plan } = share;
  let isStopped = false;
  void stopped.then(() => (isStopped = true));
  await load.start();
  try {
    const ends =
      phase === "load" ? load.finished().then(() => (isStopped = true)) : Promise.resolve();
    if (phase === "run") await Promise.race([Bun.sleep(plan.warmupMs), stopped]);
    load.tally = new Tally();
    const untilMs = performance.now() + (phase === "load" ? Infinity : plan.durationMs);
    while (!isStopped && performance.now() < untilMs) {
      const pauseMs = Math.min(STRETCH_MS, untilMs - performance.now());
      const halt = phase === "load" ? Promise.race([stopped, ends]) : stopped;
      await Promise.race([Bun.sleep(pauseMs), halt]);
      tell({ type: "figures", figures: figuresOf(turnOver(load)) });
    }
    const overdue = load.overdue(performance.now());
    await load.stop();
    const late = load.tally.end();
    // Answers after the end have no time to be counted in; what went wrong with them is told.
    if (late.failed > 0)
      tell({ type: "figures", figures: { ...figuresOf(withoutAnswers(late)), ms: 0, cores: 0 } });
    tell({ type: "over", overdue });
  } finally {
    await load.stop();
  }
}

function turnOver(load: Load): Tally {
  const tally = load.tally.end();
  load.tally = new Tally();
  return tally;
}

function withoutAnswers({ problems }: Tally): Tally {
  const tally = new Tally().end();
  for (const [name, count] of problems) tally.problem(name, count);
  return tally;
}

function loadOptions(
  phase: BenchPhase,
  { plan, targets, headers, index }: BenchShare,
): LoadOptions {
  const { processes, connections, rate } = plan;
  const own = Math.floor(connections / processes) + (index < connections % processes ? 1 : 0);
  return {
    targets: targets.map((_, at) => targets[(at + index) % targets.length]!),
    protocol: hutchProtocol(plan.bucket, plan.valueBytes, headers),
    connections: own,
    workload: phase === "load" ? ownKeysOnce(plan, index) : benchWorkload(plan, index),
    ...(phase === "run" && rate !== undefined ? { ratePerSecond: rate / processes } : {}),
  };
}

function ownKeysOnce({ keyCount, processes }: BenchShare["plan"], index: number): Workload {
  const edge = (at: number): number => Math.floor((keyCount * at) / processes);
  return eachKeyOnce("write", edge(index + 1), edge(index));
}

/** Keys that processes insert are dealt out in turn, so that no two insert the same; each knows its own only. */
export function benchWorkload(plan: BenchShare["plan"], index: number): Workload {
  const { keyCount, processes, distribution, shares, seed } = plan;
  const prng = new Prng(`hutch bench/${seed}/${index}`);
  const keys = new KeySpace(keyCount);
  const inner = mixed(prng, shares, chooser(distribution, prng, keys), keys);
  return {
    next(operation) {
      if (!inner.next(operation)) return false;
      const { key } = operation;
      if (key >= keyCount) operation.key = keyCount + (key - keyCount) * processes + index;
      return true;
    },
    inserted: (key) => inner.inserted(keyCount + (key - keyCount - index) / processes),
  };
}

function chooser(
  distribution: BenchShare["plan"]["distribution"],
  prng: Prng,
  keys: KeySpace,
): KeyChoice {
  switch (distribution) {
    case "uniform":
      return uniform(prng.fork("keys"), keys.count);
    case "zipfian":
      return scrambledZipfian(prng.fork("keys"), keys.count);
    case "latest":
      return latest(prng.fork("keys"), () => keys.count);
  }
}
