/**
 * The opaque text form of a causal context, `X-Causal-Context` (R13). Clients are not trusted with it:
 *
 *   version u8 = 1 | cluster fingerprint u32 | key fingerprint u32 | greatest hlc covered varint
 *   | vector: groups varint, each: node id 8, entries varint, each: incarnation varint, counter varint
 *   | dots varint, each: node id 8, incarnation varint, counter varint
 *   | SipHash-2-4 of all that under the cluster secret, 8 bytes                                       in base64url
 *
 * It means something only for the key and the cluster it was made for. Whoever uses it lowers its counters to what is known (`clampContext`).
 * With at most 128 entries (docs/decisions/context-bound.md) it stays below 8 KiB: 128 x (8 + 1 + 5 + 8) bytes x 4/3 = 3.8 KB.
 */
import { ByteReader, DecodeError, readU32 } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { base64url, fromBase64url } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import {
  type Actor,
  incarnationOf,
  joinActor,
  nodeOf,
  readIncarnation,
  readNode,
  writeNode,
} from "./actor.ts";
import type { CausalContext, ContextEntry } from "./causal-context.ts";
import { MAC_BYTES, isSealed, seal } from "./mac.ts";

export const CONTEXT_TOKEN_CHARACTERS_MAX = 8192;
const VERSION = 1;

export interface DecodedContext extends CausalContext {
  /** The greatest hlc among the values covered, for R21. */
  readonly hlc: number;
}

export class ContextTokens {
  private readonly cluster: number;
  private readonly secret: Uint8Array;
  private readonly scratch = new ByteWriter(512);

  constructor(clusterId: Uint8Array, secret: Uint8Array) {
    this.cluster = readU32(clusterId, 0);
    this.secret = secret;
  }

  /** @param key fingerprint of bucket and key */
  encode(key: number, context: CausalContext, hlc: number): string {
    const { entries, dots } = context;
    if (entries.length === 1 && dots.length === 0)
      return this.encodeSingle(key, entries[0]!.actor, entries[0]!.counter, hlc);
    const writer = this.begin(key, hlc);
    writeVector(writer, context.entries);
    writer.varint(context.dots.length);
    for (const dot of context.dots) {
      writeNode(writer, dot.actor);
      writer.varint(incarnationOf(dot.actor));
      writer.varint(dot.counter);
    }
    return this.finish(writer);
  }

  /** `encode` of a vector with one entry, without building it. */
  encodeSingle(key: number, actor: Actor, counter: number, hlc: number): string {
    const writer = this.begin(key, hlc);
    writer.u8(1);
    writeNode(writer, actor);
    writer.u8(1);
    writer.varint(incarnationOf(actor));
    writer.varint(counter);
    writer.u8(0);
    return this.finish(writer);
  }

  private begin(key: number, hlc: number): ByteWriter {
    const writer = this.scratch;
    writer.reset();
    writer.u8(VERSION);
    writer.u32(this.cluster);
    writer.u32(key);
    writer.varint(hlc);
    return writer;
  }

  private finish(writer: ByteWriter): string {
    seal(writer, this.secret);
    return base64url(writer.view());
  }

  /** Throws `bad-context` for what is no token of any kind, `context-mismatch` for one of another key or cluster. */
  decode(key: number, token: string): DecodedContext {
    const bytes = token.length <= CONTEXT_TOKEN_CHARACTERS_MAX ? fromBase64url(token) : undefined;
    if (bytes === undefined) throw badContext("it is not a token");
    try {
      return this.read(new ByteReader(bytes, 0, Math.max(0, bytes.length - MAC_BYTES)), key);
    } catch (thrown) {
      if (thrown instanceof DecodeError) throw badContext("it is damaged");
      throw thrown;
    }
  }

  private read(reader: ByteReader, key: number): DecodedContext {
    if (reader.u8() !== VERSION) throw badContext("its version is unknown");
    if (reader.u32() !== this.cluster) throw mismatch("cluster");
    if (!isSealed(reader.bytes, this.secret)) throw badContext("its seal is broken");
    if (reader.u32() !== key) throw mismatch("key");
    const hlc = reader.varint();
    const entries = readVector(reader);
    const dots = readDots(reader);
    reader.expectEnd();
    return { entries, dots, hlc };
  }
}

function writeVector(writer: ByteWriter, entries: readonly ContextEntry[]): void {
  const nodes = entries.map((entry) => nodeOf(entry.actor));
  const starts = nodes.flatMap((node, i) => (i === 0 || nodes[i - 1] !== node ? [i] : []));
  writer.varint(starts.length);
  starts.forEach((start, group) => {
    const end = starts[group + 1] ?? entries.length;
    writeNode(writer, entries[start]!.actor);
    writer.varint(end - start);
    for (const { actor, counter } of entries.slice(start, end)) {
      writer.varint(incarnationOf(actor));
      writer.varint(counter);
    }
  });
}

function readVector(reader: ByteReader): ContextEntry[] {
  const entries: ContextEntry[] = [];
  const groups = reader.varint();
  for (let group = 0; group < groups; group++) {
    const node = readNode(reader);
    const count = reader.varint();
    for (let i = 0; i < count; i++)
      entries.push({ actor: joinActor(node, readIncarnation(reader)), counter: reader.varint() });
  }
  return entries;
}

function readDots(reader: ByteReader): ContextEntry[] {
  const dots: ContextEntry[] = [];
  const count = reader.varint();
  for (let i = 0; i < count; i++)
    dots.push({
      actor: joinActor(readNode(reader), readIncarnation(reader)),
      counter: reader.varint(),
    });
  return dots;
}

function badContext(why: string): HutchError {
  return new HutchError("bad-context", `Cannot use the causal context: ${why}`);
}

function mismatch(of: "cluster" | "key"): HutchError {
  return new HutchError(
    "context-mismatch",
    `Cannot use the causal context: it was made for another ${of}`,
  );
}
