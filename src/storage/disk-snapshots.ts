/**
 * Snapshots of the whole store, taken while it serves: what `nodetool snapshot` does.
 *
 *   flush -> pin the view and its manifest state in one turn -> hard links into snapshots/NAME.tmp -> manifest, CURRENT, IDENTITY, SNAPSHOT, all
 *   synced -> sync NAME.tmp -> rename to NAME -> sync snapshots
 *
 * - It holds all that was applied when it began, and some prefix of what came later: a state that a crash could have left.
 * - Tables never change, so a link is a copy that takes no space until compaction lets go of the table.
 * - The pin keeps compaction from unlinking a table that is not linked yet. One that is quarantined meanwhile ends the snapshot.
 * - A full disk ends it, and nothing is left. The store goes on, whatever happens here, but for a failed sync of the data directory itself,
 *   which may have taken names that the store relies on (C15).
 */
import { HutchError, messageOf } from "../base/errors.ts";
import { DiskError } from "../ports/disk.ts";
import { isPassing, toFailure } from "./failure.ts";
import {
  CURRENT_FILE,
  fileName,
  IDENTITY_FILE,
  SNAPSHOT_FILE,
  SNAPSHOTS_DIRECTORY,
} from "./file-names.ts";
import type { Flusher } from "./flusher.ts";
import { checkedLine } from "./checked-line.ts";
import { wholeManifest } from "./levels/manifest.ts";
import type { ManifestState } from "./levels/manifest-edit.ts";
import type { LogOwner } from "./log/log-format.ts";
import {
  inTurns,
  readSummary,
  refuseBadName,
  SNAPSHOTS_MAX,
  snapshotNames,
  snapshotPath,
  type SnapshotSummary,
  summaryBytes,
  unfinishedPath,
  writeWhole,
} from "./snapshot-files.ts";
import type { SpaceGuard } from "./space-guard.ts";
import type { StoreParts } from "./store-parts.ts";
import type { WritePath } from "./write-path.ts";

export interface DiskSnapshotParts extends StoreParts {
  readonly owner: LogOwner;
  readonly writePath: WritePath;
  readonly flusher: Flusher;
  readonly space: SpaceGuard;
}

export class DiskSnapshots {
  private readonly parts: DiskSnapshotParts;
  /** One at a time: what is taken and what is removed. */
  private turn: Promise<unknown> = Promise.resolve();
  private turnsLeft = 0;
  private isStopped = false;

  constructor(parts: DiskSnapshotParts) {
    this.parts = parts;
  }

  /** What is being taken is given up; the end of the background work waits until that is done. */
  stop(): void {
    this.isStopped = true;
    if (this.turnsLeft > 0) void this.parts.exclusively(async () => void (await this.turn));
  }

  list(): SnapshotSummary[] {
    const { disk } = this.parts.ports;
    return snapshotNames(disk).map((name) => readSummary(disk, name));
  }

  /** Throws where a snapshot of that name cannot be taken now: `bad-request`, `snapshot-conflict`, `disk-full`. */
  refuseUnfit(name: string): void {
    refuseBadName(name);
    const names = snapshotNames(this.parts.ports.disk);
    const why = names.includes(name)
      ? "there is one of that name"
      : names.length >= SNAPSHOTS_MAX
        ? `there are ${SNAPSHOTS_MAX}; want one removed first`
        : "";
    if (why !== "")
      throw new HutchError("snapshot-conflict", `Cannot take snapshot "${name}": ${why}`);
    if (this.parts.space.state !== "ok") throw diskFull(name);
  }

  /** `identity` is what its IDENTITY holds (`identityOfSnapshot`). Rejects as `refuseUnfit` throws, and for a disk that refuses. */
  take(name: string, identity: Uint8Array): Promise<SnapshotSummary> {
    return this.inTurn(async () => {
      this.refuseUnfit(name);
      try {
        await this.flushed(name);
        return await this.write(name, identity);
      } catch (error) {
        throw refusalOf(name, error);
      }
    });
  }

  /** Rejects with `no-such-snapshot`. */
  remove(name: string): Promise<void> {
    return this.inTurn(async () => {
      const { disk } = this.parts.ports;
      refuseBadName(name);
      if (!snapshotNames(disk).includes(name))
        throw new HutchError("no-such-snapshot", `Cannot find snapshot "${name}": there is none`);
      await this.takeName(name);
      await this.clear(unfinishedPath(name));
    });
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    this.turnsLeft++;
    const turn = this.turn.then(work);
    this.turn = turn
      .catch(() => undefined)
      .then(() => {
        this.turnsLeft--;
      });
    return turn;
  }

  /** All that was applied before this call is in tables. Does not wait for a disk that is full. */
  private async flushed(name: string): Promise<void> {
    const { views, writePath, flusher } = this.parts;
    if (views.current.active.entryCount > 0) writePath.freeze(0, 0);
    const pending = new Set(views.current.frozen);
    while (views.current.frozen.some((memtable) => pending.has(memtable))) {
      await flusher.next();
      this.refuseStopped(name);
    }
  }

