/**
 * Simulated machines under one scheduler, all from one seed.
 *
 *   const world = new SimWorld(7, { jobs: storageJobs });
 *   const node = world.node("a");
 *   const store = world.runUntil(Store.open(node.disk, ...));
 *   node.powerLoss();                       // its ports are dead now: timers, jobs and syncs of that life never come back
 *   node.restart();                         // new ports, on what the disk still holds
 *
 *   world.network.partition(["a"], ["b"]);  // between what `node.peerPorts(address)` has bound
 *
 * Each node draws from streams of its own: a node more, or a fault more, does not shift the others.
 */
import { assert } from "../base/assert.ts";
import type { Prng } from "../base/prng.ts";
import type { LogFields, Logger } from "../ports/logger.ts";
import type { PeerAddress, PeerPorts } from "../ports/transport.ts";
import type { JobTable } from "../ports/workers.ts";
import { SimClock, type SimClockOptions, SimQuartz } from "./clock.ts";
import { SimDisk } from "./disk.ts";
import type { DiskCall } from "./disk-faults.ts";
import { DiskImage } from "./disk-image.ts";
import { type SimMachine, SimNetwork } from "./network.ts";
import { SimRandom } from "./random.ts";
import { SimProcess, SimScheduler } from "./scheduler.ts";
import type { PowerLossProfile } from "./disk-power-loss.ts";
import { type JobStage, SimWorkers } from "./workers.ts";

/** The last lines are kept, older ones dropped. */
const LOG_LINES_MAX = 10_000;
const CLOCK_OFFSET_MS_MAX = 50;
const CLOCK_DRIFT_PPM_MAX = 100;

export interface SimWorldOptions {
  /** What workers can run. */
  readonly jobs?: JobTable;
  readonly jobDelayMsMax?: number;
  /** Every event comes up to so much late; 50 is a busy machine, 0 (the default) a perfect one. */
  readonly jitterUsMax?: number;
}

export interface SimLogLine {
  readonly timeMs: number;
  readonly node: string;
  readonly level: keyof Logger;
  readonly event: string;
  readonly fields: LogFields;
}

export class SimWorld {
  readonly scheduler: SimScheduler;
  readonly options: SimWorldOptions;
  readonly log: SimLogLine[] = [];
  readonly network: SimNetwork;
  private readonly nodes = new Map<string, SimNode>();

  constructor(seed: number | string, options: SimWorldOptions = {}) {
    this.scheduler = new SimScheduler(seed, options.jitterUsMax);
    this.options = options;
    this.network = new SimNetwork(this.scheduler);
  }

  /** The machine called `name`, made and started on first use. */
  node(name: string, clock?: SimClockOptions): SimNode {
    const node = this.nodes.get(name) ?? new SimNode(this, name, clock);
    this.nodes.set(name, node);
    return node;
  }

  /** Lets `forMs` of virtual time pass. */
  run(forMs: number): void {
    this.scheduler.run(this.scheduler.nowMs() + forMs);
  }

  /** Runs until `promise` settles and returns its value. */
  runUntil<T>(promise: Promise<T>, limitMs?: number): T {
    return this.scheduler.runUntil(promise, limitMs);
  }

  note(line: SimLogLine): void {
    if (this.log.length >= LOG_LINES_MAX) this.log.shift();
    this.log.push(line);
  }
}

/** One life of a node: everything that dies with its process. */
interface Life {
  readonly owner: SimProcess;
  readonly clock: SimClock;
  readonly random: SimRandom;
  readonly disk: SimDisk;
  readonly workers: SimWorkers;
  readonly logger: Logger;
}

/** A machine: it outlives the processes on it, and the ports are those of the current one. */
export class SimNode implements SimMachine {
  readonly name: string;
  hasPower = true;
  /** How many processes this machine has started. */
  epoch = 0;
  /** Hears each call of the disk before it has its effect. Whoever ends the process in here ends it at that call. */
  onDiskCall: ((call: DiskCall) => void) | undefined;
  onJob: ((kind: string, stage: JobStage) => void) | undefined;
  private readonly world: SimWorld;
  private readonly prng: Prng;
  private readonly quartz: SimQuartz;
  private life: Life;
  /** What the next process will find; set while none runs. */
  private nextDisk: SimDisk | undefined;

