/**
 * The whole replica against a model that a child could check: for each key the set of current dots with their values, and for each token the
 * set of dots that its holder has seen. No vectors, no clocks, no bytes.
 */
import { expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { OneNode } from "../support/one-node.ts";

interface ModelKey {
  /** Current dots, in the order written. */
  readonly current: Map<string, string>;
  /** Every dot ever. */
  readonly ever: Set<string>;
}

interface Token {
  readonly text: string;
  readonly seen: ReadonlySet<string>;
}

const KEYS = ["a", "b", "c", "d"];

class Model {
  readonly keys = new Map<string, ModelKey>(
    KEYS.map((key) => [key, { current: new Map(), ever: new Set() }]),
  );

  write(key: string, dot: string, value: string, covered: ReadonlySet<string>): void {
    const state = this.keys.get(key)!;
    for (const old of covered) state.current.delete(old);
    state.current.set(dot, value);
    state.ever.add(dot);
  }

  /** Newest first, deletions as "-", equal values once. */
  shown(key: string): string[] {
    return [...new Set([...this.keys.get(key)!.current.values()].reverse())];
  }
}

test.each([1, 2, 3, 4, 5, 6])("a random history agrees with the model, seed %d", async (seed) => {
  const prng = new Prng(`oracle/${seed}`);
  const model = new Model();
  const tokens = new Map<string, Token[]>(KEYS.map((key) => [key, []]));
  const blindPut = prng.pick(["supersede", "sibling"] as const);
  let node = await OneNode.start();
  let incarnation = 1;
  await node.coordinator.setBucket("demo", "put", { blindPut, siblingsMax: 1000 });

  for (let step = 0; step < 400; step++) {
    const key = prng.pick(KEYS);
    const state = model.keys.get(key)!;
    const dice = prng.float();
    node.clock.advance(prng.below(3));
    if (dice < 0.02) {
      incarnation++;
      node = await node.restart({ incarnation });
    } else if (dice < 0.04) await node.opened.store.flush();
    else if (dice < 0.3) {
      const read = await node.get(key);
      expect(
        read.siblings.map((s) => (s.isDeleted ? "-" : new TextDecoder().decode(s.value))),
      ).toEqual(model.shown(key));
      if (read.context !== "")
        tokens.get(key)!.push({ text: read.context, seen: new Set(state.ever) });
    } else {
      const isDelete = prng.chance(0.2);
      const known = tokens.get(key)!;
      const token = known.length > 0 && prng.chance(0.6) ? prng.pick(known) : undefined;
      const isBlindSibling = token === undefined && !isDelete && blindPut === "sibling";
      const covered = token?.seen ?? (isBlindSibling ? new Set<string>() : new Set(state.ever));
      const value = prng.pick(["x", "y", `v${step}`]);
      const context = token?.text ?? "";
      const result = isDelete
        ? await node.delete(key, { context })
        : await node.put(key, value, { context });
      const dot = result.state.siblings[0]!.dot;
      expect(state.ever.has(dot)).toBe(false);
      model.write(key, dot, isDelete ? "-" : value, covered);
      known.push({ text: result.context, seen: new Set([...covered, dot]) });
    }
  }
  for (const key of KEYS) expect(await node.values(key)).toEqual(model.shown(key));
});
