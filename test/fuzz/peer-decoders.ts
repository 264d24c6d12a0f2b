/** The link between two nodes, the messages on it, and datagrams. */
import fc from "fast-check";
import { concatBytes, utf8 } from "../../src/base/bytes.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { MessageReader, framesOf } from "../../src/bun/peer-frames.ts";
import { parsePeerAddress } from "../../src/bun/peer-address.ts";
import { decodeHello as decodeHelloText } from "../../src/bun/peer-http.ts";
import { decodeReply, encodeReply, REPLY_CODES } from "../../src/cluster/peer-codec-replies.ts";
import {
  decodeRequest,
  encodeRequest,
  REQUEST_CODES,
} from "../../src/cluster/peer-codec-requests.ts";
import { errorOfReply, failedReplyOf } from "../../src/cluster/peer-failure.ts";
import type { PeerReply, PeerRequest } from "../../src/cluster/peer-messages.ts";
import * as protocol from "../../src/cluster/peer-protocol.ts";
import { readRefusal, refusedLink } from "../../src/cluster/peer-refusal.ts";
import { decodeMessage, type Message } from "../../src/gossip/message.ts";
import {
  decodeTable,
  encodeTable,
  encodeUpdate,
  readUpdate,
  type Update,
} from "../../src/gossip/update.ts";
import { crc32 } from "../../src/kernels/kernels.ts";
import {
  arbitraryFramedRequest,
  arbitraryReply,
  arbitraryRequest,
} from "../support/arbitrary-peer-message.ts";
import * as some from "./arbitrary-cluster.ts";
import { type Decoder, decoder, encoded, readAll, REFUSED } from "./decoder.ts";

const { bytes, nodeId, whole } = some;

/** A copy of `damaged` with `value` as a u32 at `at`, if there is room. */
function withU32(damaged: Uint8Array, at: number, value: number): Uint8Array {
  const sealed = damaged.slice();
  if (sealed.length >= at + 4) new DataView(sealed.buffer).setUint32(at, value, true);
  return sealed;
}

// The link.

const hello: fc.Arbitrary<protocol.Hello> = fc.record({
  versions: fc.constantFrom({ min: 1, max: 1 }, { min: 1, max: 9 }),
  purpose: fc.constantFrom("member" as const, "knock" as const),
  clusterId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  clusterName: fc.string({ maxLength: 20 }),
  nodeId,
  incarnation: whole,
});

type Framed =
  | { readonly id: number; readonly request: PeerRequest }
  | { readonly id: number; readonly reply: PeerReply };

const framed: fc.Arbitrary<Framed> = fc.oneof(
  fc.record({ id: fc.nat(), request: arbitraryFramedRequest }),
  fc.record({ id: fc.nat(), reply: arbitraryReply }),
);

function batchOf(frames: readonly Framed[]): Uint8Array {
  const writer = new ByteWriter(1024);
  for (const frame of frames)
    if ("request" in frame) protocol.writeRequestFrame(writer, frame.id, frame.request);
    else protocol.writeReplyFrame(writer, frame.id, frame.reply);
  const batch = protocol.beginBatch(writer.length, protocol.VERSIONS.max);
  batch.raw(writer.view());
  return protocol.sealBatch(batch, 12_345).slice();
}

function framesIn(input: Uint8Array): unknown[] {
  const frames = new protocol.FrameReader(input, protocol.VERSIONS.max);
  const found: unknown[] = [frames.sentAtMs];
  while (frames.next()) {
    const { id, isReply, budgetMs } = frames;
    const content = isReply ? frames.readReply() : frames.readRequest();
    found.push({ id, isReply, budgetMs, content });
  }
  return found;
}

/** The chunks that a network makes of a stream: what comes is in the first byte's gift. */
function messagesIn(input: Uint8Array): Uint8Array[] | typeof REFUSED {
  const messages: Uint8Array[] = [];
  const reader = new MessageReader((message) => messages.push(message));
  const step = 1 + (input.length % 7);
  for (let at = 0; at < input.length; at += step)
    if (!reader.take(input.subarray(at, at + step))) return REFUSED;
  return messages;
}

