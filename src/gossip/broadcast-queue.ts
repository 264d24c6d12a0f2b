/**
 * News that rides on datagrams that are sent anyway. Each piece goes out about 3 log10(n + 1) times, which reaches everybody with near certainty
 * (SWIM 4.1); what was sent least goes first, and of that the newest.
 *
 *   sent 0 times  [ .. .. .. ]  <- push, take from this end
 *   sent 1 time   [ .. .. ]     <- what was taken moves down one row
 *   ...
 *
 * One piece per subject: a newer one takes the place of an older one, which is left in its row and passed over when it is met.
 */
import { assert } from "../base/assert.ts";

/** Beyond it, what was sent most is forgotten first: every change is also found by full exchange. */
export const BROADCASTS_MAX = 1024;
const TIMES_PER_DECADE = 3;

interface Broadcast {
  readonly subject: string;
  readonly bytes: Uint8Array;
}

export class BroadcastQueue {
  readonly #current = new Map<string, Broadcast>();
  readonly #rows: Broadcast[][] = [];
  /** Pieces in the rows, those passed over later included. */
  #held = 0;

  get size(): number {
    return this.#current.size;
  }

  /** `bytes` are kept: they must not change. */
  push(subject: string, bytes: Uint8Array): void {
    const piece = { subject, bytes };
    this.#current.set(subject, piece);
    this.#put(0, piece);
    if (this.#held > BROADCASTS_MAX) this.#drop();
  }

  forget(subject: string): void {
    this.#current.delete(subject);
  }

  /** Hands out pieces that fit into `bytesMax` together, to one of `nodeCount` nodes. */
  take(bytesMax: number, nodeCount: number, use: (bytes: Uint8Array) => void): void {
    const timesMax = transmissions(nodeCount);
    const taken: Broadcast[] = [];
    const takenRows: number[] = [];
    let room = bytesMax;
    for (let times = 0; times < this.#rows.length && room > 0; times++)
      room = this.#takeRow(times, room, taken, takenRows);
    for (let i = taken.length - 1; i >= 0; i--) {
      const piece = taken[i]!;
      const times = takenRows[i]! + 1;
      if (times < timesMax) this.#put(times, piece);
      else this.#current.delete(piece.subject);
    }
    for (const { bytes } of taken) use(bytes);
  }

  #takeRow(times: number, bytesMax: number, taken: Broadcast[], takenRows: number[]): number {
    const row = this.#rows[times]!;
    let room = bytesMax;
    while (row.length > 0) {
      const piece = row[row.length - 1]!;
      const isCurrent = this.#isCurrent(piece);
      if (isCurrent && piece.bytes.length > room) return 0;
      row.pop();
      this.#held--;
      if (!isCurrent) continue;
      room -= piece.bytes.length;
      taken.push(piece);
      takenRows.push(times);
    }
    return room;
  }

  #isCurrent(piece: Broadcast): boolean {
    return this.#current.get(piece.subject) === piece;
  }

  #put(times: number, piece: Broadcast): void {
    while (this.#rows.length <= times) this.#rows.push([]);
    this.#rows[times]!.push(piece);
    this.#held++;
  }

  /** Passes over what is no longer current; if that is not enough, forgets the oldest of what was sent most. */
  #drop(): void {
    this.#held = 0;
    for (let times = 0; times < this.#rows.length; times++) {
      this.#rows[times] = this.#rows[times]!.filter((piece) => this.#isCurrent(piece));
      this.#held += this.#rows[times]!.length;
    }
    assert(this.#held === this.#current.size, "each current piece is in one row");
    for (let times = this.#rows.length - 1; times >= 0 && this.#held > BROADCASTS_MAX / 2; times--)
      for (const piece of this.#rows[times]!.splice(0, this.#held - BROADCASTS_MAX / 2)) {
        this.#current.delete(piece.subject);
        this.#held--;
      }
  }
}

/** How often one piece is sent among `nodeCount` nodes. */
export function transmissions(nodeCount: number): number {
  return TIMES_PER_DECADE * Math.ceil(Math.log10(nodeCount + 1));
}
