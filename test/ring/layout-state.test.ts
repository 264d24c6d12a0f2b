import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hex } from "../../src/base/bytes.ts";
import { LayoutState } from "../../src/ring/layout-state.ts";
import { arbitrarySteps, LayoutWorld } from "./layout-world.ts";

const textOf = (state: LayoutState): string => hex(state.encode());

describe.each([false, true])("R57, R58: a changing ring, versions forced: %p", (isForced) => {
  test("all nodes come to the same state, and nobody lets a version go that another still reads", () => {
    fc.assert(
      fc.property(arbitrarySteps(400), (steps) => {
        new LayoutWorld({ isForced }).run(steps).converge();
      }),
      { numRuns: 150 },
    );
  });

  test("states are a join semilattice", () => {
    fc.assert(
      fc.property(
        arbitrarySteps(300),
        fc.array(fc.nat(), { minLength: 30, maxLength: 30 }),
        (steps, picks) => {
          const { seen } = new LayoutWorld({ isForced }).run(steps);
          const pick = (at: number): LayoutState => seen[picks[at]! % seen.length]!;
          for (let at = 0; at < 30; at += 3) {
            const [a, b, c] = [pick(at), pick(at + 1), pick(at + 2)];
            const ab = a.merge(b);
            expect(textOf(b.merge(a))).toBe(textOf(ab));
            expect(textOf(a.merge(b.merge(c)))).toBe(textOf(ab.merge(c)));
            expect(ab.merge(b)).toBe(ab);
            expect(ab.merge(a)).toBe(ab);
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
test("settles", () => {
  let all = 0,
    versions = 0;
  fc.assert(
    fc.property(arbitrarySteps(400), (steps) => {
      const s = new LayoutWorld({ isForced: false }).run(steps).settle();
      expect(s.layouts.length).toBe(1);
      all++;
      versions += s.newest.version;
    }),
    { numRuns: 150 },
  );
  console.log(all, versions / all);
});
