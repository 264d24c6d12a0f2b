/**
 * The nodes that a client knows, which of them answer, and who is asked next.
 *
 *   owners of the key, as the ring has them -> other good nodes, in turn -> nodes that failed a moment ago
 *
 * A node that did not answer is "bad" for a short time that doubles with each failure; one answer makes it good again. Bad is a
 * preference, never a ban: where all are bad, the one whose time is over first is asked.
 */

const BAD_MS_MIN = 1000;
const BAD_MS_MAX = 16_000;
/** Nodes beyond the given addresses come from the ring; more would be a ring that no cluster has. */
const NODES_MAX = 1024;

export interface PoolNode {
  url: string;
  /** By the caller; its address is not changed by what the cluster says. */
  readonly isGiven: boolean;
  /** As `X-Node` says it; "" until the node has answered. */
  id: string;
  badUntilMs: number;
  badMs: number;
}

/** `sticky`: the one that answered last; `spread`: each one in turn. */
export type PoolOrder = "sticky" | "spread";

export class NodePool {
  readonly #nodes: PoolNode[];
  readonly #order: PoolOrder;
  #next = 0;

  constructor(urls: readonly string[], order: PoolOrder, firstIndex = 0) {
    this.#nodes = urls.map((url) => newNode(url, true));
    this.#order = order;
    this.#next = firstIndex;
  }

  get size(): number {
    return this.#nodes.length;
  }

  /**
   * The node for the next attempt.
   *
   * @param owners ids, best first
   * @param tried nodes of earlier attempts; where that is all of them, they come again
   */
  pick(owners: readonly string[], tried: readonly PoolNode[], nowMs: number): PoolNode {
    for (const owner of owners) {
      const node = this.#nodes.find(({ id }) => id === owner);
      if (node !== undefined && node.badUntilMs <= nowMs && !tried.includes(node)) return node;
    }
    const start = this.#next;
    if (this.#order === "spread" && tried.length === 0)
      this.#next = (this.#next + 1) % this.#nodes.length;
    const inTurn = this.#nodes.map((_, i) => this.#nodes[(start + i) % this.#nodes.length]!);
    const untried = inTurn.filter((node) => !tried.includes(node));
    const candidates = untried.length > 0 ? untried : inTurn;
    return (
      candidates.find(({ badUntilMs }) => badUntilMs <= nowMs) ??
      candidates.reduce((best, node) => (node.badUntilMs < best.badUntilMs ? node : best))
    );
  }

  /** True where somebody is left to ask without waiting. */
  hasFresh(tried: readonly PoolNode[], nowMs: number): boolean {
    return this.#nodes.some((node) => node.badUntilMs <= nowMs && !tried.includes(node));
  }

  answered(node: PoolNode, id: string | null): void {
    node.badUntilMs = 0;
    node.badMs = 0;
    if (id !== null) node.id = id;
    if (this.#order === "sticky") this.#next = this.#nodes.indexOf(node);
  }

  failed(node: PoolNode, nowMs: number): void {
    node.badMs = Math.min(Math.max(node.badMs * 2, BAD_MS_MIN), BAD_MS_MAX);
    node.badUntilMs = nowMs + node.badMs;
  }

  /** True where its address is a given one, or one that answered; false for one that has moved or is gone. */
  knows(id: string): boolean {
    const node = this.#nodes.find((each) => each.id === id);
    return node !== undefined && (node.isGiven || node.badMs === 0);
  }

  /** A node that the cluster names and that has answered. One whose id is known keeps the address that was given for it. */
  learn(id: string, url: string): void {
    const known = this.#nodes.find((node) => node.id === id || node.url === url);
    if (known === undefined) {
      if (this.#nodes.length < NODES_MAX) this.#nodes.push({ ...newNode(url, false), id });
      return;
    }
    known.id = id;
    if (!known.isGiven) known.url = url;
  }
}

function newNode(url: string, isGiven: boolean): PoolNode {
  return { url: url.replace(/\/+$/, ""), isGiven, id: "", badUntilMs: 0, badMs: 0 };
}
