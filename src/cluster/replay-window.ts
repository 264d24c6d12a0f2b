/**
 * Which datagrams of each sender have been seen: none is taken twice, and late ones are still taken.
 *
 *   counters    ... 1,024 below the highest ... highest        below the window: refused; in it: one bit each; above: the window moves
 *
 * A sender is one start of one process, known by the random number that it drew. Only what the cluster's key has sealed gets here, so strangers
 * cannot fill it. A sender is forgotten when all that it has sealed is too old to be taken anyway.
 */

export const WINDOW_BITS = 1024;
/** Twice the members that gossip knows. Whoever is new then is refused until somebody has been silent for long enough. */
export const SENDERS_MAX = 2048;
const WORD_BITS = 32;

export type Seen = "new" | "replayed" | "too-many-senders";

interface Sender {
  highest: number;
  heardMs: number;
  readonly bits: Uint32Array;
}

export class ReplayWindow {
  readonly #silentMs: number;
  /** Who spoke last is last. */
  readonly #senders = new Map<number, Sender>();

  /** @param silentMs after this nothing that a silent sender has sealed can be taken any more */
  constructor(silentMs: number) {
    this.#silentMs = silentMs;
  }

  get senderCount(): number {
    return this.#senders.size;
  }

  /** Notes the datagram where it is new. */
  note(sender: number, counter: number, nowMs: number): Seen {
    const known = this.#senders.get(sender);
    if (known === undefined) return this.#begin(sender, counter, nowMs);
    if (!isNew(known, counter)) return "replayed";
    known.heardMs = nowMs;
    return "new";
  }

  #begin(id: number, counter: number, nowMs: number): Seen {
    if (this.#senders.size >= SENDERS_MAX) this.#forgetSilent(nowMs);
    if (this.#senders.size >= SENDERS_MAX) return "too-many-senders";
    const sender = { highest: counter, heardMs: nowMs, bits: new Uint32Array(WINDOW_BITS / 32) };
    setBit(sender.bits, counter);
    this.#senders.set(id, sender);
    return "new";
  }

  #forgetSilent(nowMs: number): void {
    for (const [id, { heardMs }] of this.#senders)
      if (nowMs - heardMs > this.#silentMs) this.#senders.delete(id);
  }
}

function isNew(sender: Sender, counter: number): boolean {
  const { bits, highest } = sender;
  if (counter > highest) {
    clearBetween(bits, highest, counter);
    sender.highest = counter;
  } else if (highest - counter >= WINDOW_BITS || hasBit(bits, counter)) return false;
  setBit(bits, counter);
  return true;
}

/** The bits of counters that have never been seen, from the one above `highest` to `counter`. */
function clearBetween(bits: Uint32Array, highest: number, counter: number): void {
  if (counter - highest >= WINDOW_BITS) bits.fill(0);
  else
    for (let above = highest + 1; above <= counter; above++) {
      const bit = above % WINDOW_BITS;
      bits[(bit / WORD_BITS) | 0]! &= ~(1 << (bit % WORD_BITS));
    }
}

function hasBit(bits: Uint32Array, counter: number): boolean {
  const bit = counter % WINDOW_BITS;
  return (bits[(bit / WORD_BITS) | 0]! & (1 << (bit % WORD_BITS))) !== 0;
}

function setBit(bits: Uint32Array, counter: number): void {
  const bit = counter % WINDOW_BITS;
  bits[(bit / WORD_BITS) | 0]! |= 1 << (bit % WORD_BITS);
}
