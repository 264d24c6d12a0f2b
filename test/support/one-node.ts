/** A coordinator over a real store on a simulated disk, with a clock in the test's hand, and short words for what tests do to it. */
import { Prng } from "../../src/base/prng.ts";
import { utf8, utf8Text } from "../../src/base/bytes.ts";
import { HutchError } from "../../src/base/errors.ts";
import { Coordinator } from "../../src/cluster/coordinator.ts";
import type { ReplicaStore } from "../../src/cluster/replica-store.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import type { KvApi } from "../../src/http/kv-api.ts";
import { NO_METADATA } from "../../src/causality/payload.ts";
import type { Consistency } from "../../src/quorum/consistency.ts";
import type {
  KeyState,
  ListPage,
  ListRequest,
  ReadRequest,
  ReadResult,
  WriteRequest,
  WriteResult,
} from "../../src/quorum/operation.ts";
import { SimDisk } from "../../src/sim/disk.ts";
import { SimRandom } from "../../src/sim/random.ts";
import { type Retention, keepEverything } from "../../src/storage/jobs.ts";
import type { Store, StoreOptions } from "../../src/storage/store.ts";
import { ManualClock } from "./manual-clock.ts";
import { type OpenStore, SMALL_OPTIONS, openStore } from "./open-store.ts";
import { StillClock } from "./still-clock.ts";

export const ONE: Consistency = {
  n: 1,
  r: 1,
  w: 1,
  pr: 0,
  pw: 0,
  dw: 0,
  isSloppy: true,
  level: "QUORUM",
};
const NOTHING = new Uint8Array(0);

export const PUT: WriteRequest = {
  kind: "put",
  value: NOTHING,
  contentType: "",
  contentEncoding: "",
  meta: NO_METADATA,
  expiry: { kind: "default" },
  context: "",
  condition: { kind: "none" },
  idempotencyKey: "",
  consistency: ONE,
  timeoutMs: 2000,
  session: "",
};
export const GET: ReadRequest = { consistency: ONE, timeoutMs: 2000, session: "" };
export const LIST: ListRequest = {
  prefix: NOTHING,
  start: NOTHING,
  end: NOTHING,
  limit: 1000,
  cursor: "",
  delimiter: NOTHING,
  isReverse: false,
  withValues: false,
};

export interface NodeOptions {
  readonly disk?: SimDisk;
  readonly clock?: ManualClock;
  readonly incarnation?: number;
  readonly q?: number;
  readonly isDurable?: boolean;
  readonly store?: Partial<StoreOptions>;
  readonly retention?: Retention;
  /** Puts something between replica and store. */
  readonly wrap?: (store: Store) => ReplicaStore;
}

export class OneNode {
  readonly clock: ManualClock;
  readonly coordinator: Coordinator;
  readonly opened: OpenStore;
  readonly disk: SimDisk;

  private constructor(opened: OpenStore, disk: SimDisk, clock: ManualClock, options: NodeOptions) {
    this.opened = opened;
    this.disk = disk;
    this.clock = clock;
    this.coordinator = new Coordinator({
      store: options.wrap?.(opened.store) ?? opened.store,
      clock,
      logger: silentLogger,
      nodeId: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]),
      nodeName: "n1",
      incarnation: options.incarnation ?? 1,
      clusterId: new Uint8Array(16).fill(7),
      clusterSecret: new Uint8Array(16).fill(9),
      q: options.q ?? 16,
      isDurable: options.isDurable ?? true,
    });
    // The REST face takes it as it is.
    const api: KvApi = this.coordinator;
    void api;
  }

  static async start(options: NodeOptions = {}): Promise<OneNode> {
    const disk = options.disk ?? new SimDisk({ seed: 1 });
    const random = new SimRandom(new Prng("node"));
    const retention = options.retention ?? keepEverything;
    const world = { disk, clock: new StillClock(), random, retention };
    const opened = await openStore(world, {
      ...SMALL_OPTIONS,
      memtableBytes: 65_536,
      ...options.store,
    });
    return new OneNode(opened, disk, options.clock ?? new ManualClock(), options);
  }

  /** Stops cleanly and starts again on the same disk. */
  async restart(options: NodeOptions = {}): Promise<OneNode> {
    await this.coordinator.stop();
    await this.opened.close();
    return OneNode.start({ ...options, disk: this.disk, clock: options.clock ?? this.clock });
  }

  async close(): Promise<void> {
    await this.coordinator.stop();
    await this.opened.close();
  }

  put(
    key: string,
    value: string,
    changes: Partial<WriteRequest> = {},
    bucket = "demo",
  ): Promise<WriteResult> {
    return this.coordinator.write(bucket, utf8(key), { ...PUT, value: utf8(value), ...changes });
  }

  delete(key: string, changes: Partial<WriteRequest> = {}, bucket = "demo"): Promise<WriteResult> {
    return this.coordinator.write(bucket, utf8(key), { ...PUT, kind: "delete", ...changes });
  }

  async get(key: string, changes: Partial<ReadRequest> = {}, bucket = "demo"): Promise<ReadResult> {
    return this.coordinator.read(bucket, utf8(key), { ...GET, ...changes });
  }

  /** The values shown, newest first, "-" for a deleted one. */
  async values(key: string, bucket = "demo"): Promise<string[]> {
    return valuesOf(await this.get(key, {}, bucket));
  }

  list(changes: Partial<ListRequest> = {}, bucket = "demo"): Promise<ListPage> {
    return this.coordinator.list(bucket, { ...LIST, ...changes });
  }
}

export function valuesOf(state: KeyState): string[] {
  return state.siblings.map((sibling) => (sibling.isDeleted ? "-" : utf8Text(sibling.value)!));
}

/** The code of the error that `work` rejects with, or "accepted". */
export async function codeOf(work: Promise<unknown> | (() => unknown)): Promise<string> {
  return (await errorOf(work))?.code ?? "accepted";
}

export async function errorOf(
  work: Promise<unknown> | (() => unknown),
): Promise<HutchError | undefined> {
  try {
    await (typeof work === "function" ? work() : work);
  } catch (thrown) {
    if (thrown instanceof HutchError) return thrown;
    throw thrown;
  }
  return undefined;
}
