/** All that is asked of one run when it is over: every invariant of FAULTS.md 2.6 that a history and the disks can tell. */
import { wallMsOfHlc } from "../causality/hlc.ts";
import { type Holdings, checkAcknowledged } from "../checkers/acknowledged.ts";
import { Amnesty } from "../checkers/amnesty.ts";
import {
  checkAnswered,
  checkDamage,
  checkNoHints,
  checkOneRing,
  type Waited,
} from "../checkers/calm.ts";
import { checkCausality } from "../checkers/causality.ts";
import { type DotBook, checkClocks, checkDots, nameDots } from "../checkers/dots.ts";
import type { History, Operation, Violation } from "../checkers/history.ts";
import { checkMintedOnce } from "../checkers/minted-once.ts";
import { checkQuorumReads, checkSessions } from "../checkers/order.ts";
import { checkSessionWrites } from "../checkers/session-writes.ts";
import { checkVersions } from "../checkers/versions.ts";
import { WALL_START_MS } from "../sim/clock.ts";
import type { Changes } from "./changes.ts";
import type { SimCluster } from "./cluster.ts";
import type { Plan } from "./plan.ts";
import { ringsOf } from "./run-parts.ts";
import type { Troubles } from "./troubles.ts";

export interface Evidence {
  readonly plan: Plan;
  readonly cluster: SimCluster;
  readonly history: History;
  readonly book: DotBook;
  readonly changes: Changes;
  readonly troubles: Troubles;
  readonly waits: readonly Waited[];
  /** What the disks held, whenever a node had come back. */
  readonly looks: readonly Holdings[];
  /** A read of every key at ALL, after everything has healed. */
  readonly finals: readonly Operation[];
}

export function judge(evidence: Evidence): { violations: Violation[]; burnt: number } {
  const { cluster, history, book, changes, troubles, waits, looks, finals } = evidence;
  nameDots(history, book);
  const amnesty = new Amnesty(history, {
    gcDelayMs: cluster.config.gcDelayMs,
    clockErrorMs: cluster.config.driftMaxMs,
    timeOfCounter: (counter) => wallMsOfHlc(counter) - WALL_START_MS,
    losses: changes.losses,
  });
  const burnt = amnesty.forgive(history);
  const violations = [
    ...checkVersions(history, finals, amnesty),
    ...checkAcknowledged(history, {
      looks,
      amnesty,
      lossesMs: changes.losses.map(({ atMs }) => atMs),
      departures: changes.departures,
    }),
    ...checkMintedOnce(history, book),
    ...checkDots(history, book),
    ...checkClocks(history),
    ...checkSessions(history, amnesty),
    ...checkSessionWrites(history, finals, amnesty),
    ...checkQuorumReads(history, amnesty),
    ...checkCausality(history, amnesty),
    ...checkAnswered(waits),
    ...checkDamage(history, (fromMs, untilMs) => troubles.wasTrouble(fromMs, untilMs)),
    ...checkOneRing(ringsOf(cluster)),
    ...checkNoHints(cluster.hintsAt(cluster.present[0]!)),
    ...checkWhole(cluster, changes),
    ...checkGone(cluster),
    ...checkAvailable(evidence),
  ];
  return { violations, burnt };
}

/** A disk that nobody has damaged is whole after every death: no start finds a table missing or a log with holes (S9). */
function checkWhole(cluster: SimCluster, { damaged }: Changes): Violation[] {
  return [...cluster.foundDamaged]
    .filter((i) => !damaged.has(i))
    .map((i) => ({
      invariant: "S9",
      message: `${cluster.names[i]} found damage that nobody did`,
      key: "",
    }));
}

/** Who is of the cluster no more does not run (row 106). */
function checkGone(cluster: SimCluster): Violation[] {
  return [...cluster.gone]
    .filter((i) => cluster.isUp(i))
    .map((i) => ({ invariant: "R51", message: `${cluster.names[i]} is gone and runs`, key: "" }));
}

/** One old owner that has let go before the coordinator has is enough for a 504 of such a write (docs/limitations.md; seed 63987488). */
const wantsEverybody = (level: string): boolean => level === "ALL" || level.includes("w=3");

/** Where nothing goes wrong nobody is refused; a change of the ring alone costs nobody a request, unless disks go with it. */
function checkAvailable({ plan, history, changes }: Evidence): Violation[] {
  if (plan.faults.length > 0 || changes.losses.length > 0) return [];
  const refused = changes.refused.map((message) => ({
    invariant: "availability",
    message,
    key: "",
  }));
  const failed = history.operations.filter(
    ({ attempts, client, level, kind }) =>
      client !== "judge" &&
      !(plan.changes.length > 0 && kind !== "get" && wantsEverybody(level)) &&
      attempts.some(({ status }) => status === 0 || status >= 500),
  );
  const told = failed.map(({ id, client, kind, level, attempts, bucket, key }) => ({
    invariant: "availability",
    message: `#${id} ${client} ${kind} ${level}: ${attempts.map(({ node, status, code }) => `${node} ${status} ${code}`).join()}`,
    key: `${bucket.name}/${key}`,
  }));
  return [...refused, ...told];
}
