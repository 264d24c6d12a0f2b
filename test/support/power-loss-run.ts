/**
 * A real node under load whose disk loses its power again and again (rows 75, 76). What must be there afterwards is said in `writer-keys.ts`.
 *
 * Each life begins with a start on what the last loss has left, sometimes struck by the next one, and with a read of every key. Then writers
 * write, and meanwhile images of the disk are made at random instants; at a random instant the life ends. The images are looked at by nodes
 * of their own, each in the state that a power loss at its instant would have left. After some lives a new disk comes, of another make.
 */
import { join } from "node:path";
import { cpSync, writeFileSync } from "node:fs";
import { Prng } from "../../src/base/prng.ts";
import { NodeProcess } from "../e2e/node-process.ts";
import { PowerLossDisk } from "../nemesis/power-loss-disk.ts";
import { SMALL_SIZES } from "./kill-run.ts";
import { type KeyBounds, WriterKeys } from "./writer-keys.ts";

export interface PowerLossRunOptions {
  readonly seed: number | string;
  /** How many starts on what a loss has left, at least. */
  readonly recoveries: number;
  /** Default: `group` for some disks, `always` for others, of which neither may lose anything. */
  readonly fsync?: "group" | "always" | "os";
  /** The data of a node that has lost something are copied there. */
  readonly evidence?: string;
  readonly log?: (line: string) => void;
}

/** How a life ends, or what its disk looked like at some instant. */
export type LossKind =
  | "cut"
  | "cut, journal written"
  | "cut, ends by itself"
  | "cut while starting"
  | "image"
  | "image while starting"
  | "kill";

export interface PowerLossRunResult {
  readonly recoveries: ReadonlyMap<LossKind, number>;
  readonly disks: number;
  readonly acknowledged: number;
  readonly unanswered: number;
  readonly refused: number;
  readonly checkedReads: number;
  readonly slowestStartMs: number;
}

interface Image {
  readonly kind: LossKind;
  readonly disk: PowerLossDisk;
  readonly before: readonly KeyBounds[];
  readonly after: readonly KeyBounds[];
}

/** Each with its weight. */
const ENDS = ["cut", "cut", "cut, journal written", "cut, ends by itself", "kill"] as const;
const LIVES_PER_DISK = 12;
const IMAGES_PER_LIFE_MAX = 4;
const START_STRUCK_CHANCE = 0.3;
/** A start is struck up to so long after its beginning; most are over by then. */
const START_STRIKE_MS_MAX = 500;
/** Far more than it takes: what is looked for is a node that goes on for good. */
const SELF_END_TIMEOUT_MS = 60_000;
const DISK_FAILED_EXIT_CODE = 74;

class PowerLossRun {
  private readonly options: PowerLossRunOptions;
  private readonly prng: Prng;
  private readonly recoveries = new Map<LossKind, number>();
  private disks = 0;
  private acknowledged = 0;
  private unanswered = 0;
  private refused = 0;
  private checkedReads = 0;
  private slowestStartMs = 0;

  constructor(options: PowerLossRunOptions) {
    this.options = options;
    this.prng = new Prng(`power-loss/${options.seed}`);
  }

  async run(): Promise<PowerLossRunResult> {
    while (this.recovered < this.options.recoveries) await this.wearOut();
    const { recoveries, disks, acknowledged, unanswered } = this;
    const { refused, checkedReads, slowestStartMs } = this;
    return {
      recoveries,
      disks,
      acknowledged,
      unanswered,
      refused,
      checkedReads,
      slowestStartMs,
    };
  }

  get recovered(): number {
    return [...this.recoveries.values()].reduce((sum, count) => sum + count, 0);
  }

  count(kind: LossKind): void {
    this.recoveries.set(kind, (this.recoveries.get(kind) ?? 0) + 1);
  }

  /** Waits until the node is ready; `onSpawn` has it before. */
  async start(
    disk: PowerLossDisk,
    args: readonly string[],
    onSpawn: (node: NodeProcess) => void,
  ): Promise<NodeProcess> {
    const started = performance.now();
    const node = await NodeProcess.start(join(disk.mountPoint, "data"), { args, onSpawn });
    this.slowestStartMs = Math.max(this.slowestStartMs, Math.round(performance.now() - started));
    return node;
  }

  /** All lives of one disk. */
  private async wearOut(): Promise<void> {
    const { seed, recoveries, fsync, log } = this.options;
    const number = ++this.disks;
    const prng = this.prng.fork(`disk/${number}`);
    const disk = PowerLossDisk.make({
      name: `${number}`,
      blockBytes: prng.pick([1024, 4096] as const),
      mountOptions: prng.pick(["data=ordered", "data=writeback", "data=journal"]),
    });
    const args = [...SMALL_SIZES, "--fsync", fsync ?? prng.pick(["group", "always"])];
    const lives = new Lives(this, disk, new WriterKeys(`${seed}/${number}`), args, prng);
    try {
      for (let life = 0; life < LIVES_PER_DISK && this.recovered < recoveries; life++)
        await lives.live();
    } catch (error) {
      if (this.options.evidence !== undefined) await lives.keep(this.options.evidence);
      throw new Error(`seed ${seed}, disk ${number}`, { cause: error });
    } finally {
      await lives.end();
      this.add(lives.keys);
    }
    const kinds = [...this.recoveries].map(([kind, count]) => `${kind}: ${count}`).join("; ");
    log?.(
      `${this.recovered} recoveries, ${this.acknowledged} acknowledged writes, none lost; slowest start ${this.slowestStartMs} ms; ${kinds}`,
    );
  }

