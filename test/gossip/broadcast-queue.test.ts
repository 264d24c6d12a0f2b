import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { BROADCASTS_MAX, BroadcastQueue, transmissions } from "../../src/gossip/broadcast-queue.ts";

const piece = (length: number, fill = 0): Uint8Array => new Uint8Array(length).fill(fill);

function take(queue: BroadcastQueue, bytesMax: number, nodeCount = 5): number[] {
  const taken: number[] = [];
  queue.take(bytesMax, nodeCount, (bytes) => taken.push(bytes[0]!));
  return taken;
}

describe("BroadcastQueue", () => {
  test.each([
    [3, 3],
    [9, 3],
    [10, 6],
    [100, 9],
    [1000, 12],
  ])("among %d nodes sends each piece %d times", (nodeCount, times) => {
    expect(transmissions(nodeCount)).toBe(times);
    const queue = new BroadcastQueue();
    queue.push("a", piece(10, 1));
    let sent = 0;
    while (take(queue, 1000, nodeCount).length > 0) sent++;
    expect(sent).toBe(times);
    expect(queue.size).toBe(0);
  });

  test("what was sent least goes first, and of that the newest", () => {
    const queue = new BroadcastQueue();
    for (let i = 1; i <= 3; i++) queue.push(`s${i}`, piece(10, i));
    expect(take(queue, 20)).toEqual([3, 2]);
    queue.push("s4", piece(10, 4));
    expect(take(queue, 20)).toEqual([4, 1]);
    expect(take(queue, 40).toSorted()).toEqual([1, 2, 3, 4]);
  });

  test("a newer piece takes the place of an older one on the same subject", () => {
    const queue = new BroadcastQueue();
    queue.push("a", piece(10, 1));
    expect(take(queue, 100)).toEqual([1]);
    queue.push("a", piece(10, 2));
    expect(take(queue, 100)).toEqual([2]);
    expect(take(queue, 100)).toEqual([2]);
    queue.forget("a");
    expect(take(queue, 100)).toEqual([]);
    expect(queue.size).toBe(0);
  });

  test("hands out no more bytes than there is room for, ever", () => {
    const prng = new Prng("queue");
    const queue = new BroadcastQueue();
    for (let i = 0; i < 2000; i++) {
      queue.push(`s${prng.below(300)}`, piece(prng.between(20, 100)));
      const room = prng.below(400);
      let used = 0;
      queue.take(room, 50, (bytes) => (used += bytes.length));
      expect(used).toBeLessThanOrEqual(room);
    }
  });

  test("row 70: 100,000 subjects leave a bounded queue that holds the newest", () => {
    const queue = new BroadcastQueue();
    for (let i = 0; i < 100_000; i++) {
      queue.push(`s${i}`, piece(20, i & 255));
      expect(queue.size).toBeLessThanOrEqual(BROADCASTS_MAX);
    }
    expect(take(queue, 20)).toEqual([99_999 & 255]);
  });
});
