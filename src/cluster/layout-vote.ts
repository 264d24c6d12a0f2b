/**
 * So that a version has one content (R57): the members of the newest layout agree on the next one, by single-decree Paxos for each version number. Members
 * that the change removes have a vote like all others, so the small side of a partition cannot remove the large one.
 *
 *   prepare   a member promises to hear no lower ballot, and tells what it has accepted
 *   accept    it accepts the content unless it has promised a higher ballot since
 *   chosen    a majority has accepted: nothing else can be chosen for this version, whoever tries
 *
 * A proposer that meets a content which may have been chosen already finishes that one instead of its own. What a member promises is on its disk before it
 * answers. (Lamport, Paxos Made Simple, 2001.)
 *
 * A member whose promise was lost to damage has no vote until it has asked what the others have promised and accepted, when all ballots of that time are over, and
 * heard so many that each majority that it was part of has somebody among them.
 *
 *   propose   u8 1 | u8 phase | base version varint | base hash u32 | ballot | proposal, for accept only
 *   reply     u8 granted | ballot promised | u8 1 and ballot and proposal accepted, or u8 0
 *   ballot    round varint | node 8          proposal   layout bytes | lost count varint | id 8 ...
 */
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { CorruptionError, HutchError } from "../base/errors.ts";
import { readNode } from "../causality/actor.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import type { Random } from "../ports/random.ts";
import type { LayoutState } from "../ring/layout-state.ts";
import {
  type Layout,
  LAYOUT_MEMBERS_MAX,
  decodeLayout,
  encodeLayout,
  layoutHash,
} from "../ring/layout.ts";
import { WriteBatch } from "../storage/store.ts";
import { readCount, writeNodeId } from "./peer-codec-fields.ts";
import type { Peers } from "./peer-messages.ts";
import { type ReplicaStore, systemKey } from "./replica-store.ts";

const PROMISE_KEY = systemKey("layout-promise");
const FORMAT = 1;
const VOTE_TIMEOUT_MS = 2000;
const BALLOTS_MAX = 5;
const PAUSE_MS = 100;
/** Above every ballot. */
const ABSTAINING = Number.MAX_SAFE_INTEGER;
const PREPARE = 1;
const ACCEPT = 2;
/** Not a ballot: what has been promised and accepted? */
const TELL = 3;
/** By then nobody counts votes any more that were given before. */
const RECOVER_AFTER_MS = 2.5 * VOTE_TIMEOUT_MS;

/** A layout, and who is gone for good with it. */
export interface Proposal {
  readonly layout: Layout;
  readonly lost: readonly NodeId[];
}

export interface Ballot {
  readonly round: number;
  readonly node: NodeId;
}

export interface Accepted {
  readonly ballot: Ballot;
  readonly proposal: Proposal;
}

/** What a member has promised for one version. */
interface Promised {
  readonly version: number;
  readonly ballot: Ballot;
  readonly accepted: Accepted | undefined;
}

export interface Question {
  readonly phase: number;
  readonly baseVersion: number;
  readonly baseHash: number;
  readonly ballot: Ballot;
  readonly proposal: Proposal | undefined;
}

export interface Vote {
  readonly isGranted: boolean;
  readonly promised: Ballot;
  readonly accepted: Accepted | undefined;
}

const NO_BALLOT: Ballot = { round: 0, node: "00".repeat(8) };
const NO_VOTE: Vote = { isGranted: false, promised: NO_BALLOT, accepted: undefined };

export interface LayoutVotesOptions {
  readonly self: NodeId;
  readonly store: ReplicaStore;
  readonly peers: Peers;
  readonly clock: Clock;
  readonly random: Random;
}

export class LayoutVotes {
  private readonly options: LayoutVotesOptions;
  private readonly state: () => LayoutState;
  /** What is promised is read, decided and written in turn. */
  private turn: Promise<unknown> = Promise.resolve();

  constructor(options: LayoutVotesOptions, state: () => LayoutState) {
    this.options = options;
    this.state = state;
  }

  /**
   * What has been chosen for the version of `wanted`: `wanted` itself, or what somebody else has proposed before. Rejects with `layout-conflict` where no
   * majority can be had.
   */
  async elect(wanted: Proposal): Promise<Proposal> {
    const { clock, random, self } = this.options;
    const { newest: base, removed } = this.state();
    const voters = base.members.map(({ id }) => id).filter((id) => !removed.has(id));
    const needed = Math.floor(voters.length / 2) + 1;
    let round = 0;
    let granted = 0;
    for (let attempt = 0; attempt < BALLOTS_MAX; attempt++) {
      if (attempt > 0) await clock.sleep(PAUSE_MS * attempt * (1 + (random.u32() % 1000) / 250));
      if (this.state().newest.version !== base.version) break;
      const ballot = { round: round + 1, node: self };
      const question = {
        phase: PREPARE,
        baseVersion: base.version,
        baseHash: layoutHash(base),
        ballot,
        proposal: undefined,
      };
      const promises = await this.askAll(voters, question);
      round = Math.max(round + 1, ...promises.map(({ promised }) => promised.round));
      granted = countGranted(promises);
      if (granted < needed) continue;
      const proposal = highestAccepted(promises) ?? wanted;
      const votes = await this.askAll(voters, { ...question, phase: ACCEPT, proposal });
      granted = countGranted(votes);
      if (granted >= needed) return proposal;
    }
    throw new HutchError(
      "layout-conflict",
      `Cannot apply the layout: ${granted} of ${voters.length} members agree, want ${needed}; another change may be under way, or too few members are up`,
      { retry: "safe", data: { granted, needed } },
    );
  }