  private add(keys: WriterKeys): void {
    this.acknowledged += keys.acknowledged;
    this.unanswered += keys.unanswered;
    this.refused += keys.refused;
    this.checkedReads += keys.checkedReads;
  }
}

/** One node and its disk. */
class Lives {
  readonly keys: WriterKeys;
  /** Where a failure is to be looked for. */
  suspect: PowerLossDisk;
  private readonly owner: PowerLossRun;
  private readonly disk: PowerLossDisk;
  private readonly args: readonly string[];
  private readonly prng: Prng;
  private readonly images: Image[] = [];
  /** The losses since the last start that was looked at. */
  private readonly losses: LossKind[] = [];
  private node: NodeProcess | undefined;

  constructor(
    owner: PowerLossRun,
    disk: PowerLossDisk,
    keys: WriterKeys,
    args: readonly string[],
    prng: Prng,
  ) {
    this.owner = owner;
    this.disk = disk;
    this.suspect = disk;
    this.keys = keys;
    this.args = args;
    this.prng = prng;
  }

  async live(): Promise<void> {
    while (this.prng.chance(START_STRUCK_CHANCE)) await this.strikeStart();
    this.suspect = this.disk;
    const node = await this.start(this.disk);
    await this.keys.check(node);
    for (const kind of this.losses.splice(0)) this.owner.count(kind);
    await this.work(node);
    while (this.images.length > 0) await this.look(this.images[0]!);
  }

  /** What there is on the disk that a failure is to be looked for on. */
  async keep(directory: string): Promise<void> {
    await this.node?.end("SIGKILL");
    await this.suspect.restore(); // it may have been cut
    cpSync(this.suspect.mountPoint, directory, { recursive: true });
    writeFileSync(join(directory, "node.log"), (await this.node?.log()) ?? "");
  }

  /** Whatever happened. */
  async end(): Promise<void> {
    await this.node?.end("SIGKILL");
    for (const { disk } of this.images) await disk.close();
    await this.disk.close();
  }

  private start(disk: PowerLossDisk): Promise<NodeProcess> {
    return this.owner.start(disk, this.args, (node) => (this.node = node));
  }

  private async work(node: NodeProcess): Promise<void> {
    let isTroubled = false;
    const load = this.keys.write(node, () => isTroubled);
    // It is waited for in the end; until then a failure is nobody's.
    load.catch(() => undefined);
    for (let left = this.prng.below(IMAGES_PER_LIFE_MAX + 1); left > 0; left--) {
      await Bun.sleep(this.prng.between(2, 120));
      this.take("image");
    }
    await Bun.sleep(this.prng.between(2, 160));
    const kind = this.prng.pick(ENDS);
    isTroubled = kind !== "kill";
    if (isTroubled) this.disk.cut(kind === "cut, journal written");
    if (kind === "cut, ends by itself") await endedByItself(node);
    else await Bun.sleep(isTroubled ? this.prng.between(0, 50) : 0);
    await node.end("SIGKILL");
    await load;
    if (isTroubled) await this.disk.restore();
    this.losses.push(kind);
  }

  /** The next loss comes before the start is over, or just after. */
  private async strikeStart(): Promise<void> {
    const starting = this.start(this.disk);
    starting.catch(() => undefined); // it may die of the cut
    await Bun.sleep(this.prng.between(1, START_STRIKE_MS_MAX));
    const isImage = this.prng.chance(0.5);
    if (isImage) this.take("image while starting");
    else this.disk.cut(this.prng.chance(0.3));
    await this.node!.end("SIGKILL");
    await starting.catch(() => undefined);
    if (isImage) return;
    await this.disk.restore();
    this.losses.push("cut while starting");
  }

  private take(kind: LossKind): void {
    const before = this.keys.bounds();
    const disk = this.disk.snapshot();
    this.images.push({ kind, disk, before, after: this.keys.bounds() });
  }

  private async look({ kind, disk, before, after }: Image): Promise<void> {
    this.suspect = disk;
    const node = await this.start(disk);
    await this.keys.checkImage(node, before, after);
    await node.end("SIGKILL");
    this.images.shift();
    await disk.close();
    this.owner.count(kind);
  }
}

/** The node finds out by its next sync, which the writers ask for. */
async function endedByItself(node: NodeProcess): Promise<void> {
  const exitCode = await Promise.race([node.child.exited, Bun.sleep(SELF_END_TIMEOUT_MS)]);
  if (exitCode === DISK_FAILED_EXIT_CODE) return;
  throw new Error(
    `on a disk without power the node ${exitCode === undefined ? "went on" : `ended with ${exitCode}`}`,
  );
}

export function powerLossRun(options: PowerLossRunOptions): Promise<PowerLossRunResult> {
  return new PowerLossRun(options).run();
}
