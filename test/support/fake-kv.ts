/**
 * A node's `KvApi` and `AdminApi` in one map: enough truth about contexts, siblings, expiry, idempotency and listing that
 * the REST face can be tested against it, and nothing of replicas.
 *
 * One actor, `f`: a key's dots are `f.1`, `f.2`, ... and a context is `{ upTo, dots }`, all up to a number and some more.
 */
import {
  base64url,
  compareBytes,
  fromBase64url,
  startsWith,
  utf8,
  utf8Text,
} from "../../src/base/bytes.ts";
import { HutchError } from "../../src/base/errors.ts";
import type {
  AdminApi,
  HeldForNode,
  Job,
  SnapshotApi,
  SnapshotSummary,
} from "../../src/http/admin-api.ts";
import type { Explanation, KvApi } from "../../src/http/kv-api.ts";
import { conditionHolds } from "../../src/http/header-values.ts";
import type { Clock, Timer } from "../../src/ports/clock.ts";
import type { Random } from "../../src/ports/random.ts";
import {
  type BucketProperties,
  DEFAULT_BUCKET_PROPERTIES,
  type ExportedKey,
  type KeyState,
  type ListPage,
  type ListRequest,
  type ListedKey,
  type ReadRequest,
  type ReadResult,
  type Sibling,
  type WriteRequest,
  type WriteResult,
} from "../../src/quorum/operation.ts";
import { FakeLayout } from "./fake-layout.ts";

const HLC_EPOCH_MS = Date.UTC(2024, 0, 1);
const IDEMPOTENCY_MS = 600_000;

/** A clock that the test moves; timers run when it does. */
export class ManualClock implements Clock {
  nowMs = Date.UTC(2026, 10, 21, 12, 0, 0);
  #timers: { dueMs: number; callback: () => void }[] = [];

  wallMs(): number {
    return this.nowMs;
  }

  monoMs(): number {
    return this.nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    const timer = { dueMs: this.nowMs + delayMs, callback };
    this.#timers.push(timer);
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) };
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (;;) {
      const next = this.#timers
        .filter((t) => t.dueMs <= endMs)
        .sort((a, b) => a.dueMs - b.dueMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== next);
      this.nowMs = Math.max(this.nowMs, next.dueMs);
      next.callback();
    }
    this.nowMs = endMs;
  }
}

/** Chance that repeats itself from run to run. */
export class CountingRandom implements Random {
  #state = 1;

  u32(): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return this.#state;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.u32() >>> 24);
  }
}

interface FakeContext {
  readonly upTo: number;
  readonly dots: readonly number[];
}

interface FakeSibling extends Sibling {
  readonly counter: number;
}

interface FakeKey {
  readonly key: Uint8Array;
  counter: number;
  siblings: FakeSibling[];
}

interface FakeRecord {
  readonly counter: number;
  readonly siblings: readonly (Omit<FakeSibling, "value"> & { readonly value: string })[];
}

