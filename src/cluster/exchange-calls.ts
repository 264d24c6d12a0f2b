/**
 * What the driving side of an exchange asks its peer: one request at a time, each tried again where trying again can help. All four topics may be
 * asked twice, so a reply that was lost costs only the time.
 */
import { DecodeError } from "../base/byte-reader.ts";
import { HutchError } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Clock } from "../ports/clock.ts";
import { errorOfReply } from "./peer-failure.ts";
import { PeerError, type Peers, type RepairTopic } from "./peer-messages.ts";
import type { Rests } from "./repair-pace.ts";

const TIMEOUT_MS = 10_000;
const ATTEMPTS_MAX = 3;
/** Before the second attempt; twice that before the third. */
const PAUSE_MS = 250;

/** What an exchange has moved so far. Bytes are those of message bodies, both ways of a request. */
export interface Traffic {
  bytesSent: number;
  bytesReceived: number;
}

export interface ExchangeCallsParts {
  readonly peers: Peers;
  readonly clock: Clock;
  readonly pace: Rests;
}

export class ExchangeCalls {
  readonly peer: NodeId;
  private readonly parts: ExchangeCallsParts;
  private readonly traffic: Traffic;
  private readonly signal: AbortSignal | undefined;

  constructor(
    parts: ExchangeCallsParts,
    peer: NodeId,
    traffic: Traffic,
    signal: AbortSignal | undefined,
  ) {
    this.parts = parts;
    this.peer = peer;
    this.traffic = traffic;
    this.signal = signal;
  }

  /** The body of the reply. Throws `PeerError`, the peer's `HutchError`, and `shutting-down` once the signal says so. */
  async ask(topic: RepairTopic, body: Uint8Array): Promise<Uint8Array> {
    for (let attempt = 1; ; attempt++) {
      this.checkWanted();
      try {
        return await this.askOnce(topic, body);
      } catch (thrown) {
        if (attempt === ATTEMPTS_MAX || !isWorthAnother(thrown)) throw thrown;
      }
      await this.pause(PAUSE_MS * attempt);
    }
  }

  /** Throws `shutting-down` as soon as the exchange is called off. */
  async pause(pauseMs: number): Promise<void> {
    await unlessAborted(this.parts.clock.sleep(pauseMs), this.signal);
  }

  checkWanted(): void {
    if (this.signal?.aborted === true) throw calledOff();
  }

  private async askOnce(topic: RepairTopic, body: Uint8Array): Promise<Uint8Array> {
    const { peers, pace } = this.parts;
    this.traffic.bytesSent += body.length;
    const message = { kind: "repair", topic, body } as const;
    const call = peers.call(this.peer, message, TIMEOUT_MS, "repair");
    const reply = await unlessAborted(call, this.signal);
    if (reply.kind === "failed") throw errorOfReply(reply);
    if (reply.kind !== "repair")
      throw new HutchError("internal", `Cannot read the answer to ${topic}: it is ${reply.kind}`);
    this.traffic.bytesReceived += reply.body.length;
    await pace.rest(0, body.length + reply.body.length);
    return reply.body;
  }
}

/** As `work`, but rejects as soon as nobody waits for it any more. */
function unlessAborted<Result>(
  work: Promise<Result>,
  signal: AbortSignal | undefined,
): Promise<Result> {
  if (signal === undefined) return work;
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(calledOff());
    signal.addEventListener("abort", abort, { once: true });
    const end = (): void => signal.removeEventListener("abort", abort);
    work.then(resolve, reject).finally(end);
  });
}

function calledOff(): HutchError {
  return new HutchError("shutting-down", "Cannot go on with the exchange: it was called off");
}

function isWorthAnother(thrown: unknown): boolean {
  if (thrown instanceof PeerError) return thrown.reason !== "closed";
  return thrown instanceof HutchError && thrown.retry === "safe";
}

/** Trouble of the peer, the network, the store or a message; anything else is a mistake of ours. */
export function isExpected(thrown: unknown): boolean {
  return (
    thrown instanceof PeerError || thrown instanceof HutchError || thrown instanceof DecodeError
  );
}
