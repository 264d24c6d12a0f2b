/**
 * Which trace a request between nodes belongs to. It travels behind the body of those requests that a client's operation is made of, and only where the
 * operation is traced; otherwise the bytes are as they were without tracing.
 *
 *   trace   trace id 16 | span id 8 | tracestate text (at most 512 printable characters)
 */
import { type ByteReader, DecodeError } from "../base/byte-reader.ts";
import type { ByteWriter } from "../base/byte-writer.ts";
import { hex } from "../base/bytes.ts";
import {
  isSpanId,
  isTraceId,
  isTraceState,
  TRACE_STATE_LENGTH_MAX,
  type TraceContext,
} from "../base/trace-context.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Tracer } from "../ports/tracer.ts";
import { readText, writeText } from "./peer-codec-fields.ts";
import { PeerError, type PeerReply, type PeerRequest } from "./peer-messages.ts";

const TRACE_ID_BYTES = 16;
const SPAN_ID_BYTES = 8;
/** With an empty tracestate. */
export const TRACE_BYTES_MIN = TRACE_ID_BYTES + SPAN_ID_BYTES + 1;

export function traceOf(request: PeerRequest): TraceContext | undefined {
  return isTraceable(request) ? request.trace : undefined;
}

export type TraceableRequest = Extract<
  PeerRequest,
  { readonly kind: "read" | "merge" | "hint" | "coordinate" }
>;

export function isTraceable(request: PeerRequest): request is TraceableRequest {
  const { kind } = request;
  return kind === "read" || kind === "merge" || kind === "hint" || kind === "coordinate";
}

export function writeTrace(writer: ByteWriter, { traceId, spanId, state }: TraceContext): void {
  writer.raw(Uint8Array.fromHex(traceId));
  writer.raw(Uint8Array.fromHex(spanId));
  writeText(writer, state);
}

export function readTrace(reader: ByteReader): TraceContext {
  const traceId = hex(reader.raw(TRACE_ID_BYTES));
  const spanId = hex(reader.raw(SPAN_ID_BYTES));
  const state = readText(reader, TRACE_STATE_LENGTH_MAX);
  if (!isTraceId(traceId) || !isSpanId(spanId) || !isTraceState(state))
    throw new DecodeError(`Cannot read trace before ${reader.offset}: it is none`);
  return { traceId, spanId, state };
}

/** Asks another node within the span of who asks; `call` gets the request with the span of the call. */
export function callTraced(
  tracer: Tracer,
  request: TraceableRequest,
  trace: TraceContext,
  node: NodeId,
  call: (request: PeerRequest) => Promise<PeerReply>,
): Promise<PeerReply> {
  const span = tracer.child(trace, `peer ${request.kind}`, "client");
  span.set("rpc.system", "hutch");
  span.set("rpc.method", request.kind);
  span.set("hutch.peer.id", node);
  const replied = call({ ...request, trace: span.context });
  replied.then(
    (reply) => span.end(reply.kind === "failed" ? reply.code : undefined),
    (thrown: unknown) => span.end(thrown instanceof PeerError ? thrown.reason : "failed"),
  );
  return replied;
}

/** Answers another node, within the span of its call where there is one. */
export function answerTraced(
  tracer: Tracer | undefined,
  request: PeerRequest,
  from: NodeId,
  answer: (request: PeerRequest) => PeerReply | Promise<PeerReply>,
): PeerReply | Promise<PeerReply> {
  const trace = tracer === undefined ? undefined : traceOf(request);
  if (tracer === undefined || trace === undefined) return answer(request);
  const span = tracer.child(trace, `answer ${request.kind}`, "server");
  span.set("rpc.system", "hutch");
  span.set("rpc.method", request.kind);
  span.set("hutch.peer.id", from);
  const within = { ...request, trace: span.context } as PeerRequest;
  const end = (error?: string): void => span.end(error);
  try {
    const reply = answer(within);
    if (reply instanceof Promise)
      reply.then(
        () => end(),
        () => end("failed"),
      );
    else end();
    return reply;
  } catch (thrown) {
    end("failed");
    throw thrown;
  }
}