export class FakeKv implements KvApi {
  readonly nodeId = "n1";
  readonly clock: Clock;
  /** Nodes in the layout. */
  nodeCount = 3;
  /** The last request of each kind, for tests that look at what the headers became. */
  lastRead: ReadRequest | undefined;
  lastWrite: WriteRequest | undefined;
  writeCount = 0;
  /** Thrown by the next operations while set. */
  failure: unknown = undefined;
  /** Awaited by every write while set. */
  writeGate: Promise<void> | undefined;
  writesInFlight = 0;
  writesInFlightMax = 0;
  #tick = 0;
  readonly #keys = new Map<string, FakeKey>();
  readonly #buckets = new Map<string, Partial<BucketProperties>>();
  readonly #answers = new Map<string, { body: string; result: WriteResult; untilMs: number }>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  effectiveN(bucket: string): number {
    return Math.min(this.bucket(bucket).n, this.nodeCount);
  }

  read(bucket: string, key: Uint8Array, request: ReadRequest): ReadResult {
    this.#fail();
    this.lastRead = request;
    const { n, r } = request.consistency;
    return {
      ...this.#state(bucket, this.#find(bucket, key)),
      replies: { n, ok: r, primary: r },
      session: sessionAfter(request.session),
      readRepair: "",
      freshness: -1,
    };
  }

  isFresh(): boolean {
    return false;
  }

  async write(bucket: string, key: Uint8Array, request: WriteRequest): Promise<WriteResult> {
    this.#fail();
    this.writesInFlight++;
    this.writesInFlightMax = Math.max(this.writesInFlightMax, this.writesInFlight);
    try {
      await this.writeGate;
      return this.#write(bucket, key, request);
    } finally {
      this.writesInFlight--;
    }
  }

  #write(bucket: string, key: Uint8Array, request: WriteRequest): WriteResult {
    this.lastWrite = request;
    const replay = this.#replay(bucket, key, request);
    if (replay !== undefined) return replay;
    const session = sessionAfter(request.session);
    const found = this.#find(bucket, key) ?? { key: key.slice(), counter: 0, siblings: [] };
    const before = this.#state(bucket, found);
    this.#checkCondition(request, before);
    const properties = this.bucket(bucket);
    const context = this.#contextOf(bucket, key, request, found, properties);
    const isCovered = (s: FakeSibling): boolean =>
      s.counter <= context.upTo || context.dots.includes(s.counter);
    const kept = found.siblings.filter((s) => !isCovered(s));
    if (properties.conflicts === "siblings" && kept.length + 1 > properties.siblingsMax) {
      throw new HutchError("too-many-siblings", `Cannot write: ${kept.length} siblings`, {
        data: { context: before.context, siblings: kept.length },
      });
    }
    this.writeCount++;
    found.counter++;
    const isLww = properties.conflicts === "lww";
    found.siblings = [this.#sibling(found, request, properties), ...(isLww ? [] : kept)];
    this.#keys.set(mapKey(bucket, key), found);
    const after: FakeContext =
      context.upTo === found.counter - 1
        ? { upTo: found.counter, dots: [] }
        : { upTo: context.upTo, dots: [...context.dots, found.counter] };
    const { n, w } = request.consistency;
    const result: WriteResult = {
      context: token(bucket, key, after),
      state: { ...this.#state(bucket, found), conflictDropped: isLww ? kept.length : 0 },
      acks: { n, ok: w, primary: w, hinted: 0, durable: w },
      session,
      isReplay: false,
    };
    this.#remember(bucket, key, request, result);
    return result;
  }

  #fail(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  #replay(bucket: string, key: Uint8Array, request: WriteRequest): WriteResult | undefined {
    const known = this.#answers.get(`${mapKey(bucket, key)} ${request.idempotencyKey}`);
    if (request.idempotencyKey === "" || known === undefined) return undefined;
    if (known.untilMs <= this.clock.wallMs()) return undefined;
    if (known.body !== base64url(request.value)) {
      throw new HutchError(
        "idempotency-mismatch",
        "Cannot write: the key was used for another body",
      );
    }
    return { ...known.result, isReplay: true };
  }

  #remember(bucket: string, key: Uint8Array, request: WriteRequest, result: WriteResult): void {
    if (request.idempotencyKey === "") return;
    this.#answers.set(`${mapKey(bucket, key)} ${request.idempotencyKey}`, {
      body: base64url(request.value),
      result,
      untilMs: this.clock.wallMs() + IDEMPOTENCY_MS,
    });
  }

  #checkCondition(request: WriteRequest, before: KeyState): void {
    const isAbsent = before.siblings.every((sibling) => sibling.isDeleted);
    if (conditionHolds(request.condition, isAbsent ? "" : before.etag)) return;
    throw new HutchError("precondition-failed", "Cannot write: the key has another version", {
      data: { etag: before.etag, context: before.context },
    });
  }

  #contextOf(
    bucket: string,
    key: Uint8Array,
    request: WriteRequest,
    found: FakeKey,
    properties: BucketProperties,
  ): FakeContext {
    if (request.context !== "") return contextOf(bucket, key, request.context, found.counter);
    const isSupersede = properties.blindPut === "supersede" || request.kind === "delete";
    return isSupersede ? { upTo: found.counter, dots: [] } : { upTo: 0, dots: [] };
  }

  #sibling(found: FakeKey, request: WriteRequest, properties: BucketProperties): FakeSibling {
    const nowMs = this.clock.wallMs();
    const { expiry } = request;
    let expiresAtMs = properties.ttl === 0 ? 0 : nowMs + properties.ttl * 1000;
    if (expiry.kind === "after") expiresAtMs = nowMs + expiry.ttlMs;
    if (expiry.kind === "at") expiresAtMs = expiry.wallMs;
    if (expiry.kind === "keep") expiresAtMs = found.siblings[0]?.expiresAtMs ?? 0;
    return {
      counter: found.counter,
      dot: `f.${found.counter}`,
      hlc: (nowMs - HLC_EPOCH_MS) * 2048 + (this.#tick++ % 2048),
      isDeleted: request.kind === "delete",
      value: request.value.slice(),
      contentType: request.contentType,
      contentEncoding: request.contentEncoding,
      meta: request.meta,
      expiresAtMs: request.kind === "delete" ? 0 : expiresAtMs,
    };
  }

  #find(bucket: string, key: Uint8Array): FakeKey | undefined {
    return this.#keys.get(mapKey(bucket, key));
  }

  #state(bucket: string, found: FakeKey | undefined): KeyState {
    const nowMs = this.clock.wallMs();
    const all = (found?.siblings ?? []).map((sibling) =>
      sibling.expiresAtMs !== 0 && sibling.expiresAtMs <= nowMs
        ? { ...sibling, isDeleted: true, value: new Uint8Array(0) }
        : sibling,
    );
    const siblings = [...all].sort((a, b) => b.hlc - a.hlc);
    const isKnown = found !== undefined && found.counter > 0;
    const isLive = siblings.some((sibling) => !sibling.isDeleted);
    return {
      siblings,
      isTombstone: isKnown && !isLive,
      context: isKnown ? token(bucket, found.key, { upTo: found.counter, dots: [] }) : "",
      etag: isKnown ? `e${found.counter}-${siblings.length}` : "",
      conflictMode: this.bucket(bucket).conflicts,
      conflictDropped: 0,
    };
  }

  checkContext(bucket: string, key: Uint8Array, context: string): void {
    contextOf(bucket, key, context, 0);
  }

  checkSession(session: string): void {
    sessionAfter(session);
  }

  async list(bucket: string, request: ListRequest): Promise<ListPage> {
    this.#fail();
    const after = request.cursor === "" ? undefined : fromBase64url(request.cursor);
    if (request.cursor !== "" && after === undefined)
      throw new HutchError("bad-cursor", "Cannot list");
    const keys: ListedKey[] = [];
    const prefixes: Uint8Array[] = [];
    for (const found of this.#sorted(bucket, request)) {
      if (after !== undefined && !isAfter(found.key, after, request.isReverse)) continue;
      const prefix = prefixOf(found.key, request);
      if (prefix !== undefined) {
        if (after !== undefined && startsWith(after, prefix)) continue;
        if (prefixes.some((known) => compareBytes(known, prefix) === 0)) continue;
      }
      if (keys.length + prefixes.length === request.limit) {
        const last = lastOf(keys, prefixes, request.isReverse);
        return { keys, prefixes, cursor: base64url(last), isPartial: false };
      }
      if (prefix !== undefined) prefixes.push(prefix);
      else keys.push(this.#listed(bucket, found, request.withValues));
    }
    return { keys, prefixes, cursor: "", isPartial: false };
  }

  #sorted(bucket: string, request: ListRequest): FakeKey[] {
    const found = this.#all(bucket).filter(({ key, siblings }) => {
      if (!startsWith(key, request.prefix)) return false;
      if (compareBytes(key, request.start) < 0) return false;
      if (request.end.length > 0 && compareBytes(key, request.end) >= 0) return false;
      return siblings.some((sibling) => !sibling.isDeleted);
    });
    return request.isReverse ? found.reverse() : found;
  }

  #all(bucket: string): FakeKey[] {
    return [...this.#keys]
      .filter(([name]) => name.startsWith(`${bucket}/`))
      .map(([, found]) => found)
      .sort((a, b) => compareBytes(a.key, b.key));
  }

  #listed(bucket: string, found: FakeKey, withValues: boolean): ListedKey {
    const state = this.#state(bucket, found);
    const newest = state.siblings.find((sibling) => !sibling.isDeleted)!;
    return {
      key: found.key,
      etag: state.etag,
      sizeBytes: newest.value.length,
      expiresAtMs: newest.expiresAtMs,
      siblingCount: state.siblings.length,
      state: withValues ? state : undefined,
    };
  }

  async *export(bucket: string, after: Uint8Array): AsyncIterable<ExportedKey> {
    for (const found of this.#all(bucket)) {
      this.#fail();
      if (after.length > 0 && compareBytes(found.key, after) <= 0) continue;
      const siblings = found.siblings.map((s) => ({ ...s, value: base64url(s.value) }));
      const record: FakeRecord = { counter: found.counter, siblings };
      yield { key: found.key, record };
    }
  }

  async importMerge(bucket: string, exported: ExportedKey): Promise<number> {
    this.#fail();
    this.writesInFlight++;
    this.writesInFlightMax = Math.max(this.writesInFlightMax, this.writesInFlight);
    await this.writeGate;
    this.writesInFlight--;
    const record = exported.record as FakeRecord;
    if (typeof record?.counter !== "number") {
      throw new HutchError("bad-request", "Cannot import: the record is none");
    }
    const found = this.#find(bucket, exported.key);
    if (found !== undefined && found.counter >= record.counter) return 0;
    this.writeCount++;
    const siblings = record.siblings.map((s) => ({ ...s, value: fromBase64url(s.value)! }));
    const kept = this.bucket(bucket).conflicts === "lww" ? 1 : siblings.length;
    this.#keys.set(mapKey(bucket, exported.key), {
      key: exported.key.slice(),
      counter: record.counter,
      siblings: siblings.slice(0, kept),
    });
    return siblings.length - kept;
  }

  async explain(_bucket: string, _key: Uint8Array): Promise<Explanation> {
    const replica = {
      state: "up",
      reachable: true,
      dots: ["f.1"],
      hlc: "1",
      stateHash: "00",
      latencyMs: 1,
    };
    return {
      partition: 7,
      owners: [{ node: "n1", role: "primary", ...replica }],
      fallbacks: [{ node: "n2", role: "fallback", ...replica }],
      isEqual: true,
    };
  }

  bucketNames(): readonly string[] {
    return [...this.#buckets.keys()].sort();
  }

  bucket(bucket: string): BucketProperties {
    return { ...DEFAULT_BUCKET_PROPERTIES, ...this.#buckets.get(bucket) };
  }

  async setBucket(
    bucket: string,
    mode: "put" | "patch",
    properties: Partial<BucketProperties>,
  ): Promise<BucketProperties> {
    const old = mode === "patch" ? this.#buckets.get(bucket) : {};
    this.#buckets.set(bucket, { ...old, ...properties });
    return this.bucket(bucket);
  }

  async deleteBucket(bucket: string): Promise<void> {
    const isLive = this.#all(bucket).some((k) => k.siblings.some((s) => !s.isDeleted));
    if (isLive)
      throw new HutchError("bucket-not-empty", `Cannot delete bucket "${bucket}": it holds keys`);
    this.#buckets.delete(bucket);
  }
}

function mapKey(bucket: string, key: Uint8Array): string {
  return `${bucket}/${base64url(key)}`;
}

function token(bucket: string, key: Uint8Array, context: FakeContext): string {
  return base64url(utf8(JSON.stringify({ of: mapKey(bucket, key), ...context })));
}

function contextOf(bucket: string, key: Uint8Array, text: string, counterMax: number): FakeContext {
  const bytes = fromBase64url(text);
  const refuse = (): HutchError => new HutchError("bad-context", "Cannot read the causal context");
  if (bytes === undefined) throw refuse();
  let parsed: { of?: string; upTo?: number; dots?: number[] };
  try {
    parsed = JSON.parse(utf8Text(bytes) ?? "");
  } catch {
    throw refuse();
  }
  if (parsed.of !== mapKey(bucket, key)) {
    throw new HutchError("context-mismatch", "Cannot use the causal context: it is of another key");
  }
  return { upTo: Math.min(parsed.upTo ?? 0, counterMax), dots: parsed.dots ?? [] };
}

function sessionAfter(session: string): string {
  if (session === "") return "";
  if (session !== "new" && !session.startsWith("s-")) {
    throw new HutchError("bad-session", "Cannot read the session");
  }
  return `s-${session === "new" ? 1 : Number(session.slice(2)) + 1}`;
}

function isAfter(key: Uint8Array, after: Uint8Array, isReverse: boolean): boolean {
  return isReverse ? compareBytes(key, after) < 0 : compareBytes(key, after) > 0;
}

function lastOf(keys: ListedKey[], prefixes: Uint8Array[], isReverse: boolean): Uint8Array {
  const all = [...keys.map(({ key }) => key), ...prefixes].sort(compareBytes);
  return isReverse ? all[0]! : all[all.length - 1]!;
}

/** The common prefix up to and including the delimiter behind the request's prefix. */
function prefixOf(key: Uint8Array, { prefix, delimiter }: ListRequest): Uint8Array | undefined {
  if (delimiter.length === 0) return undefined;
  for (let at = prefix.length; at + delimiter.length <= key.length; at++) {
    if (startsWith(key.subarray(at), delimiter)) return key.slice(0, at + delimiter.length);
  }
  return undefined;
}

export class FakeAdmin implements AdminApi {
  isEnding = false;
  isReady = true;
  held: readonly HeldForNode[] = [];
  suspected: readonly { readonly id: string }[] = [];
  /** What becomes of every job that is looked at. */
  outcome: Partial<Job> = {};
  readonly #jobs: Job[] = [];
  readonly layout = new FakeLayout((kind) => this.#startJob(kind));
  readonly snapshots = new FakeSnapshots((kind) => this.#startJob(kind));

  readiness(): ReturnType<AdminApi["readiness"]> {
    return {
      isReady: this.isReady,
      checks: { storage: "ok", cluster: this.isReady ? "ok" : "syncing" },
    };
  }

  cluster(): ReturnType<AdminApi["cluster"]> {
    return {
      name: "test",
      id: "c1",
      layoutVersion: 1,
      q: 4,
      n: 3,
      nodes: { up: 1, suspect: 0, down: 0 },
      partitions: { serving: 4, syncing: 0 },
    };
  }

  async nodes(): ReturnType<AdminApi["nodes"]> {
    return [
      {
        id: "n1",
        address: "127.0.0.1:7001",
        peerAddress: "127.0.0.1:7101",
        zone: { dc: "dc1", rack: "r1", host: "h1" },
        weight: 1,
        state: "up",
        phi: 0,
        incarnation: 1,
        partitions: 4,
        keys: 0,
        bytes: 0,
        hintsFor: 0,
      },
    ];
  }

  ring(): ReturnType<AdminApi["ring"]> {
    const partitions = [0, 1, 2, 3].map((partition) => ({
      partition,
      owners: ["n1"],
      state: "serving",
    }));
    return { layoutVersion: 1, q: 4, partitions };
  }

  route(): ReturnType<AdminApi["route"]> {
    return { partition: 2, owners: ["n1"], fallbacks: [] };
  }

  async hints(): ReturnType<AdminApi["hints"]> {
    return this.held;
  }

  storage(): Readonly<Record<string, unknown>> {
    return { tables: 0 };
  }

  jobs(): readonly Job[] {
    return this.#jobs;
  }

  job(id: string): Job | undefined {
    const job = this.#jobs.find((each) => each.id === id);
    return job && { ...job, ...this.outcome };
  }

  repair(): Readonly<Record<string, unknown>> {
    return { lastRoundMs: 5 };
  }

  scrub(): Readonly<Record<string, unknown>> {
    return { quarantinedTables: 0 };
  }

  suspects(): readonly object[] {
    return this.suspected;
  }

  async acceptSuspect(id: string): Promise<void> {
    if (!this.suspected.some((suspect) => suspect.id === id))
      throw new HutchError("key-not-found", `Cannot accept suspect "${id}"`);
    this.suspected = this.suspected.filter((suspect) => suspect.id !== id);
  }

  start(kind: Parameters<AdminApi["start"]>[0]): Job {
    return this.#startJob(kind);
  }

  #startJob(kind: string): Job {
    const id = `j${this.#jobs.length + 1}`;
    const job: Job = { id, kind, state: "running", progress: 0, detail: "" };
    this.#jobs.push(job);
    return job;
  }

  metrics(): string {
    return "# TYPE hutch_up gauge\nhutch_up 1\n# EOF\n";
  }
}

/** Takes them at once. */
class FakeSnapshots implements SnapshotApi {
  readonly taken: SnapshotSummary[] = [];
  readonly #startJob: (kind: string) => Job;

  constructor(startJob: (kind: string) => Job) {
    this.#startJob = startJob;
  }

  list(): readonly SnapshotSummary[] {
    return this.taken;
  }

  take(name: string): Job {
    if (this.taken.some((one) => one.name === name))
      throw new HutchError("snapshot-conflict", `Cannot take snapshot "${name}": there is one`);
    this.taken.push({ name, createdMs: 1_767_225_600_000, tables: 2, bytes: 300 });
    return this.#startJob("snapshot");
  }

  async remove(name: string): Promise<void> {
    const at = this.taken.findIndex((one) => one.name === name);
    if (at < 0)
      throw new HutchError("no-such-snapshot", `Cannot find snapshot "${name}": there is none`);
    this.taken.splice(at, 1);
  }
}