  constructor(world: SimWorld, name: string, clock?: SimClockOptions) {
    this.world = world;
    this.name = name;
    this.prng = world.scheduler.prng.fork(`node/${name}`);
    this.quartz = new SimQuartz(clock ?? drawnClock(this.prng.fork("clock")));
    this.life = this.start(new SimDisk({ prng: this.prng.fork("disk") }));
  }

  get clock(): SimClock {
    return this.life.clock;
  }

  get random(): SimRandom {
    return this.life.random;
  }

  get disk(): SimDisk {
    return this.life.disk;
  }

  get workers(): SimWorkers {
    return this.life.workers;
  }

  get logger(): Logger {
    return this.life.logger;
  }

  /** The node's place in the network, bound on first use in each life. @throws HutchError `port-in-use` */
  peerPorts(address: PeerAddress): PeerPorts {
    return this.world.network.bind(this, this.life.owner, address);
  }

  /** False as well when a disk call has killed the process (`disk.crashAtCall`, a bad sector under a map). */
  get isUp(): boolean {
    return this.life.owner.isAlive;
  }

  /** kill -9: memory is gone, the page cache is not. */
  crash(): void {
    this.nextDisk = this.disk.kill();
  }

  /** SIGSTOP, and SIGCONT `forMs` later: what was due meanwhile runs then. The system goes on and takes what the network brings. */
  pause(forMs: number): void {
    const { scheduler } = this.world;
    scheduler.noteCall(this.life.owner, `pause ${forMs}`);
    this.life.owner.pausedUntilUs = scheduler.nowUs() + Math.ceil(forMs * 1000);
  }

  /** Every event of the process in this life takes `eventCostMs` from now on; 0 makes the processor fast again. */
  slowDown(eventCostMs: number): void {
    this.life.owner.eventCostUs = Math.ceil(eventCostMs * 1000);
  }

  /** The machine loses power. */
  powerLoss(profile: PowerLossProfile = "strict"): void {
    this.hasPower = false;
    this.nextDisk = this.disk.powerLoss(profile);
  }

  /** Another disk is put into a machine on which no process runs: an empty one, or a copy of some earlier state. */
  replaceDisk(image: DiskImage = new DiskImage()): void {
    assert(!this.isUp && this.nextDisk !== undefined, "a disk is replaced while no process runs");
    const { faults } = this.nextDisk;
    this.nextDisk = new SimDisk({ prng: this.prng.fork(`disk/${this.epoch}`), image, faults });
  }

  /** Starts a new process on what the disk holds. */
  restart(): void {
    assert(
      !this.isUp && this.nextDisk !== undefined,
      "a node restarts after a crash or a power loss",
    );
    this.hasPower = true;
    this.life = this.start(this.nextDisk);
    this.nextDisk = undefined;
  }

  private start(disk: SimDisk): Life {
    this.epoch++;
    const { scheduler, options } = this.world;
    const owner = new SimProcess(`${this.name}#${this.epoch}`);
    const prng = this.prng.fork(`life/${this.epoch}`);
    const clock = new SimClock(scheduler, owner, this.quartz);
    disk.attach({
      clock,
      onCall: (call) => {
        scheduler.noteCall(owner, `${call.kind} ${call.path}`);
        this.onDiskCall?.(call);
      },
      onDeath: () => owner.die(),
    });
    const workers = new SimWorkers({
      disk,
      clock,
      jobs: options.jobs ?? {},
      prng: prng.fork("workers"),
      delayMsMax: options.jobDelayMsMax ?? 1,
      onJob: (kind, stage) => this.onJob?.(kind, stage),
    });
    const logger = this.loggerOf(owner);
    return { owner, clock, random: new SimRandom(prng.fork("random")), disk, workers, logger };
  }

  private loggerOf(owner: SimProcess): Logger {
    const { world, name: node } = this;
    const line =
      (level: keyof Logger) =>
      (event: string, fields: LogFields = {}): void => {
        if (!owner.isAlive) return;
        world.scheduler.noteCall(owner, `log ${level} ${event} ${JSON.stringify(fields)}`);
        world.note({ timeMs: world.scheduler.nowMs(), node, level, event, fields });
      };
    return { debug: line("debug"), info: line("info"), warn: line("warn"), error: line("error") };
  }
}

function drawnClock(prng: Prng): SimClockOptions {
  return {
    offsetMs: prng.between(-CLOCK_OFFSET_MS_MAX, CLOCK_OFFSET_MS_MAX),
    driftPpm: prng.between(-CLOCK_DRIFT_PPM_MAX, CLOCK_DRIFT_PPM_MAX),
  };
}
