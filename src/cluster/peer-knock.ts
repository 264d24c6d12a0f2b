/**
 * One question to a node of which only the address is known, before there is a cluster to share: may I come in? A link of its own, which ends with
 * the answer.
 */
import { DecodeError } from "../base/byte-reader.ts";
import type { Clock } from "../ports/clock.ts";
import type { Link, PeerAddress, Transport } from "../ports/transport.ts";
import type { FailedReply, KnockMessage, KnockReply } from "./peer-messages.ts";
import {
  beginBatch,
  commonVersion,
  decodeHello,
  encodeHello,
  FrameReader,
  type Hello,
  sealBatch,
  setBudget,
  writeRequestFrame,
} from "./peer-protocol.ts";
import { objection } from "./peer-refusal.ts";

const REQUEST_ID = 1;
/** Asks for nothing; the hello that comes back says who is there. */
export const EMPTY_KNOCK: KnockMessage = { kind: "knock", body: new Uint8Array(0) };

export interface KnockAnswer {
  /** Who answered. */
  readonly hello: Hello;
  readonly reply: KnockReply | FailedReply;
}

export interface KnockParts {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly address: PeerAddress;
  readonly hello: Hello;
  readonly timeoutMs: number;
}

/** Rejects with `LinkRefusedError`, `DecodeError` or an error that says what happened. */
export async function knock(parts: KnockParts, message: KnockMessage): Promise<KnockAnswer> {
  const { transport, clock, address, hello, timeoutMs } = parts;
  const deadlineMs = clock.monoMs() + timeoutMs;
  const answer = Promise.withResolvers<Uint8Array>();
  answer.promise.catch(() => undefined); // the link may end before anybody waits for it
  let link = undefined as Link | undefined; // set by a callback
  const welcome = await transport.connect(address, encodeHello(hello), timeoutMs, (opened) => {
    link = opened;
    return { message: answer.resolve, ended: (reason) => answer.reject(new Error(reason)) };
  });
  const late = (): void => answer.reject(new Error(`no answer within ${timeoutMs} ms`));
  const timer = clock.after(Math.max(0, deadlineMs - clock.monoMs()), late);
  try {
    const theirs = decodeHello(welcome);
    const version = agree(hello, theirs);
    link?.send(questionOf(message, version, deadlineMs - clock.monoMs()));
    return { hello: theirs, reply: replyOf(await answer.promise, version) };
  } finally {
    timer.cancel();
    link?.close();
  }
}

/** The version of the link. */
function agree(ours: Hello, theirs: Hello): number {
  const refusal = objection(ours, theirs);
  const version = commonVersion(ours.versions, theirs.versions);
  if (refusal !== undefined || version === undefined)
    throw new Error(`Cannot knock at "${theirs.nodeId}": ${refusal?.message}`);
  return version;
}

function questionOf(message: KnockMessage, version: number, budgetMs: number): Uint8Array {
  const batch = beginBatch(message.body.length + 32, version);
  const start = batch.length;
  writeRequestFrame(batch, REQUEST_ID, message);
  setBudget(batch, start, budgetMs);
  return sealBatch(batch);
}

function replyOf(bytes: Uint8Array, version: number): KnockReply | FailedReply {
  const frames = new FrameReader(bytes, version);
  if (!frames.next() || !frames.isReply || frames.id !== REQUEST_ID)
    throw new DecodeError("Cannot take message: it answers nothing that was asked");
  const reply = frames.readReply();
  if (reply.kind === "knock" || reply.kind === "failed") return reply;
  throw new DecodeError(`Cannot take reply: want knock, got ${reply.kind}`);
}
