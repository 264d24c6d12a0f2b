import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FrameQueue } from "../../src/cluster/peer-frames.ts";
import { BATCH_HEAD_BYTES, beginBatch } from "../../src/cluster/peer-protocol.ts";

interface Owner {
  readonly byte: number;
  readonly length: number;
  readonly isWanted: boolean;
}

const step = fc.oneof(
  fc.record({
    byte: fc.integer({ min: 1, max: 255 }),
    length: fc.oneof(fc.integer({ min: 1, max: 50 }), fc.constant(3000)),
    isWanted: fc.boolean(),
  }),
  fc.record({
    bytesMax: fc.integer({ min: 0, max: 4000 }),
    countMax: fc.integer({ min: 1, max: 9 }),
  }),
);

describe("FrameQueue", () => {
  test("hands out what was put in, in order, in batches within their bounds", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new FrameQueue<Owner>();
        const model: Owner[] = [];
        const bytesOf = (owners: readonly Owner[]): number[] =>
          owners.flatMap(({ byte, length }) => Array<number>(length).fill(byte));
        for (const now of steps) {
          if ("byte" in now) {
            const start = queue.writer.length;
            queue.writer.raw(new Uint8Array(now.length).fill(now.byte));
            queue.push(now, start);
            model.push(now);
          } else {
            const batch = beginBatch(0, 1);
            const visited: Owner[] = [];
            const count = queue.moveInto(batch, now.bytesMax, now.countMax, (owner, writer, at) => {
              expect(writer.buffer[at]).toBe(owner.byte);
              visited.push(owner);
              return owner.isWanted;
            });
            expect(visited).toEqual(model.splice(0, visited.length));
            const moved = visited.filter(({ isWanted }) => isWanted);
            expect(count).toBe(moved.length);
            expect([...batch.view().subarray(BATCH_HEAD_BYTES)]).toEqual(bytesOf(moved));
            expect(count <= now.countMax).toBe(true);
            expect(batch.length <= now.bytesMax || count <= 1).toBe(true);
            const isStuck = model.length > 0 && visited.length === 0;
            expect(isStuck).toBe(false);
          }
          expect(queue.count).toBe(model.length);
          expect(queue.bytes).toBe(bytesOf(model).length);
        }
        const waiting: Owner[] = [];
        queue.forEach((owner) => waiting.push(owner));
        expect(waiting).toEqual(model);
        queue.clear();
        expect([queue.count, queue.bytes]).toEqual([0, 0]);
      }),
      { numRuns: 300 },
    );
  });

  test("a buffer that a large frame has grown is given back", () => {
    const queue = new FrameQueue<string>();
    queue.writer.raw(new Uint8Array(1_000_000));
    queue.push("large", 0);
    queue.moveInto(beginBatch(0, 1), 10, 10, () => true);
    expect(queue.writer.buffer.length).toBeLessThan(10_000);
  });
});