  private askAll(voters: readonly NodeId[], question: Question): Promise<Vote[]> {
    const body = encodeQuestion(question);
    return Promise.all(voters.map((node) => this.ask(node, body)));
  }

  private async ask(node: NodeId, body: Uint8Array): Promise<Vote> {
    const { self, peers } = this.options;
    try {
      if (node === self) return decodeVote(await this.answer(body));
      const message = { kind: "exchange", topic: "propose", body } as const;
      const reply = await peers.call(node, message, VOTE_TIMEOUT_MS, "client");
      return reply.kind === "exchange" ? decodeVote(reply.body) : NO_VOTE;
    } catch {
      // Who does not answer has not voted.
      return NO_VOTE;
    }
  }

  /** This node's vote. Throws `DecodeError` for a body that is no question. */
  answer(body: Uint8Array): Promise<Uint8Array> {
    return this.inTurn(() => this.vote(decodeQuestion(body))).then(encodeVote);
  }

  private inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.turn.then(work);
    this.turn = turn.catch(() => undefined);
    return turn;
  }

  private async vote({ phase, baseVersion, baseHash, ballot, proposal }: Question): Promise<Vote> {
    const { newest, conflicts, nextVersion } = this.state();
    const isSameBase = baseVersion === newest.version && baseHash === layoutHash(newest);
    const known = this.promised(nextVersion);
    if (phase === TELL)
      return { isGranted: isSameBase, promised: known.ballot, accepted: known.accepted };
    // A promise that nobody can keep up with would stop the others.
    if (known.ballot.round === ABSTAINING)
      return { isGranted: false, promised: NO_BALLOT, accepted: undefined };
    const { accepted } = known;
    const isHigh =
      phase === PREPARE ? order(ballot, known.ballot) > 0 : order(ballot, known.ballot) >= 0;
    if (!isSameBase || conflicts.size > 0 || !isHigh)
      return { isGranted: false, promised: known.ballot, accepted };
    if (phase === PREPARE) {
      await this.promise({ version: nextVersion, ballot, accepted });
      return { isGranted: true, promised: ballot, accepted };
    }
    if (proposal?.layout.version !== nextVersion)
      return { isGranted: false, promised: known.ballot, accepted };
    await this.promise({ version: nextVersion, ballot, accepted: { ballot, proposal } });
    return { isGranted: true, promised: ballot, accepted: undefined };
  }

  /** Takes up where the last life of the node was. */
  start(): void {
    const { nextVersion } = this.state();
    if (this.isAbstaining(nextVersion)) this.recoverLater(nextVersion);
  }

  /** False where damage hides it: then it is about to be said. */
  private isAbstaining(version: number): boolean {
    try {
      return this.promised(version).ballot.round === ABSTAINING;
    } catch (thrown) {
      if (thrown instanceof CorruptionError) return false;
      throw thrown;
    }
  }

  /** What was promised for the next version is lost: this node has no vote on it. Settles when that is on disk. */
  abstain(): Promise<void> {
    const highest = { round: ABSTAINING, node: NO_BALLOT.node };
    const { nextVersion } = this.state();
    this.recoverLater(nextVersion);
    return this.promise({ version: nextVersion, ballot: highest, accepted: undefined });
  }

  private recoverLater(version: number): void {
    this.options.clock.after(RECOVER_AFTER_MS, () => {
      this.recover(version).catch(() => this.recoverLater(version));
    });
  }

  /** Takes over what the others tell; until enough of them do who have kept their promises, this member has no vote. */
  private async recover(version: number): Promise<void> {
    const { newest, removed, nextVersion } = this.state();
    if (nextVersion !== version || !this.isAbstaining(version)) return;
    const voters = newest.members.map(({ id }) => id).filter((id) => !removed.has(id));
    const others = voters.filter((id) => id !== this.options.self);
    const base = { baseVersion: newest.version, baseHash: layoutHash(newest) };
    const question = { phase: TELL, ...base, ballot: NO_BALLOT, proposal: undefined };
    const answers = await this.askAll(others, question);
    const kept = answers.filter(
      ({ isGranted, promised }) => isGranted && promised.round !== ABSTAINING,
    );
    // Every majority that this member was part of has then somebody who has told.
    const needed = Math.floor(voters.length / 2) + 1;
    if (others.length - kept.length > needed - 2) return this.recoverLater(version);
    let ballot = NO_BALLOT;
    for (const { promised } of kept) if (order(promised, ballot) > 0) ballot = promised;
    const accepted = highestOf(kept);
    await this.inTurn(async () => {
      if (this.state().nextVersion === version) await this.promise({ version, ballot, accepted });
    });
  }

  /** Of an earlier version is of no interest any more. */
  private promised(version: number): Promised {
    const nothing = { version, ballot: NO_BALLOT, accepted: undefined };
    const stored = this.options.store.get(PROMISE_KEY);
    if (stored === undefined) return nothing;
    const reader = new ByteReader(stored.value.slice());
    if (reader.u8() !== FORMAT || reader.varint() !== version) return nothing;
    const { promised: ballot, accepted } = readVote(reader);
    return { version, ballot, accepted };
  }

  private async promise({ version, ballot, accepted }: Promised): Promise<void> {
    const writer = new ByteWriter(256);
    writer.u8(FORMAT);
    writer.varint(version);
    writeVote(writer, { isGranted: true, promised: ballot, accepted });
    await this.options.store.apply(new WriteBatch().put(PROMISE_KEY, writer.finish()));
  }
}

