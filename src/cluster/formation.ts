/**
 * How nodes that know only addresses become a cluster.
 *
 *   fresh node     knocks at every seed until one says that the cluster is there: takes over its id, its secret, its layouts, and asks to join
 *                  (`layout-join.ts`)
 *   first seed     knocks too; when every seed has answered and all are fresh, it founds: one layout of all seeds and of whoever else has
 *                  knocked by then
 *
 * Only the first seed founds, and only when every seed has been heard, so there is one cluster however they are started. The founder's layout is on its disk
 * before anybody hears of it. A founder whose disk was lost finds the cluster it once founded, because the others say that it is there.
 *
 *   knock   u8 1 | member (`ring/layout.ts`) | name of the node that it replaces, a text, may be empty
 *   reply   u8 1 | life | u8 0 fresh | member        or        u8 1 | life | u8 1 formed | cluster id 16 | secret 16 | layouts
 *   life    last mark of the life before, start of this one, now: Unix ms varints (`absence.ts`)
 */
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import { LinkRefusedError, type PeerAddress, type Transport } from "../ports/transport.ts";
import { assignLayout } from "../ring/assignment.ts";
import { LayoutState } from "../ring/layout-state.ts";
import {
  LAYOUT_MEMBERS_MAX,
  type LayoutMember,
  MEMBER_TEXT_BYTES_MAX,
  readMember,
  writeMember,
} from "../ring/layout.ts";
import { readText, writeText } from "./peer-codec-fields.ts";
import type { PeerIdentity } from "./peer-client.ts";
import { knock } from "./peer-knock.ts";
import type { KnockMessage, KnockReply } from "./peer-messages.ts";
import { VERSIONS } from "./peer-protocol.ts";
import { readRefusal } from "./peer-refusal.ts";

const KNOCK_EVERY_MS = 200;
const KNOCK_TIMEOUT_MS = 1000;
/** How often a node that waits says so. */
const SAY_EVERY_KNOCKS = 50;
const VERSION = 1;
const FRESH = 0;
const FORMED = 1;
const ID_BYTES = 16;

export interface FormedCluster {
  readonly clusterId: Uint8Array;
  readonly clusterSecret: Uint8Array;
  readonly layouts: LayoutState;
}

/** Who knocks. */
export interface KnockerOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly logger: Logger;
  identity(): PeerIdentity;
  readonly self: LayoutMember;
  /** Name of the node whose place this one takes; empty for none. */
  readonly replaces: string;
}

export interface FormationOptions extends KnockerOptions {
  /** In the same order on all nodes; the first one founds. */
  readonly seeds: readonly PeerAddress[];
  /** For the founder: partitions, copies, and the name and secret that its data directory has drawn. */
  readonly q: number;
  readonly n: number;
  readonly clusterId: Uint8Array;
  readonly clusterSecret: Uint8Array;
}

/** When a node was alive: in the life before this one until, in this one since; 0 where it was not. Unix ms of its own clock. */
export interface LifeTimes {
  readonly beforeMs: number;
  readonly startedMs: number;
  readonly nowMs: number;
}

/** Answers knocks; made before the node has a cluster, and told when it has one. */
export class Porch {
  private readonly self: LayoutMember;
  private readonly life: () => LifeTimes;
  private formed: (() => FormedCluster) | undefined;
  /** Fresh nodes that have knocked, by id. */
  readonly waiting = new Map<string, LayoutMember>();

  constructor(self: LayoutMember, life: () => LifeTimes) {
    this.self = self;
    this.life = life;
  }

  /** From now on whoever knocks is told of it as it then is. Call when it is on disk. */
  open(formed: () => FormedCluster): void {
    this.formed = formed;
    this.waiting.clear();
  }

  /** Throws `duplicate-node-id` where another node has the name, `bad-request` for what is no knock. */
  answer({ body }: KnockMessage): KnockReply {
    const { visitor, replaces } = decodeVisitor(body);
    const formed = this.formed?.();
    const known = formed?.layouts.members.values() ?? [this.self, ...this.waiting.values()];
    const isNamesake = ({ id, name }: LayoutMember): boolean =>
      name === visitor.name && id !== visitor.id && name !== replaces;
    if ([...known].some(isNamesake))
      throw new HutchError(
        "duplicate-node-id",
        `Cannot let the node in: another one is called "${visitor.name}"; want another name, the data directory that belongs to it, or --replace ${visitor.name} if that one is lost for good`,
      );
    if (formed === undefined && this.waiting.size < LAYOUT_MEMBERS_MAX)
      this.waiting.set(visitor.id, visitor);
    return { kind: "knock", body: encodeAnswer(formed ?? this.self, this.life()) };
  }
}