const link: readonly Decoder[] = [
  decoder({
    name: "hello",
    covers: ["cluster/peer-protocol.ts decodeHello", "cluster/peer-codec-fields.ts readText"],
    valid: hello.map(protocol.encodeHello),
    decode: protocol.decodeHello,
    refusals: ["decode"],
    sealed: "whole",
    reseal: (damaged) => withU32(damaged, 0, crc32(damaged.subarray(4))),
  }),
  decoder({
    name: "hello as text",
    covers: ["bun/peer-http.ts decodeHello"],
    valid: hello.map((one) => utf8(protocol.encodeHello(one).toBase64({ alphabet: "base64url" }))),
    decode: (input) => decodeHelloText(Buffer.from(input).toString("latin1"), 4096) ?? REFUSED,
    refusals: [],
  }),
  decoder({
    name: "refused link",
    covers: ["cluster/peer-refusal.ts readRefusal"],
    valid: fc
      .tuple(fc.string(), fc.string())
      .map(
        ([code, message]) =>
          (refusedLink({ status: 400, code, message }) as { body: Uint8Array }).body,
      ),
    decode: (input) => readRefusal(400, input),
    refusals: [],
  }),
  decoder({
    name: "peer address",
    covers: ["bun/peer-address.ts parsePeerAddress"],
    valid: fc.constantFrom("127.0.0.1:7101", "[::1]:7101", "localhost:1").map(utf8),
    decode: (input) => parsePeerAddress(Buffer.from(input).toString("latin1")) ?? REFUSED,
    refusals: [],
  }),
  decoder({
    name: "stream of messages",
    covers: ["bun/peer-frames.ts MessageReader"],
    valid: fc.array(bytes, { maxLength: 4 }).map((messages) => concatBytes(...framesOf(messages))),
    decode: messagesIn,
    encode: (messages: Uint8Array[]) => concatBytes(...framesOf(messages)),
    refusals: [],
  }),
  decoder({
    name: "batch of frames",
    covers: ["cluster/peer-protocol.ts FrameReader", "cluster/peer-trace.ts readTrace"],
    valid: fc.array(framed, { maxLength: 3 }).map(batchOf),
    decode: framesIn,
    refusals: ["decode"],
    sealed: "whole",
    reseal: (damaged) => withU32(damaged, 1, crc32(damaged.subarray(5))),
  }),
];

// Requests and replies, without the batch around them.

const requestOf = (request: PeerRequest): Uint8Array =>
  encoded((writer) => {
    writer.u8(REQUEST_CODES[request.kind]);
    encodeRequest(writer, request);
  });
const replyOf = (reply: PeerReply): Uint8Array =>
  encoded((writer) => {
    writer.u8(REPLY_CODES[reply.kind]);
    encodeReply(writer, reply);
  });

/** Facts of failures that are too long stay behind when they are passed on, so those are not compared. */
const isPassedOnWhole = (reply: PeerReply): boolean => reply.kind !== "failed";

const messages: readonly Decoder[] = [
  decoder({
    name: "request",
    covers: [
      "cluster/peer-codec-requests.ts decodeRequest",
      "cluster/peer-codec-write.ts decodeWriteRequest",
      "cluster/peer-codec-fields.ts readFlags",
      "cluster/peer-codec-fields.ts readBoolean",
      "cluster/peer-codec-fields.ts readChoice",
      "cluster/peer-codec-fields.ts readFixedOrEmpty",
    ],
    valid: arbitraryRequest.map(requestOf),
    decode: (input) => readAll(input, (reader) => decodeRequest(reader.u8(), reader)) ?? REFUSED,
    encode: requestOf,
    refusals: ["decode"],
  }),
  decoder({
    name: "reply",
    covers: [
      "cluster/peer-codec-replies.ts decodeReply",
      "cluster/peer-codec-fields.ts readCount",
      "cluster/peer-failure.ts decodeFailed",
    ],
    valid: arbitraryReply.filter(isPassedOnWhole).map(replyOf),
    decode: (input) => {
      const reply = readAll(input, (reader) => decodeReply(reader.u8(), reader));
      return isPassedOnWhole(reply) ? reply : REFUSED;
    },
    encode: replyOf,
    refusals: ["decode"],
  }),
  decoder({
    name: "failed reply",
    covers: ["cluster/peer-failure.ts decodeFailed"],
    valid: arbitraryReply.filter((reply) => !isPassedOnWhole(reply)).map(replyOf),
    decode: (input) => {
      const reply = readAll(input, (reader) => decodeReply(reader.u8(), reader));
      // A node throws it, another one tells its client: both have to be possible.
      if (reply.kind === "failed") replyOf(failedReplyOf(errorOfReply(reply)));
      return reply;
    },
    refusals: ["decode"],
  }),
];

// Gossip.

const datagramCrcAt = 1;
const gossip: readonly Decoder[] = [
  decoder({
    name: "datagram",
    covers: ["gossip/message.ts decodeMessage", "gossip/update.ts readNodeId"],
    valid: some.datagram,
    decode: (input) => {
      const message = decodeMessage(input, some.CLUSTER_ID);
      return typeof message === "string" ? REFUSED : message;
    },
    encode: (message: Message) => some.datagramOf(message),
    refusals: [],
    sealed: "whole",
    reseal: (damaged) => withU32(damaged, datagramCrcAt, crc32(damaged.subarray(5))),
  }),
  decoder({
    name: "update",
    covers: ["gossip/update.ts readUpdate"],
    valid: some.update.map(encodeUpdate),
    decode: (input) => readAll(input, readUpdate),
    encode: (update: Update) => encodeUpdate(update),
    refusals: ["decode"],
  }),
  decoder({
    name: "table of members",
    covers: ["gossip/update.ts decodeTable"],
    valid: some.memberTable.map(encodeTable),
    decode: decodeTable,
    encode: encodeTable,
    refusals: ["decode"],
  }),
];

export const PEER_DECODERS: readonly Decoder[] = [...link, ...messages, ...gossip];
