/**
 * Which trace a piece of work belongs to: W3C Trace Context, as far as a node needs it.
 *
 *   traceparent   00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01      version, trace, span that asks, flags
 *   tracestate    vendor=opaque,other=opaque                                   passed on as it came, or left out where it is none
 *
 * What is not of the format is as if it were not there: tracing never refuses a request. (https://www.w3.org/TR/trace-context/)
 */

/** Only of what is sampled: work that is not in a trace has none. */
export interface TraceContext {
  /** 32 hex digits, lower case, not all zero. */
  readonly traceId: string;
  /** Of the span that asks: 16 hex digits, lower case, not all zero. */
  readonly spanId: string;
  /** "" for none. */
  readonly state: string;
}

export interface TraceParent extends TraceContext {
  readonly isSampled: boolean;
}

export const TRACE_STATE_LENGTH_MAX = 512;
const TRACE_PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const TRACE_STATE = /^[\x20-\x7e]*$/;
const VERSION = "00";
/** No version has this number. */
const NO_VERSION = "ff";
const NO_TRACE = "0".repeat(32);
const NO_SPAN = "0".repeat(16);
const SAMPLED = 1;

/** `undefined` for what is not a traceparent. A later version may go on behind what this one knows. */
export function parseTraceParent(text: string, state: string | null): TraceParent | undefined {
  const match = TRACE_PARENT.exec(text);
  if (match === null) return undefined;
  const [, version = "", traceId = "", spanId = "", flags = "", rest] = match;
  if (version === NO_VERSION || (version === VERSION && rest !== undefined)) return undefined;
  if (traceId === NO_TRACE || spanId === NO_SPAN) return undefined;
  const isSampled = (Number.parseInt(flags, 16) & SAMPLED) !== 0;
  return { traceId, spanId, isSampled, state: isTraceState(state ?? "") ? (state ?? "") : "" };
}

export function isTraceState(text: string): boolean {
  return text.length <= TRACE_STATE_LENGTH_MAX && TRACE_STATE.test(text);
}

export function isTraceId(text: string): boolean {
  return text !== NO_TRACE;
}

export function isSpanId(text: string): boolean {
  return text !== NO_SPAN;
}