  private async write(name: string, identity: Uint8Array): Promise<SnapshotSummary> {
    const { manifest, views, ports } = this.parts;
    const { state } = manifest;
    const view = views.pin();
    const place = { isNamed: false };
    try {
      await this.makePlace(name);
      await this.link(name, state);
      const summary = await this.describe(name, state, identity);
      await ports.disk.syncDirectorySoon(unfinishedPath(name));
      this.refuseStopped(name);
      ports.disk.rename(unfinishedPath(name), snapshotPath(name));
      place.isNamed = true;
      await ports.disk.syncDirectorySoon(SNAPSHOTS_DIRECTORY);
      return summary;
    } catch (error) {
      await this.takeBack(name, place.isNamed);
      throw error;
    } finally {
      views.release(view);
    }
  }

  private async makePlace(name: string): Promise<void> {
    const { disk } = this.parts.ports;
    const isFirst = !disk.list("").includes(SNAPSHOTS_DIRECTORY);
    if (isFirst) {
      disk.makeDirectory(SNAPSHOTS_DIRECTORY);
      await this.syncRoot();
    }
    await this.clear(unfinishedPath(name));
    disk.makeDirectory(unfinishedPath(name));
  }

  private async syncRoot(): Promise<void> {
    try {
      await this.parts.ports.disk.syncDirectorySoon("");
    } catch (error) {
      if (!isPassing(error)) this.parts.fail(toFailure(error));
      throw error;
    }
  }

  private link(name: string, { levels }: ManifestState): Promise<void> {
    const { disk } = this.parts.ports;
    const files = levels.tables.flat().map(({ id }) => fileName("table", id));
    return inTurns(files, this.pause, (file) => {
      this.refuseStopped(name);
      disk.link(file, `${unfinishedPath(name)}/${file}`);
    });
  }

  /** All but the tables. There is no log: what it has from here on is not of this snapshot. */
  private async describe(
    name: string,
    state: ManifestState,
    identity: Uint8Array,
  ): Promise<SnapshotSummary> {
    const { ports, owner } = this.parts;
    const { disk, random, clock } = ports;
    const { flushedSequence } = state;
    const tables = state.levels.tables.flat();
    const summary = {
      name,
      createdMs: Math.floor(clock.wallMs()),
      tables: tables.length,
      bytes: tables.reduce((sum, { fileBytes }) => sum + fileBytes, 0),
    };
    const withoutLog = { ...state, walIds: [], durableSequence: flushedSequence };
    const manifest = wholeManifest(withoutLog, owner, random.u32());
    const directory = unfinishedPath(name);
    await writeWhole(disk, `${directory}/${manifest.name}`, manifest.bytes);
    await writeWhole(disk, `${directory}/${CURRENT_FILE}`, checkedLine(manifest.name));
    await writeWhole(disk, `${directory}/${IDENTITY_FILE}`, identity);
    await writeWhole(disk, `${directory}/${SNAPSHOT_FILE}`, summaryBytes(summary));
    return summary;
  }

  /** What cannot be removed now goes at the next start. */
  private async takeBack(name: string, isNamed: boolean): Promise<void> {
    try {
      if (isNamed) await this.takeName(name);
      await this.clear(unfinishedPath(name));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      const reason = messageOf(error);
      this.parts.ports.logger.warn("snapshot_not_removed", { snapshot: name, reason });
    }
  }

  /** From now on there is no such snapshot, also after a power loss. */
  private async takeName(name: string): Promise<void> {
    const { disk } = this.parts.ports;
    await this.clear(unfinishedPath(name));
    disk.rename(snapshotPath(name), unfinishedPath(name));
    await disk.syncDirectorySoon(SNAPSHOTS_DIRECTORY);
  }

  /** Removes what is being written or removed, if it is there. */
  private async clear(directory: string): Promise<void> {
    const { disk } = this.parts.ports;
    if (!disk.list(SNAPSHOTS_DIRECTORY).some((name) => snapshotPath(name) === directory)) return;
    const files = disk.list(directory);
    await inTurns(files, this.pause, (file) => disk.unlink(`${directory}/${file}`));
    disk.removeDirectory(directory);
  }

  private readonly pause = (): Promise<void> => this.parts.ports.clock.sleep(0);

  private refuseStopped(name: string): void {
    if (this.isStopped)
      throw new HutchError("shutting-down", `Cannot take snapshot "${name}": the node is stopping`);
  }
}

function diskFull(name: string, cause?: unknown): HutchError {
  const reason = "the disk is full, nothing is left of it";
  return new HutchError("disk-full", `Cannot take snapshot "${name}": ${reason}`, {
    retry: "safe",
    cause,
  });
}

function refusalOf(name: string, error: unknown): unknown {
  if (!(error instanceof DiskError)) return error;
  if (error.kind === "no-space") return diskFull(name, error);
  const code = error.kind === "too-many-files" ? "overloaded" : "unavailable";
  return new HutchError(code, `Cannot take snapshot "${name}": ${messageOf(error)}`, {
    cause: error,
  });
}
