/**
 * What operators do to a cluster, with real nodes under steady load: nodes are added, one leaves, one dies and is replaced, a disk rots, a disk is lost.
 *
 * Every step is the commands of the README, lasts until the change is settled, and is measured by what clients noticed meanwhile.
 */
import { Tally } from "../../src/load/tally.ts";
import { Prng } from "../../src/base/prng.ts";
import { flipBits } from "./bit-flips.ts";
import type { GrowingCluster } from "./growing-cluster.ts";
import type { LedgerLoad } from "./ledger-load.ts";
import type { LedgerPlace } from "./ledger-batches.ts";

export interface StepRow {
  readonly step: string;
  readonly tookMs: number;
  readonly tally: Tally;
  /** `n6: 61.2 MiB in 2.1 s`, or nothing. */
  readonly note: string;
}

export interface ElasticDrillOptions {
  readonly cluster: GrowingCluster;
  readonly load: LedgerLoad;
  readonly place: LedgerPlace;
  readonly seed: string;
  /** Bits turned in one round of damage. */
  readonly flips: number;
  /** How long a change may take to be settled. */
  readonly settleMs: number;
  readonly onRow: (row: StepRow) => void;
}

const MIB = 1024 * 1024;
/** The load goes on for a moment behind each step: what it left behind would show. */
const AFTER_MS = 1000;

/** How long data took to be where they belong. */
interface Transfer {
  readonly bytes: number;
  /** From the start of the process. */
  readonly wholeMs: number;
  /** From the layout version on which it is. */
  readonly movingMs: number;
}

export class ElasticDrill {
  readonly rows: StepRow[] = [];
  /** What steps have found to be wrong. */
  readonly violations: string[] = [];
  /** Of the last rebuild of a lost disk. */
  rebuilt: Transfer | undefined;
  private readonly options: ElasticDrillOptions;
  private readonly prng: Prng;

  constructor(options: ElasticDrillOptions) {
    this.options = options;
    this.prng = new Prng(`elastic-drill/${options.seed}`);
  }

  /** Nothing but load. */
  steady(ms: number): Promise<void> {
    return this.step("steady load", async () => {
      await Bun.sleep(ms);
      return "";
    });
  }

  /** Fresh nodes, all at once, while nothing else is done. */
  add(...names: readonly string[]): Promise<void> {
    return this.step(`add ${names.join(" and ")}`, async () => {
      const { cluster } = this.options;
      const before = await cluster.layout();
      await Promise.all(names.map((name) => cluster.start(name)));
      this.talkToAll();
      const version = await this.versionWith(names, before.version);
      await cluster.settled(version, this.options.settleMs);
      return `versions ${before.version} to ${version}`;
    });
  }

  /** The node hands over what it has and ends by itself; its clients stay with it as long as it is there. */
  leave(name: string): Promise<void> {
    return this.step(`leave ${name}`, async () => {
      const { cluster } = this.options;
      const { version } = await cluster.layout();
      const ending = cluster.ended(name);
      const told = await cluster.run(["leave", name, "--yes"], name);
      if (told.exitCode !== 0) this.wrong(`hutch leave ${name}: ${told.exitCode} ${told.stderr}`);
      const { code } = await ending;
      if (code !== 0) this.wrong(`${name} left with exit code ${code}`);
      this.talkToAll();
      await cluster.settled(version + 1, this.options.settleMs);
      return told.stderr.trim().split("\n").at(-1) ?? "";
    });
  }

  /** The node is killed, its disk is gone, and a fresh one takes its place. */
  replaceDead(name: string, heir: string): Promise<void> {
    return this.step(`kill ${name} for good, replace it by ${heir}`, async () => {
      const { cluster } = this.options;
      await cluster.ended(name, "SIGKILL");
      cluster.wipe(name);
      this.talkToAll();
      return this.rebuild(heir, name);
    });
  }

  /** The node's disk is lost; it comes back under its name with an empty one. */
  wipe(name: string): Promise<void> {
    return this.step(`wipe the disk of ${name}`, async () => {
      const { cluster } = this.options;
      await this.stop(name);
      cluster.wipe(name);
      return this.rebuild(name, name);
    });
  }

  private async rebuild(name: string, place: string): Promise<string> {
    const { cluster } = this.options;
    const { version } = await cluster.layout();
    const startedMs = performance.now();
    const starting = cluster.start(name, ["--replace", place]);
    await this.versionAbove(version);
    const movingMs = performance.now();
    await starting;
    this.talkToAll();
    await cluster.settled(version + 1, this.options.settleMs);
    const endMs = performance.now();
    const bytes = await this.bytesOf(name);
    this.rebuilt = { bytes, wholeMs: endMs - startedMs, movingMs: endMs - movingMs };
    return transferText(this.rebuilt);
  }