/** Settles when this node is of a cluster: one that it has found, or one that it has founded. Rejects with `duplicate-node-id`. */
export async function formCluster(options: FormationOptions, porch: Porch): Promise<FormedCluster> {
  const { clock, logger, seeds, self } = options;
  const isFounder = seeds[0] === self.peerAddress;
  const others = seeds.filter((seed) => seed !== self.peerAddress);
  for (let round = 0; ; round++) {
    const answers = await Promise.all(others.map((seed) => ask(options, seed)));
    const heard = answers.filter((answer) => typeof answer !== "string");
    const formed = heard.find((answer) => "clusterId" in answer);
    if (formed !== undefined) return formed;
    const fresh = heard.filter((answer): answer is LayoutMember => !("clusterId" in answer));
    if (isFounder && fresh.length === others.length) return found(options, porch, fresh);
    if (round % SAY_EVERY_KNOCKS === 0) {
      const reason = answers.find((answer) => typeof answer === "string");
      logger.info("waiting_for_cluster", { seeds: seeds.length, answered: fresh.length, reason });
    }
    await clock.sleep(KNOCK_EVERY_MS);
  }
}

/** When the node at `address` was alive; `undefined` where nobody answers. */
export async function lifeOf(
  { transport, clock, logger, identity, self, replaces }: KnockerOptions,
  address: PeerAddress,
): Promise<LifeTimes | undefined> {
  const hello = { ...identity(), versions: VERSIONS, purpose: "knock" } as const;
  const parts = { transport, clock, address, hello, timeoutMs: KNOCK_TIMEOUT_MS };
  try {
    const { reply } = await knock(parts, { kind: "knock", body: encodeVisitor(self, replaces) });
    return reply.kind === "knock" ? decodeAnswer(reply.body).life : undefined;
  } catch (thrown) {
    logger.debug("knock_failed", { reason: reasonOf(thrown) });
    return undefined;
  }
}

/** What the seed says, or why it says nothing. */
async function ask(
  { transport, clock, logger, identity, self, replaces }: FormationOptions,
  address: PeerAddress,
): Promise<FormedCluster | LayoutMember | string> {
  const hello = { ...identity(), versions: VERSIONS, purpose: "knock" } as const;
  const parts = { transport, clock, address, hello, timeoutMs: KNOCK_TIMEOUT_MS };
  try {
    const { reply } = await knock(parts, { kind: "knock", body: encodeVisitor(self, replaces) });
    if (reply.kind === "knock") return decodeAnswer(reply.body).answer;
    if (reply.code === "duplicate-node-id") throw new HutchError(reply.code, reply.message);
    return `${address}: ${reply.message}`;
  } catch (thrown) {
    if (thrown instanceof HutchError) throw thrown;
    // Not there yet, of another cluster, or of another version: the log says which, and the next knock may find it changed.
    const reason = `${address}: ${reasonOf(thrown)}`;
    logger.debug("knock_failed", { reason });
    return reason;
  }
}

function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof LinkRefusedError)) return messageOf(thrown);
  return `${thrown.message}: ${readRefusal(thrown.status, thrown.body).message}`;
}

function found(
  { q, n, self, clusterId, clusterSecret, logger }: FormationOptions,
  porch: Porch,
  fresh: readonly LayoutMember[],
): FormedCluster {
  const members = new Map([self, ...fresh, ...porch.waiting.values()].map((one) => [one.id, one]));
  const layout = assignLayout({ version: 1, q, n, members: [...members.values()] });
  logger.info("cluster_founded", { nodes: members.size, partitions: q });
  return { clusterId, clusterSecret, layouts: LayoutState.first(layout) };
}

export function encodeVisitor(member: LayoutMember, replaces: string): Uint8Array {
  const writer = new ByteWriter(256);
  writer.u8(VERSION);
  writeMember(writer, member);
  writeText(writer, replaces);
  return writer.finish();
}

export interface Visitor {
  readonly visitor: LayoutMember;
  readonly replaces: string;
}

export function decodeVisitor(body: Uint8Array): Visitor {
  const reader = new ByteReader(body);
  try {
    checkVersion(reader);
    const visitor = readMember(reader);
    const replaces = readText(reader, MEMBER_TEXT_BYTES_MAX);
    reader.expectEnd();
    return { visitor, replaces };
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new HutchError("bad-request", `Cannot read the knock: ${cause.message}`, { cause });
  }
}

export function encodeAnswer(answer: FormedCluster | LayoutMember, life: LifeTimes): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u8(VERSION);
  for (const ms of [life.beforeMs, life.startedMs, life.nowMs]) writer.varint(Math.max(0, ms));
  if ("clusterId" in answer) {
    writer.u8(FORMED);
    writer.raw(answer.clusterId);
    writer.raw(answer.clusterSecret);
    writer.raw(answer.layouts.encode());
  } else {
    writer.u8(FRESH);
    writeMember(writer, answer);
  }
  return writer.finish();
}

export interface Answer {
  readonly life: LifeTimes;
  readonly answer: FormedCluster | LayoutMember;
}

export function decodeAnswer(body: Uint8Array): Answer {
  const reader = new ByteReader(body);
  checkVersion(reader);
  const life = { beforeMs: reader.varint(), startedMs: reader.varint(), nowMs: reader.varint() };
  if (reader.u8() === FRESH) return { life, answer: readMember(reader) };
  const clusterId = reader.raw(ID_BYTES).slice();
  const clusterSecret = reader.raw(ID_BYTES).slice();
  const layouts = LayoutState.decode(reader.raw(reader.remaining).slice());
  return { life, answer: { clusterId, clusterSecret, layouts } };
}

function checkVersion(reader: ByteReader): void {
  if (reader.u8() !== VERSION) throw new DecodeError("Cannot read: another version");
}
