/**
 * Listens on the links between simulated nodes: every message is decoded once more on its arrival, and what it says of records is passed on. So a dot that
 * stands for two values is found wherever it travels, also where no client ever reads it (S5). The names of messages are passed on too, for faults that
 * strike at one of them.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { type Record, decodeRecord } from "../causality/record.ts";
import type { PeerReply, PeerRequest } from "../cluster/peer-messages.ts";
import { FrameReader, VERSIONS } from "../cluster/peer-protocol.ts";
import type { Link, LinkEvents, PeerPorts } from "../ports/transport.ts";

/** Hears each record that arrives somewhere. */
export type Tap = (record: Record, kind: string) => void;

/** @param onMessage hears the name of each message that arrives here, before it is handled */
export function tapped(
  ports: PeerPorts,
  tap: Tap,
  onMessage: (name: string) => void = () => {},
): PeerPorts {
  const { transport, datagrams } = ports;
  const listening = (open: (link: Link) => LinkEvents) => (link: Link) =>
    heard(open(link), tap, onMessage);
  return {
    datagrams,
    transport: {
      connect: (to, hello, timeoutMs, open) =>
        transport.connect(to, hello, timeoutMs, listening(open)),
      onConnect: (accept) =>
        transport.onConnect((hello, from) => {
          const answer = accept(hello, from);
          return answer.kind === "refused" ? answer : { ...answer, open: listening(answer.open) };
        }),
      close: () => transport.close(),
    },
  };
}

function heard(events: LinkEvents, tap: Tap, onMessage: (name: string) => void): LinkEvents {
  return {
    message: (bytes) => {
      tell(bytes, tap, onMessage);
      events.message(bytes);
    },
    ended: (reason) => events.ended(reason),
  };
}

function tell(message: Uint8Array, tap: Tap, onMessage: (name: string) => void): void {
  const frames = new FrameReader(message, VERSIONS.max);
  while (frames.next()) {
    const body = frames.isReply ? frames.readReply() : frames.readRequest();
    if (body === undefined) continue;
    onMessage(nameOf(body, frames.isReply));
    if (!("record" in body) || body.record.length === 0) continue;
    const record = body.kind === "record" ? recordOrSide(body.record) : decodeRecord(body.record);
    if (record !== undefined) tap(record, body.kind);
  }
}

function nameOf(body: PeerRequest | PeerReply, isReply: boolean): string {
  const name = "topic" in body ? `${body.kind} ${body.topic}` : body.kind;
  return isReply ? `answer ${name}` : name;
}

/** A read may also have asked for the memory of an `Idempotency-Key`, whose bytes are something else. */
function recordOrSide(bytes: Uint8Array): Record | undefined {
  try {
    return decodeRecord(bytes);
  } catch (thrown) {
    if (thrown instanceof DecodeError) return undefined;
    throw thrown;
  }
}
