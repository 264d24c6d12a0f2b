/**
 * Reads every table again, and again (C24): a sector that rots shows only when somebody reads it.
 *
 *   steadily     always the table that was read longest ago; a table of b of all B bytes takes the b / B-th part of a round, and a round takes
 *                `ROUND_SHARE` of the interval, so the disk is busy a little all the time instead of for hours once
 *   overdue      a table that is older than a round is read as soon as the rate allows, and older than the interval also on a busy node
 *   on request   all tables, one after the other
 *
 * When a table was read is in the manifest; one that never was counts from its creation. Damage goes to the quarantine.
 */
import { messageOf } from "../base/errors.ts";
import type { Timer } from "../ports/clock.ts";
import type { VerifyJob, VerifyResult } from "./compaction/verify-table.ts";
import { isPassing } from "./failure.ts";
import { fileName } from "./file-names.ts";
import type { Quarantine } from "./quarantine.ts";
import type { StoreParts } from "./store-parts.ts";
import type { Table } from "./table/table.ts";

/** What is left of the interval is for pauses under load and for tables that had no turn. */
const ROUND_SHARE = 0.75;
/** Between two looks at whether something is due: this part of the interval, within bounds. */
const LOOK_SHARE = 1 / 1000;
const LOOK_MS_MIN = 10;
const LOOK_MS_MAX = 60_000;

export interface ScrubResult {
  readonly tables: number;
  readonly bytes: number;
  readonly damaged: number;
}

/** Of the run that was asked for, or else of the steady round. Times are Unix ms, 0 for never. */
export interface ScrubProgress {
  readonly isRequested: boolean;
  readonly tables: number;
  readonly tablesDone: number;
  readonly bytes: number;
  readonly bytesDone: number;
  /** Tables that did not verify since the node started. */
  readonly damaged: number;
  /** When the last run over all tables ended. */
  readonly lastFullAt: number;
  /** No table was read, or written, longer ago than this. */
  readonly verifiedSince: number;
}

interface Run {
  readonly tables: number;
  readonly bytes: number;
  tablesDone: number;
  bytesDone: number;
}

export class Scrubber {
  private readonly parts: StoreParts;
  private readonly quarantine: Quarantine;
  private readonly onFailure: (error: unknown) => void;
  private timer: Timer | undefined;
  private isStopped = false;
  private requested: Run | undefined;
  private roundStartedMs: number;
  /** All turns that were due by then have been taken. */
  private turnsMs: number;
  private damagedCount = 0;
  private lastFullMs = 0;

  constructor(parts: StoreParts, quarantine: Quarantine, onFailure: (error: unknown) => void) {
    this.parts = parts;
    this.quarantine = quarantine;
    this.onFailure = onFailure;
    this.roundStartedMs = parts.ports.clock.wallMs();
    this.turnsMs = this.roundStartedMs;
  }

  start(): void {
    const { options, ports } = this.parts;
    const lookMs = Math.min(LOOK_MS_MAX, options.scrubIntervalMs * LOOK_SHARE);
    this.timer = ports.clock.after(Math.max(LOOK_MS_MIN, lookMs), () => void this.look());
  }

  stop(): void {
    this.isStopped = true;
    this.timer?.cancel();
  }

  get progress(): ScrubProgress {
    const open = this.openTables();
    const times = open.map((table) => this.verifiedMs(table));
    const fixed = {
      damaged: this.damagedCount,
      lastFullAt: this.lastFullMs,
      verifiedSince: times.length === 0 ? 0 : Math.min(...times),
    };
    if (this.requested !== undefined) return { isRequested: true, ...this.requested, ...fixed };
    const done = open.filter((_, i) => times[i]! > this.roundStartedMs);
    return {
      isRequested: false,
      tables: open.length,
      tablesDone: done.length,
      bytes: bytesOf(open),
      bytesDone: bytesOf(done),
      ...fixed,
    };
  }

  /** Every table, now. `bytesPerSecond` 0: as fast as it goes. */
  async all(
    bytesPerSecond: number,
    onProgress: (progress: ScrubProgress) => void = () => undefined,
  ): Promise<ScrubResult> {
    const tables = this.openTables();
    const run = { tables: tables.length, bytes: bytesOf(tables), tablesDone: 0, bytesDone: 0 };
    const result = { tables: 0, bytes: 0, damaged: 0 };
    this.requested = run;
    try {
      for (const table of tables) {
        if (this.isStopped) break;
        const found = await this.verify(table, bytesPerSecond);
        run.tablesDone++;
        run.bytesDone += table.metadata.fileBytes;
        onProgress(this.progress);
        if (found === "gone") continue;
        result.tables++;
        result.bytes += table.metadata.fileBytes;
        if (found === "damaged") result.damaged++;
      }
      if (!this.isStopped) this.ended();
    } finally {
      if (this.requested === run) this.requested = undefined;
    }
    return result;
  }

