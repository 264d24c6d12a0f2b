/**
 * What a cluster may forget. Two things are no losses:
 *
 *   collected   a state of which every value was dead for longer than gc-delay is dropped by all its owners (R39), with the dots in it
 *   burnt       disks were lost on purpose, and with them what no other disk knew of: what had fewer acknowledgements than disks were lost (S1)
 *
 * Who knows a dot no more is blamed only where neither excuses it.
 */
import {
  type History,
  type Operation,
  type Seen,
  covers,
  isWrite,
  parseDot,
  placeOf,
} from "./history.ts";

/** A disk that was lost, wiped, damaged or put back to an earlier state. */
export interface DiskLoss {
  readonly atMs: number;
  /** What the other disks knew of each key at that moment. */
  readonly known: ReadonlyMap<string, Seen>;
  /** The node cannot tell that anything is gone, and answers as if nothing were. */
  readonly isSilent?: boolean;
}

export interface AmnestyOptions {
  readonly gcDelayMs: number;
  /** How far any clock may be off. */
  readonly clockErrorMs: number;
  /** Virtual time of a dot, in ms, from its counter. */
  readonly timeOfCounter: (counter: number) => number;
  readonly losses: readonly DiskLoss[];
}

export class Amnesty {
  private readonly options: AmnestyOptions;
  private readonly byKey: ReadonlyMap<string, readonly Operation[]>;

  constructor(history: History, options: AmnestyOptions) {
    this.options = options;
    this.byKey = history.byKey();
  }

  /** May nobody know of `dot` any more at `atMs`? */
  covers(place: string, dot: string, atMs: number): boolean {
    return this.isBurnt(place, dot, atMs) || this.mayBeCollected(place, dot, atMs);
  }

  /** Did a disk lose, without anybody's notice, what it had acknowledged since then? A quorum that it was of is none until copies are equal again. */
  breaksQuorums(sinceMs: number, untilMs: number): boolean {
    return this.options.losses.some(
      ({ isSilent, atMs }) => isSilent === true && sinceMs <= atMs && atMs <= untilMs,
    );
  }

  /** Was it on lost disks only? */
  private isBurnt(place: string, dot: string, byMs: number): boolean {
    const givenOutMs = this.timeOf(dot);
    return this.options.losses.some(
      ({ atMs, known }) => atMs >= givenOutMs && atMs <= byMs && !knows(known.get(place), dot),
    );
  }

  /** Acknowledged writes of which so many disks were lost as had acknowledged them, and no other disk knew: from now on nobody knows whether they are. */
  forgive(history: History): number {
    let count = 0;
    for (const write of history.operations) {
      if (!isWrite(write) || write.outcome !== "ok" || write.dot === "") continue;
      const lost = this.options.losses.filter(({ atMs }) => atMs >= write.startMs);
      const isGone = lost.some(
        ({ known }, i) => i + 1 >= write.ok && !knows(known.get(placeOf(write)), write.dot),
      );
      if (!isGone) continue;
      write.outcome = "info";
      count++;
    }
    return count;
  }

  private mayBeCollected(place: string, dot: string, atMs: number): boolean {
    const { gcDelayMs, clockErrorMs } = this.options;
    const diedByMs = atMs - gcDelayMs + clockErrorMs;
    if (this.timeOf(dot) > diedByMs) return false;
    const operations = this.byKey.get(place) ?? [];
    return operations.some((operation) => isDeadBy(operation, diedByMs, clockErrorMs));
  }

  /** When the dot was given out at the earliest. */
  private timeOf(dot: string): number {
    return this.options.timeOfCounter(parseDot(dot).counter) - this.options.clockErrorMs;
  }
}

function knows(seen: Seen | undefined, dot: string): boolean {
  return seen !== undefined && covers(seen, dot);
}

/** A deletion, or a value that has expired: something that makes a state wholly dead. */
export function isDeadBy(
  { kind, outcome, startMs, ttlMs }: Operation,
  byMs: number,
  errorMs: number,
): boolean {
  if (outcome === "fail") return false;
  if (kind === "delete") return startMs <= byMs;
  return ttlMs > 0 && startMs + ttlMs - errorMs <= byMs;
}
