/**
 * What one client has seen so far, carried by the client itself, `X-Session` (R7): read-your-writes and monotonic reads on any node.
 *
 *   version u8 = 1 | cluster fingerprint u32 | floor hlc varint
 *   | actors varint, each: node id 8, incarnation varint
 *   | keys varint, most recent first, each: key hash 8 bytes, dots varint, each: index of its actor varint, counter varint
 *   | marker u8 = 0x53 | SipHash-2-4, 8 bytes                                                                            in base64url
 *
 * Of each key it keeps the newest dot per actor among the values seen. A replica whose vector covers these has merged the states
 * that held them, and with that everything they had superseded, so the list need not name the past. Beyond 64 keys the oldest is forgotten
 * and the floor raised to what was seen of it: reads of keys that are not listed then need a quorum of owners.
 */
import { ByteReader, DecodeError, readU32 } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { base64url, fromBase64url } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import {
  type Actor,
  incarnationOf,
  joinActor,
  readIncarnation,
  readNode,
  writeNode,
} from "./actor.ts";
import type { ContextEntry } from "./causal-context.ts";
import { MAC_BYTES, isSealed, seal } from "./mac.ts";
import type { Siblings } from "./siblings.ts";

export const SESSION_KEYS_MAX = 64;
/** Dots kept of one key; with more concurrent actors the key counts as forgotten and the floor speaks for it. */
export const SESSION_DOTS_MAX = 16;
const SESSION_TOKEN_CHARACTERS_MAX = 64 * 1024;
const VERSION = 1;
const NEW_SESSION = "new";
/** Last byte before the seal: keeps a context token, sealed with the same secret, from passing for a session. */
const SESSION_MARKER = 0x53;

/** Two words that identify bucket and key. */
export interface KeyHash {
  readonly hashLow: number;
  readonly hashHigh: number;
}

export interface SessionKey extends KeyHash {
  readonly dots: readonly ContextEntry[];
}

export interface Session {
  /** 0 while no key was forgotten. */
  readonly floorHlc: number;
  readonly keys: readonly SessionKey[];
}

export const EMPTY_SESSION: Session = { floorHlc: 0, keys: [] };

/** What a session has seen of a key, or `undefined`. */
export function seenOf(session: Session, key: KeyHash): SessionKey | undefined {
  return session.keys.find((seen) => isSameKey(seen, key));
}

/**
 * Does a state with this vector contain all that the session saw of the key?
 *
 * @param outlivedHlc what is older may have been deleted and collected since, and nobody need know of it any more
 */
export function satisfies<P>(state: Siblings<P>, seen: SessionKey, outlivedHlc = 0): boolean {
  return seen.dots.every((dot) => dot.counter < outlivedHlc || isKnown(state, dot));
}

function isKnown<P>(state: Siblings<P>, { actor, counter }: ContextEntry): boolean {
  return state.some((entry) => entry.actor === actor && entry.counterMax >= counter);
}

/**
 * The session after it has seen `state` of `key`. What it had seen before and is not in there stays: a write may have been minted where that was not
 * known, on the other side of a partition.
 */
export function remember<P>(session: Session, key: KeyHash, state: Siblings<P>): Session {
  const before = seenOf(session, key)?.dots ?? [];
  const dots = [...newestDots(state), ...before.filter((dot) => !isKnown(state, dot))];
  const others = session.keys.filter((seen) => !isSameKey(seen, key));
  if (dots.length === 0) return session;
  const { hashLow, hashHigh } = key;
  const keys = dots.length > SESSION_DOTS_MAX ? others : [{ hashLow, hashHigh, dots }, ...others];
  const forgotten = keys.slice(SESSION_KEYS_MAX).flatMap((seen) => seen.dots);
  if (dots.length > SESSION_DOTS_MAX) forgotten.push(...dots);
  // Counters are clock readings, so the greatest one stands for the time when the key was seen.
  const floorHlc = forgotten.reduce((floor, dot) => Math.max(floor, dot.counter), session.floorHlc);
  return { floorHlc, keys: keys.slice(0, SESSION_KEYS_MAX) };
}