function countGranted(votes: readonly Vote[]): number {
  return votes.filter(({ isGranted }) => isGranted).length;
}

function highestAccepted(votes: readonly Vote[]): Proposal | undefined {
  return highestOf(votes.filter(({ isGranted }) => isGranted))?.proposal;
}

function highestOf(votes: readonly Vote[]): Accepted | undefined {
  let highest: Accepted | undefined;
  for (const { accepted } of votes)
    if (accepted !== undefined)
      if (highest === undefined || order(accepted.ballot, highest.ballot) > 0) highest = accepted;
  return highest;
}

function order(a: Ballot, b: Ballot): number {
  return a.round - b.round || (a.node === b.node ? 0 : a.node < b.node ? -1 : 1);
}

export function encodeQuestion(question: Question): Uint8Array {
  const { phase, baseVersion, baseHash, ballot, proposal } = question;
  const writer = new ByteWriter(1024);
  writer.u8(FORMAT);
  writer.u8(phase);
  writer.varint(baseVersion);
  writer.u32(baseHash);
  writeBallot(writer, ballot);
  if (proposal !== undefined) writeProposal(writer, proposal);
  return writer.finish();
}

export function decodeQuestion(body: Uint8Array): Question {
  const reader = new ByteReader(body);
  const format = reader.u8();
  const phase = reader.u8();
  if (format !== FORMAT || phase < PREPARE || phase > TELL)
    throw new DecodeError(`Cannot read a proposal of format ${format}, phase ${phase}`);
  const baseVersion = reader.varint();
  const baseHash = reader.u32();
  const ballot = readBallot(reader);
  const proposal = phase === ACCEPT ? readProposal(reader) : undefined;
  reader.expectEnd();
  return { phase, baseVersion, baseHash, ballot, proposal };
}

export function encodeVote(vote: Vote): Uint8Array {
  const writer = new ByteWriter(256);
  writeVote(writer, vote);
  return writer.finish();
}

export function decodeVote(body: Uint8Array): Vote {
  return readVote(new ByteReader(body));
}

function writeVote(writer: ByteWriter, { isGranted, promised, accepted }: Vote): void {
  writer.u8(isGranted ? 1 : 0);
  writeBallot(writer, promised);
  writer.u8(accepted === undefined ? 0 : 1);
  if (accepted === undefined) return;
  writeBallot(writer, accepted.ballot);
  writeProposal(writer, accepted.proposal);
}

function readVote(reader: ByteReader): Vote {
  const isGranted = reader.u8() === 1;
  const promised = readBallot(reader);
  const accepted =
    reader.u8() === 1 ? { ballot: readBallot(reader), proposal: readProposal(reader) } : undefined;
  reader.expectEnd();
  return { isGranted, promised, accepted };
}

function writeBallot(writer: ByteWriter, { round, node }: Ballot): void {
  writer.varint(round);
  writeNodeId(writer, node);
}

function readBallot(reader: ByteReader): Ballot {
  return { round: reader.varint(), node: readNode(reader) };
}

function writeProposal(writer: ByteWriter, { layout, lost }: Proposal): void {
  writer.bytes(encodeLayout(layout));
  writer.varint(lost.length);
  for (const node of lost) writeNodeId(writer, node);
}

function readProposal(reader: ByteReader): Proposal {
  const layout = decodeLayout(reader.view());
  const count = readCount(reader, LAYOUT_MEMBERS_MAX, 8);
  return { layout, lost: Array.from({ length: count }, () => readNode(reader)) };
}
