/**
 * Virtual time (FAULTS.md 2.3). A fully synchronous loop:
 *
 *   pop the next event -> drop it if its process has died -> advance time -> run it -> drain all microtasks -> hash it
 *
 * Between two events nothing is left half done, and no real time passes: equal seeds give equal runs. `drainMicrotasks`
 * of `bun:jsc` is what makes the loop possible; it is the only thing of the runtime that `src/sim` may import.
 *
 * While the loop runs, the globals that would let the real world in are trapped (traps.ts). Simulated code that never
 * stops is caught by two counters: events without time going on, and calls of ports within one event; a loop of bare
 * microtasks that calls no port cannot be caught from inside. A rejection that nobody handles fails the run like that of
 * any program: at the next turn of the real loop Bun ends the process, and `bun test` the test.
 *
 * Time is whole microseconds, exact in a double for 285 years.
 */
import { drainMicrotasks } from "bun:jsc";
import { assert } from "../base/assert.ts";
import { Prng } from "../base/prng.ts";
import type { Timer } from "../ports/clock.ts";
import { EventHeap, type SimEvent } from "./event-heap.ts";
import { SimCrash } from "./crash.ts";
import { TraceHash } from "./trace-hash.ts";
import { installTraps } from "./traps.ts";

/** Events at one instant; a healthy instant has a few per node. */
const EVENTS_PER_INSTANT_MAX = 100_000;
/** Port calls within one event; a compaction job of a small world makes some thousands. */
const CALLS_PER_EVENT_MAX = 5_000_000;
const EVENTS_WAITING_MAX = 10_000_000;

/** One life of one simulated process. Events of a dead one are dropped when their time comes. */
export class SimProcess {
  readonly name: string;
  isAlive = true;
  /** As after SIGSTOP, no event of it runs before then; what was due meanwhile runs then, in the order in which it was due. */
  pausedUntilUs = 0;
  /** Virtual time that each event of it takes: a slow processor. */
  eventCostUs = 0;
  private readonly deathListeners: (() => void)[] = [];

  constructor(name: string) {
    this.name = name;
  }

  onDeath(listener: () => void): void {
    this.deathListeners.push(listener);
  }

  die(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    for (const listener of this.deathListeners) listener();
  }
}

export class SimScheduler {
  readonly prng: Prng;
  readonly trace = new TraceHash();
  private readonly heap = new EventHeap();
  private readonly tieBreaks: Prng;
  private readonly jitter: Prng;
  private readonly jitterUsMax: number;
  private time = 0;
  private sequence = 0;
  private eventsInInstant = 0;
  private callsInEvent = 0;
  private isRunning = false;

  /** Every event comes up to `jitterUsMax` late; 50 is a busy machine, 0 (the default) a perfect one. */
  constructor(seed: number | string, jitterUsMax = 0) {
    this.prng = new Prng(`sim/${seed}`);
    this.jitterUsMax = jitterUsMax;
    this.jitter = this.prng.fork("jitter");
    this.tieBreaks = this.prng.fork("tie-breaks");
  }

  nowUs(): number {
    return this.time;
  }

  nowMs(): number {
    return this.time / 1000;
  }

  /** Runs `run` at `timeUs` or within the jitter after it, if `owner` still lives then. */
  at(timeUs: number, owner: SimProcess, label: string, run: () => void): Timer {
    assert(Number.isSafeInteger(timeUs) && timeUs >= this.time, "events lie in the future");
    assert(this.heap.length < EVENTS_WAITING_MAX, "the waiting events stay within bounds");
    const sequence = this.sequence++;
    const dueUs = timeUs + this.jitter.below(this.jitterUsMax + 1);
    let isCancelled = false;
    const guarded = (): void => {
      if (isCancelled || !owner.isAlive) return;
      if (owner.pausedUntilUs > this.time) return this.defer(owner.pausedUntilUs, guarded);
      if (owner.eventCostUs > 0) owner.pausedUntilUs = this.time + owner.eventCostUs;
      this.trace.add(`${dueUs} ${sequence} ${owner.name} ${label}`);
      run();
    };
    this.heap.push({ timeUs: dueUs, tieBreak: this.tieBreaks.u32(), sequence, run: guarded });
    return {
      cancel: () => {
        isCancelled = true;
      },
    };
  }

  /** Every port call of a simulated node passes here: into the trace, and past the livelock guard. */
  noteCall(owner: SimProcess, what: string): void {
    this.trace.add(`${owner.name} ${what}`);
    this.callsInEvent++;
    assert(this.callsInEvent < CALLS_PER_EVENT_MAX, "one event ends within its calls (livelock)");
  }

  /** Runs everything up to `untilMs`, which is then the time. */
  run(untilMs: number): void {
    const untilUs = Math.ceil(untilMs * 1000);
    assert(untilUs >= this.time, "time goes forward");
    this.inside(() => {
      drainMicrotasks();
      while ((this.heap.peek()?.timeUs ?? Infinity) <= untilUs) this.step();
      this.advance(untilUs);
    });
  }

  /**
   * Runs until `promise` settles. Returns its value or throws its reason; throws as well when nothing is left to run, or
   * after `limitMs` of virtual time.
   */
  runUntil<T>(promise: Promise<T>, limitMs = 3_600_000): T {
    const limitUs = this.time + limitMs * 1000;
    let outcome: (() => T) | undefined;
    promise.then(
      (value) => (outcome = () => value),
      (reason: unknown) => {
        outcome = () => {
          throw reason;
        };
      },
    );
    this.inside(() => {
      drainMicrotasks();
      while (outcome === undefined) {
        const next = this.heap.peek();
        assert(next !== undefined, "the promise waits for something inside the simulation");
        assert(next.timeUs <= limitUs, `the promise settles within ${limitMs} virtual ms`);
        this.step();
      }
    });
    assert(outcome !== undefined, "the loop ends with an outcome");
    return (outcome as () => T)();
  }

  /** Deferred events come before the others of their instant, in the order in which they were deferred. */
  private defer(timeUs: number, run: () => void): void {
    this.heap.push({ timeUs, tieBreak: -1, sequence: this.sequence++, run });
  }

  private step(): void {
    const event = this.heap.pop();
    assert(event !== undefined, "there is an event to run");
    this.advance(event.timeUs);
    this.eventsInInstant++;
    assert(this.eventsInInstant < EVENTS_PER_INSTANT_MAX, "time goes on (livelock)");
    this.callsInEvent = 0;
    runEvent(event);
    drainMicrotasks();
  }

  private advance(timeUs: number): void {
    if (timeUs > this.time) this.eventsInInstant = 0;
    this.time = Math.max(this.time, timeUs);
  }

  private inside(loop: () => void): void {
    assert(!this.isRunning, "the loop of the simulation runs once at a time");
    this.isRunning = true;
    this.callsInEvent = 0;
    const restore = installTraps();
    try {
      loop();
    } finally {
      restore();
      this.isRunning = false;
    }
  }
}

/** The death of a process inside one of its own timers ends that timer, not the run. */
function runEvent(event: SimEvent): void {
  try {
    event.run();
  } catch (thrown) {
    if (!(thrown instanceof SimCrash)) throw thrown;
  }
}
