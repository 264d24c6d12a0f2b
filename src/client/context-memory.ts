/**
 * The contexts of what one handle has read, so that a write after a read replaces exactly that.
 *
 *   get k            -> context of what was read is kept
 *   put k            -> goes out with it; what the answer covers is kept in its place, so a chain of writes stays one
 *   put k, not read  -> goes out without, and nothing is kept: it follows nothing
 *
 * Least recently used go first, beyond `CONTEXTS_MAX`; a write of a forgotten key follows nothing, as if the key had not been read.
 */

export const CONTEXTS_MAX = 1024;

export class ContextMemory {
  readonly #contexts = new Map<string, string>();

  get size(): number {
    return this.#contexts.size;
  }

  get(key: string): string {
    return this.#contexts.get(key) ?? "";
  }

  set(key: string, context: string): void {
    this.#contexts.delete(key);
    if (context === "") return;
    this.#contexts.set(key, context);
    if (this.#contexts.size <= CONTEXTS_MAX) return;
    for (const oldest of this.#contexts.keys()) {
      this.#contexts.delete(oldest);
      return;
    }
  }
}