function newestDots<P>(state: Siblings<P>): ContextEntry[] {
  const dots: ContextEntry[] = [];
  for (const { actor, values } of state) {
    const newest = values.at(-1);
    if (newest !== undefined) dots.push({ actor, counter: newest.counter });
  }
  return dots;
}

function isSameKey(a: KeyHash, b: KeyHash): boolean {
  return a.hashLow === b.hashLow && a.hashHigh === b.hashHigh;
}

export class SessionTokens {
  private readonly cluster: number;
  private readonly secret: Uint8Array;

  constructor(clusterId: Uint8Array, secret: Uint8Array) {
    this.cluster = readU32(clusterId, 0);
    this.secret = secret;
  }

  encode(session: Session): string {
    const writer = new ByteWriter(256);
    writer.u8(VERSION);
    writer.u32(this.cluster);
    writer.varint(session.floorHlc);
    const actors = distinctActors(session);
    writer.varint(actors.size);
    for (const actor of actors.keys()) {
      writeNode(writer, actor);
      writer.varint(incarnationOf(actor));
    }
    writer.varint(session.keys.length);
    for (const key of session.keys) writeKey(writer, key, actors);
    writer.u8(SESSION_MARKER);
    seal(writer, this.secret);
    return base64url(writer.view());
  }

  /** `new` is the empty session. Throws `bad-session` for everything that this cluster has not made. */
  decode(token: string): Session {
    if (token === NEW_SESSION) return EMPTY_SESSION;
    const bytes = token.length <= SESSION_TOKEN_CHARACTERS_MAX ? fromBase64url(token) : undefined;
    if (bytes === undefined || !isSealed(bytes, this.secret)) throw badSession();
    try {
      return this.read(new ByteReader(bytes, 0, bytes.length - MAC_BYTES));
    } catch (thrown) {
      if (thrown instanceof DecodeError) throw badSession();
      throw thrown;
    }
  }

  private read(reader: ByteReader): Session {
    if (reader.u8() !== VERSION || reader.u32() !== this.cluster) throw badSession();
    const floorHlc = reader.varint();
    const actors = readActors(reader);
    const count = reader.varint();
    if (count > SESSION_KEYS_MAX) throw badSession();
    const keys: SessionKey[] = [];
    for (let i = 0; i < count; i++) keys.push(readKey(reader, actors));
    if (reader.u8() !== SESSION_MARKER) throw badSession();
    reader.expectEnd();
    return { floorHlc, keys };
  }
}

function distinctActors(session: Session): Map<Actor, number> {
  const actors = new Map<Actor, number>();
  for (const key of session.keys)
    for (const { actor } of key.dots) if (!actors.has(actor)) actors.set(actor, actors.size);
  return actors;
}

function writeKey(writer: ByteWriter, key: SessionKey, actors: ReadonlyMap<Actor, number>): void {
  writer.u32(key.hashLow);
  writer.u32(key.hashHigh);
  writer.varint(key.dots.length);
  for (const { actor, counter } of key.dots) {
    writer.varint(actors.get(actor)!);
    writer.varint(counter);
  }
}

function readActors(reader: ByteReader): Actor[] {
  const actors: Actor[] = [];
  const count = reader.varint();
  for (let i = 0; i < count; i++) actors.push(joinActor(readNode(reader), readIncarnation(reader)));
  return actors;
}

function readKey(reader: ByteReader, actors: readonly Actor[]): SessionKey {
  const hashLow = reader.u32();
  const hashHigh = reader.u32();
  const count = reader.varint();
  const dots: ContextEntry[] = [];
  for (let i = 0; i < count; i++) {
    const actor = actors[reader.varint()];
    if (actor === undefined) throw new DecodeError("Cannot read session: an actor is missing");
    dots.push({ actor, counter: reader.varint() });
  }
  return { hashLow, hashHigh, dots };
}

function badSession(): HutchError {
  return new HutchError("bad-session", "Cannot use the session: it is not a token of this cluster");
}
