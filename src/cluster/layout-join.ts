/**
 * How a node becomes a member of a cluster that is running (R57, row 103).
 *
 *   the node     asks one member after the other to be staged, again and again, until a layout names it
 *   the member   checks that nobody else has the name, stages the join, and, where that is wanted, applies it a little later: nodes that come together are one
 *                layout version. While another change is under way it waits, unless somebody takes the place of a lost node
 *
 *   join    u8 1 | u8 1 = apply it, 0 = only stage it | member | name of the node that it replaces, a text, may be empty
 *   reply   u8 1
 */
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import {
  type LayoutMember,
  MEMBER_TEXT_BYTES_MAX,
  readMember,
  writeMember,
} from "../ring/layout.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { LayoutControl } from "./layout-control.ts";
import { readText, writeText } from "./peer-codec-fields.ts";
import type { Peers } from "./peer-messages.ts";

const FORMAT = 1;
const ASK_EVERY_MS = 1000;
const ASK_TIMEOUT_MS = 3000;
const TAKEN = new Uint8Array([1]);

export interface JoinOptions {
  readonly self: LayoutMember;
  /** Name of the member whose place this node takes; empty for none. */
  readonly replaces: string;
  /** Joins that are staged here are applied without anybody's further doing. */
  readonly isApplied: boolean;
  /** From a join that is staged to the layout with it: whoever comes within this time is in the same version. */
  readonly settleMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly peers: Peers;
  readonly layouts: LayoutControl;
  view(): ClusterView;
  /** The cluster will not have this node. */
  onRefused(error: HutchError): void;
}

export class LayoutJoin {
  private readonly options: JoinOptions;
  private asking: Timer | undefined;
  private applying: Timer | undefined;
  private isStopped = false;

  constructor(options: JoinOptions) {
    this.options = options;
  }

  /** Asks to be let in, if no layout names this node. */
  start(): void {
    if (!this.isMember()) void this.ask();
    // A change that was staged when the node stopped is still wanted.
    this.applyLater();
  }

  stop(): void {
    this.isStopped = true;
    this.asking?.cancel();
    this.applying?.cancel();
  }

  /** Of any active layout: who is on its way out does not ask to be let in again. */
  private isMember(): boolean {
    const { self, layouts } = this.options;
    return layouts.state().members.has(self.id);
  }

  private async ask(): Promise<void> {
    const { clock, logger, random, view, self } = this.options;
    if (this.isStopped || this.isMember() || this.isGone()) return;
    const members = [...view().planned.keys()].filter((id) => id !== self.id);
    const node = members[random.u32() % Math.max(1, members.length)];
    try {
      if (node !== undefined) await this.askOne(node);
    } catch (thrown) {
      if (thrown instanceof HutchError && REFUSALS.has(thrown.code)) {
        this.options.onRefused(thrown);
        return;
      }
      logger.info("join_waits", { node, reason: messageOf(thrown) });
    }
    if (!this.isStopped) this.asking = clock.after(ASK_EVERY_MS, () => void this.ask());
  }

  private isGone(): boolean {
    const { self, layouts } = this.options;
    return layouts.state().removed.has(self.id);
  }

  private async askOne(node: NodeId): Promise<void> {
    const { peers, self, replaces, isApplied } = this.options;
    const body = encodeJoin({ member: self, isApplied, replaces });
    const message = { kind: "exchange", topic: "join", body } as const;
    const reply = await peers.call(node, message, ASK_TIMEOUT_MS, "client");
    if (reply.kind === "failed") throw new HutchError(reply.code, reply.message);
  }

  /** A node asks to be let in. Throws `duplicate-node-id`, `node-alive`, `layout-conflict`, `DecodeError`. */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    const { member, isApplied, replaces } = decodeJoin(body);
    const { layouts } = this.options;
    const replaced = this.placeOf(member, replaces);
    const { newest, staged } = layouts.state();
    const isThere = newest.members.some(({ id }) => id === member.id);
    const isStaged = staged.get(member.id)?.kind === "join";
    if (!isThere && !isStaged)
      await layouts.stage([
        { kind: "join", member, ...(replaced !== undefined && { replaces: replaced }) },
      ]);
    if (!isThere && isApplied) this.applyLater();
    return TAKEN;
  }

  /** The id of the member that it replaces. */
  private placeOf(member: LayoutMember, replaces: string): NodeId | undefined {
    const { view, layouts } = this.options;
    const { newest } = layouts.state();
    const old = newest.members.find(({ name }) => name === replaces);
    const namesake = newest.members.find(
      ({ id, name }) => name === member.name && id !== member.id,
    );
    if (namesake !== undefined && namesake.id !== old?.id)
      throw new HutchError(
        "duplicate-node-id",
        `Cannot let the node in: another one is called "${member.name}"; want another name, the data directory that belongs to it, or --replace ${member.name} if that one is lost`,
      );
    if (replaces === "" || newest.members.some(({ id }) => id === member.id)) return undefined;
    if (old === undefined)
      throw new HutchError(
        "bad-request",
        `Cannot replace node "${replaces}": no member is called that`,
      );
    if (view().isUp(old.id))
      throw new HutchError(
        "node-alive",
        `Cannot replace node "${replaces}": it is up; want it stopped first`,
        { retry: "safe" },
      );
    return old.id;
  }

  private applyLater(): void {
    const { clock, random, settleMs } = this.options;
    if (this.applying !== undefined || this.isStopped) return;
    const delayMs = settleMs * (1 + (random.u32() % 1000) / 2000);
    this.applying = clock.after(delayMs, () => {
      this.applying = undefined;
      void this.applyStaged();
    });
  }

  /** Joins only: what else people stage they apply themselves. */
  private async applyStaged(): Promise<void> {
    const { layouts, logger, isApplied } = this.options;
    const { staged, nextVersion } = layouts.state();
    const changes = [...staged.values()];
    const areJoins = changes.length > 0 && changes.every(({ kind }) => kind === "join");
    if (!areJoins || !isApplied) return;
    // The change under way may wait for the very node whose place is taken.
    const isUrgent = changes.some(
      (change) => change.kind === "join" && change.replaces !== undefined,
    );
    try {
      if (isUrgent || layouts.progress() === undefined) await layouts.apply(nextVersion);
    } catch (thrown) {
      logger.info("join_not_applied", { version: nextVersion, reason: messageOf(thrown) });
    }
    this.applyLater();
  }
}

/** What asking again does not change. */
const REFUSALS: ReadonlySet<string> = new Set(["duplicate-node-id", "bad-request"]);

/** What a node says that wants to be let in. */
export interface JoinQuestion {
  readonly member: LayoutMember;
  readonly isApplied: boolean;
  /** A member's name, or "". */
  readonly replaces: string;
}

export function encodeJoin({ member, isApplied, replaces }: JoinQuestion): Uint8Array {
  const writer = new ByteWriter(256);
  writer.u8(FORMAT);
  writer.u8(isApplied ? 1 : 0);
  writeMember(writer, member);
  writeText(writer, replaces);
  return writer.finish();
}

export function decodeJoin(body: Uint8Array): JoinQuestion {
  const reader = new ByteReader(body);
  const format = reader.u8();
  if (format !== FORMAT) throw new DecodeError(`Cannot read a join of format ${format}`);
  const isApplied = reader.u8() === 1;
  const member = readMember(reader);
  const replaces = readText(reader, MEMBER_TEXT_BYTES_MAX);
  reader.expectEnd();
  return { member, isApplied, replaces };
}
