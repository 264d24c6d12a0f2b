/**
 * Fills datagrams: besides what it is for, each carries, in this order and as far as there is room,
 *
 *   what the receiver has to hear of itself    so that it can refute
 *   this node's record, if it is owed
 *   news                                       `broadcast-queue.ts`
 *   heartbeats                                 the newest, which the receiver is least likely to have, and some by chance, so that none starves
 */
import type { Beliefs, Turn } from "./beliefs.ts";
import { generationOf, type NodeId } from "./member.ts";
import type { Entry } from "./member-table.ts";
import { type Heartbeat, HEARTBEATS_MAX, type MessageKind, MessageWriter } from "./message.ts";
import { encodeUpdate } from "./update.ts";

/** Of the heartbeats of a datagram, as long as not all fit. */
const NEWEST_MAX = HEARTBEATS_MAX / 2;
const NO_HEARTBEATS: readonly Heartbeat[] = [];

export interface Letter {
  readonly kind: MessageKind;
  /** `host:port`. */
  readonly to: string;
  readonly target: NodeId;
  readonly sequence: number;
  /** Whom it goes to, where that is a member; only members get news. */
  readonly receiver: Entry | undefined;
  readonly isReached?: boolean;
}

export class Courier {
  readonly #beliefs: Beliefs;
  readonly #writer: MessageWriter;
  /** Counts the intervals since the start: what others tell a live process by. */
  heartbeat = 0;

  constructor(beliefs: Beliefs, clusterId: Uint8Array) {
    this.#beliefs = beliefs;
    this.#writer = new MessageWriter(clusterId);
  }

  send(letter: Letter, turn: Turn): void {
    const { receiver } = letter;
    this.#begin(letter);
    if (receiver !== undefined) this.#addNews(receiver, turn);
    const heartbeats = receiver === undefined ? NO_HEARTBEATS : this.#heartbeatsFor(receiver);
    turn.datagrams.push({ to: letter.to, bytes: this.#writer.finish(heartbeats) });
  }

  sendTo(
    receiver: Entry,
    kind: MessageKind,
    turn: Turn,
    sequence = 0,
    to = receiver.record.peerAddress,
  ): void {
    this.send({ kind, to, target: receiver.id, sequence, receiver }, turn);
  }

  /** Tells an earlier start of a member that it is history (R52): it hears of its successor and nothing else. */
  sendSuccessor(to: string, successor: Entry, turn: Turn): void {
    const { id, record } = successor;
    this.#begin({ kind: "news", to, target: id, sequence: 0, receiver: undefined });
    this.#writer.addUpdate(encodeUpdate({ kind: "record", record }));
    turn.datagrams.push({ to, bytes: this.#writer.finish(NO_HEARTBEATS) });
  }

  #begin({ kind, target, sequence, receiver, isReached = false }: Letter): void {
    const { self, table } = this.#beliefs;
    const { id: sender, incarnation, version } = self;
    const wantsRecord = receiver?.isBehind ?? false;
    const head = { kind, wantsRecord, isReached, sender, target, sequence };
    const { heartbeat } = this;
    this.#writer.begin({ ...head, incarnation, version, heartbeat, digest: table.digest });
  }

  #addNews(receiver: Entry, turn: Turn): void {
    const beliefs = this.#beliefs;
    const writer = this.#writer;
    const accusation = beliefs.accusationOf(receiver);
    if (accusation !== undefined) writer.addUpdate(accusation);
    const owes = turn.owesRecord || turn.hasOwnNews || receiver.liveness !== "alive";
    if (owes) writer.addUpdate(beliefs.ownUpdate);
    beliefs.queue.take(writer.updateBytesLeft, beliefs.nodeCount, (update) =>
      writer.addUpdate(update),
    );
  }

  #heartbeatsFor(receiver: Entry): Heartbeat[] {
    const { table } = this.#beliefs;
    const hasRoomForAll = table.size <= HEARTBEATS_MAX;
    const picked = new Set<Entry>();
    const newestMax = hasRoomForAll ? HEARTBEATS_MAX : NEWEST_MAX;
    let entry = table.newest;
    for (; entry !== undefined && picked.size < newestMax; entry = entry.older)
      if (entry !== receiver) picked.add(entry);
    if (!hasRoomForAll)
      for (const other of table.schedule.sample(HEARTBEATS_MAX - picked.size, isTalkedOf))
        if (other !== receiver) picked.add(other);
    return Array.from(picked, ({ id, incarnation, heartbeat }) => ({
      id,
      generation: generationOf(incarnation),
      heartbeat,
    }));
  }
}

function isTalkedOf({ heartbeat, liveness }: Entry): boolean {
  return heartbeat >= 0 && liveness !== "down";
}
