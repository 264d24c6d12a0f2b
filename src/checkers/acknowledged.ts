/**
 * What acknowledgements are worth (S1, R24): as many disks know of a write as its answer has counted, from the answer on.
 *
 * `X-Acks: ok=3` says that three nodes have the write on disk, as a copy or as a hint for somebody. A node that dies and comes back, a hint that is handed
 * on, a partition that goes to other owners: the number never falls, except by as many disks as were lost. So the disks are looked at while a run is under
 * way, above all right after a node has come back. At its end repair has made good whatever went wrong, and nobody can tell any more.
 *
 * A disk knows of a write where it covers its dot: what has replaced the write there has replaced it everywhere. Nobody is blamed for
 *
 *   a node that is down        what it knows is not known; it is taken to know everything
 *   a hint for who has left    it goes to the owners, and is forgotten when a majority of them has it (R28, seed 20171)
 *   what was collected         the amnesty says so
 */
import type { Amnesty } from "./amnesty.ts";
import {
  type History,
  type Operation,
  type Seen,
  type Violation,
  covers,
  isWrite,
  placeOf,
  quorumOf,
} from "./history.ts";

/** What the disks of a cluster know at one moment. */
export interface Holdings {
  readonly atMs: number;
  /** By name of those that are up: by place, what they know. */
  readonly known: ReadonlyMap<string, ReadonlyMap<string, Seen>>;
  /** Nodes of the cluster that could not be asked. */
  readonly downCount: number;
}

export interface AcknowledgedOptions {
  /** In order of time. */
  readonly looks: readonly Holdings[];
  readonly amnesty?: Amnesty;
  /** When a disk was lost, wiped, damaged or put back. */
  readonly lossesMs?: readonly number[];
  /** While nodes were going out of the ring. */
  readonly departures?: readonly Departure[];
}

export interface Departure {
  readonly fromMs: number;
  /** `Infinity` while it has not ended. */
  readonly untilMs: number;
}

/** The first look at which a write has too few copies, for each write that ever has. */
export function checkAcknowledged(history: History, options: AcknowledgedOptions): Violation[] {
  return [...history.byKey().values()].flatMap((operations) => {
    const writes = operations.filter(isWrite);
    const answered = writes.filter(({ outcome, dot }) => outcome === "ok" && dot !== "");
    return answered.flatMap((write) => {
      const broken = options.looks.find((look) => isBroken(write, look, options));
      return broken === undefined ? [] : [violationOf(write, broken)];
    });
  });
}

function isBroken(write: Operation, look: Holdings, options: AcknowledgedOptions): boolean {
  const { amnesty, lossesMs = [] } = options;
  if (look.atMs < write.endMs) return false;
  const counted = countedOf(write, look, options);
  const lost = lossesMs.filter((atMs) => atMs >= write.startMs && atMs <= look.atMs).length;
  if (holdersOf(write, look).length + look.downCount >= counted - lost) return false;
  return amnesty?.covers(placeOf(write), write.dot, look.atMs) !== true;
}

function countedOf(
  { startMs, ok, primary, bucket }: Operation,
  { atMs }: Holdings,
  options: AcknowledgedOptions,
): number {
  const { departures = [] } = options;
  const isRerouted = departures.some(({ fromMs, untilMs }) => fromMs <= atMs && untilMs >= startMs);
  return isRerouted ? Math.max(primary, Math.min(ok, quorumOf(bucket))) : ok;
}

function holdersOf(write: Operation, { known }: Holdings): string[] {
  const place = placeOf(write);
  const holders = [...known].filter(([, places]) => {
    const seen = places.get(place);
    return seen !== undefined && covers(seen, write.dot);
  });
  return holders.map(([name]) => name);
}

function violationOf(write: Operation, look: Holdings): Violation {
  const { id, client, kind, level, ok, endMs } = write;
  const holders = holdersOf(write, look).join(" and ") || "nobody";
  const down = look.downCount === 0 ? "" : `, with ${look.downCount} down`;
  return {
    invariant: "S1",
    message: `#${id} ${client} ${kind} ${level} was acknowledged by ${ok} at ${endMs.toFixed(0)}; at ${look.atMs.toFixed(0)} ${holders} had it${down}`,
    key: placeOf(write),
  };
}
