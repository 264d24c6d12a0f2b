/**
 * Listens on the links between simulated nodes: every message is decoded once more on its arrival, and what it says of records is passed on. So a dot that
 * stands for two values is found wherever it travels, also where no client ever reads it (S5). The messages are passed on too, for faults that strike at one
 * of them.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { type Record, decodeRecord } from "../causality/record.ts";
import type { PeerReply, PeerRequest } from "../cluster/peer-messages.ts";
import { FrameReader, VERSIONS } from "../cluster/peer-protocol.ts";
import type { Link, LinkEvents, PeerAddress, PeerPorts } from "../ports/transport.ts";

/** Hears each record that arrives somewhere. */
export type Tap = (record: Record, kind: string) => void;

/** Hears each message that arrives here, before it is handled, and whose it is. */
export type OnMessage = (
  body: PeerRequest | PeerReply,
  isReply: boolean,
  from: PeerAddress,
) => void;

export function tapped(ports: PeerPorts, tap: Tap, onMessage: OnMessage = () => {}): PeerPorts {
  const { transport, datagrams } = ports;
  const listening = (open: (link: Link) => LinkEvents, from: PeerAddress) => (link: Link) =>
    heard(open(link), tap, (body, isReply) => onMessage(body, isReply, from));
  return {
    datagrams,
    transport: {
      connect: (to, hello, timeoutMs, open) =>
        transport.connect(to, hello, timeoutMs, listening(open, to)),
      onConnect: (accept) =>
        transport.onConnect((hello, from) => {
          const answer = accept(hello, from);
          return answer.kind === "refused"
            ? answer
            : { ...answer, open: listening(answer.open, from) };
        }),
      close: () => transport.close(),
    },
  };
}

type OnBody = (body: PeerRequest | PeerReply, isReply: boolean) => void;

function heard(events: LinkEvents, tap: Tap, onMessage: OnBody): LinkEvents {
  return {
    message: (bytes) => {
      tell(bytes, tap, onMessage);
      events.message(bytes);
    },
    ended: (reason) => events.ended(reason),
  };
}

function tell(message: Uint8Array, tap: Tap, onMessage: OnBody): void {
  const frames = new FrameReader(message, VERSIONS.max);
  while (frames.next()) {
    const body = frames.isReply ? frames.readReply() : frames.readRequest();
    if (body === undefined) continue;
    onMessage(body, frames.isReply);
    if (!("record" in body) || body.record.length === 0) continue;
    const record = body.kind === "record" ? recordOrSide(body.record) : decodeRecord(body.record);
    if (record !== undefined) tap(record, body.kind);
  }
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