  private ended(): void {
    this.lastFullMs = this.nowMs;
    this.roundStartedMs = this.lastFullMs;
    this.turnsMs = this.lastFullMs;
  }

  private get nowMs(): number {
    return this.parts.ports.clock.wallMs();
  }

  private get roundMs(): number {
    return this.parts.options.scrubIntervalMs * ROUND_SHARE;
  }

  /** The table's part of a round. */
  private spacingMs({ metadata }: Table): number {
    return (this.roundMs * metadata.fileBytes) / Math.max(1, bytesOf(this.openTables()));
  }

  private async look(): Promise<void> {
    try {
      if (this.requested === undefined) await this.takeTurns();
    } catch (error) {
      this.onFailure(error);
    }
    if (!this.isStopped) this.start();
  }

  /** All that is due. */
  private async takeTurns(): Promise<void> {
    for (let table = this.due(); table !== undefined; table = this.due()) {
      const found = await this.verify(table, this.parts.options.scrubBytesPerSecond);
      // What could not be looked at now has its turn at the next look.
      if (this.isStopped || found === "gone") return;
      // Not "now": a look that comes late, and a pause, are caught up with.
      this.turnsMs = Math.min(this.turnsMs + this.spacingMs(table), this.nowMs);
      this.endRound();
    }
  }

  private endRound(): void {
    const tables = this.openTables();
    if (tables.every((table) => this.verifiedMs(table) > this.roundStartedMs)) this.ended();
  }

  private due(): Table | undefined {
    const { options } = this.parts;
    const oldest = this.oldestOf(this.openTables());
    if (oldest === undefined) return undefined;
    const ageMs = this.nowMs - this.verifiedMs(oldest);
    if (ageMs >= options.scrubIntervalMs) return oldest;
    if (options.mayScrub?.() === false) return undefined;
    const isItsTurn = this.nowMs - this.turnsMs >= this.spacingMs(oldest);
    return ageMs >= this.roundMs || isItsTurn ? oldest : undefined;
  }

  private oldestOf(tables: readonly Table[]): Table | undefined {
    let oldest: Table | undefined;
    for (const table of tables)
      if (oldest === undefined || this.verifiedMs(table) < this.verifiedMs(oldest)) oldest = table;
    return oldest;
  }

  /** Never in the future, however wrong a clock was. */
  private verifiedMs({ metadata, createdMs }: Table): number {
    const recordedMs = this.parts.manifest.state.verifiedMs.get(metadata.id) ?? createdMs;
    return Math.min(recordedMs, this.nowMs);
  }

  private openTables(): readonly Table[] {
    return this.parts.views.current.levels.flat();
  }

  /** `gone`: replaced meanwhile, or there is no descriptor or no space to do it now. */
  private async verify(
    table: Table,
    bytesPerSecond: number,
  ): Promise<"sound" | "damaged" | "gone"> {
    try {
      const result = await this.read(table, bytesPerSecond);
      if (result === undefined) return "gone";
      if (result.damage.length === 0) {
        this.allowMap(table);
        await this.record(table.metadata.id);
        return "sound";
      }
      this.damagedCount++;
      await this.quarantine.replace(fileName("table", table.metadata.id));
      return "damaged";
    } catch (error) {
      if (!isPassing(error)) throw error;
      this.parts.ports.logger.warn("scrub_postponed", { reason: messageOf(error) });
      return "gone";
    }
  }

  private read(table: Table, bytesPerSecond: number): Promise<VerifyResult | undefined> {
    return this.parts.exclusively(async () => {
      if (!this.isListed(table.metadata.id)) return undefined;
      return this.parts.ports.workers.run<VerifyJob, VerifyResult>("verify", {
        table: table.metadata,
        bytesPerSecond,
      });
    });
  }

  private isListed(id: number): boolean {
    return this.parts.manifest.state.levels.tables.some((level) =>
      level.some((table) => table.id === id),
    );
  }

  private record(id: number): Promise<void> {
    const atMs = this.nowMs;
    return this.parts.manifest.append(
      () => (this.isListed(id) ? { verified: [{ id, atMs }] } : {}),
      () => undefined,
    );
  }

  /** After an unclean stop tables are read, not mapped, until each has been verified (C12g). */
  private allowMap({ metadata }: Table): void {
    if (this.parts.options.readMode !== "map") return;
    const open = this.openTables().find((table) => table.metadata.id === metadata.id);
    if (open !== undefined && !open.isMapped) open.switchToMap();
  }
}

function bytesOf(tables: readonly Table[]): number {
  return tables.reduce((sum, table) => sum + table.metadata.fileBytes, 0);
}