  /** Bits of the tables of a node that runs are turned; the scrub finds them, and the other owners heal them. */
  rot(name: string): Promise<void> {
    return this.step(`turn bits in the tables of ${name}`, async () => {
      await this.options.cluster.job(name, "flush");
      return this.damageAndHeal(name, () => Promise.resolve());
    });
  }

  /** The same while it is stopped. */
  rotWhileStopped(name: string): Promise<void> {
    return this.step(`turn bits in the tables of ${name} while it is stopped`, async () => {
      const { cluster } = this.options;
      await cluster.job(name, "flush");
      await this.stop(name);
      return this.damageAndHeal(name, () => cluster.start(name));
    });
  }

  private async damageAndHeal(name: string, between: () => Promise<void>): Promise<string> {
    const { cluster, flips, settleMs } = this.options;
    const tables = flipBits(cluster.dataDir(name), flips, this.prng);
    await between();
    this.talkToAll();
    const found = await cluster.job(name, "scrub");
    await cluster.until(() => this.unhealed(name), settleMs);
    const again = await cluster.job(name, "scrub");
    if (again.state !== "done") this.wrong(`${name}: a second scrub says: ${again.detail}`);
    // A damaged table stays beside its copy for whoever wants to look at it.
    const corrupt = [...new Bun.Glob("*.corrupt").scanSync(cluster.dataDir(name))];
    if (corrupt.length < tables.length)
      this.wrong(`${name}: of ${tables.length} damaged tables ${corrupt.length} were found`);
    const { version } = await cluster.layout();
    await cluster.settled(version, settleMs);
    return `${flips} bits in ${tables.length} tables; ${found.detail}`;
  }

  private async unhealed(name: string): Promise<string | undefined> {
    const { cluster } = this.options;
    const scrub = await cluster.json<{ lostRanges: number }>(name, "/v1/admin/scrub");
    return scrub.lostRanges === 0 ? undefined : `${name}: ${JSON.stringify(scrub)}`;
  }

  /** As an orderly operator does it: clients first. */
  private async stop(name: string): Promise<void> {
    const { cluster, load } = this.options;
    load.talkTo(cluster.names.filter((each) => each !== name).map((each) => cluster.url(each)));
    const { code, log } = await cluster.ended(name, "SIGTERM");
    if (code !== 0) this.wrong(`${name} ended with ${code}: ${log.slice(-1000)}`);
  }

  private async step(step: string, act: () => Promise<string>): Promise<void> {
    const { load, onRow } = this.options;
    load.dropBacklog();
    load.takeTally();
    const startedMs = performance.now();
    const note = await act();
    const tookMs = performance.now() - startedMs;
    await Bun.sleep(AFTER_MS);
    const row = { step, tookMs, tally: load.takeTally(), note };
    this.rows.push(row);
    onRow(row);
  }

  private wrong(what: string): void {
    this.violations.push(what);
  }

  private talkToAll(): void {
    this.options.load.talkTo(this.options.cluster.urls);
  }

  /** The version of the layout that names all of `names`. */
  private async versionWith(names: readonly string[], above: number): Promise<number> {
    const { cluster, settleMs } = this.options;
    let version = 0;
    await cluster.until(async () => {
      const layout = await cluster.layout();
      const missing = names.filter((name) => !layout.nodes.some(({ id }) => id === name));
      version = layout.version;
      return missing.length === 0 && version > above ? undefined : `${missing} not in ${version}`;
    }, settleMs);
    return version;
  }

  private async versionAbove(version: number): Promise<void> {
    const { cluster, settleMs } = this.options;
    await cluster.until(async () => {
      const layout = await cluster.layout();
      return layout.version > version ? undefined : `still version ${layout.version}`;
    }, settleMs);
  }

  /** Keys and values of the copies that are the node's. */
  private async bytesOf(name: string): Promise<number> {
    const { nodes, q, n } = await this.options.cluster.layout();
    const { partitions } = nodes.find(({ id }) => id === name)!;
    return (this.options.place.ledger.liveBytes * n * partitions) / (q * n);
  }
}

export function rateOf({ bytes, movingMs }: Transfer): number {
  return bytes / MIB / (movingMs / 1000);
}

function transferText(transfer: Transfer): string {
  const { bytes, wholeMs, movingMs } = transfer;
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
  return `${(bytes / MIB).toFixed(1)} MiB in ${seconds(movingMs)} (${rateOf(transfer).toFixed(1)} MiB/s), ${seconds(wholeMs)} from its start`;
}
