/** How far exchanges of everything have come that broke off, by the name of the exchange. In memory: after a restart the trees find what is left. */
import { EMPTY_BYTES } from "../base/bytes.ts";

/** Of more, the oldest is forgotten: that exchange begins anew. */
const CURSORS_MAX = 4096;

export class ExchangeCursors {
  private readonly byName = new Map<string, Uint8Array>();

  /** Empty for the start. */
  of(name: string): Uint8Array {
    return this.byName.get(name) ?? EMPTY_BYTES;
  }

  /** @param cursor copied: it may be a view of a whole message */
  set(name: string, cursor: Uint8Array): void {
    this.byName.delete(name);
    this.byName.set(name, cursor.slice());
    if (this.byName.size <= CURSORS_MAX) return;
    for (const oldest of this.byName.keys()) {
      this.byName.delete(oldest);
      return;
    }
  }

  forget(name: string): void {
    this.byName.delete(name);
  }
}
