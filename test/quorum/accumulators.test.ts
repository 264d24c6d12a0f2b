/** The quorum accumulators against counting by hand. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Consistency } from "../../src/quorum/consistency.ts";
import { ReadQuorum } from "../../src/quorum/read-quorum.ts";
import { WriteQuorum } from "../../src/quorum/write-quorum.ts";
import { WriteQuorums } from "../../src/quorum/write-quorums.ts";

const level = (changes: Partial<Consistency>): Consistency => ({
  n: 3,
  r: 2,
  w: 2,
  pr: 0,
  pw: 0,
  dw: 0,
  isSloppy: true,
  level: "",
  ...changes,
});

test("R6: a read is pending until r replies, reached from then on", () => {
  const quorum = new ReadQuorum(level({}), 3, 0);
  quorum.reply("primary");
  expect(quorum.state).toBe("pending");
  quorum.fail("primary");
  expect(quorum.state).toBe("pending");
  quorum.reply("primary");
  expect(quorum.state).toBe("reached");
});

test("R3: replies of fallbacks do not meet pr", () => {
  const quorum = new ReadQuorum(level({ pr: 2 }), 2, 1);
  quorum.reply("primary");
  quorum.reply("fallback");
  expect(quorum.state).toBe("pending");
  quorum.fail("primary");
  expect(quorum.state).toBe("unreachable");
});

test("R5: a write becomes unreachable as soon as too few are left, and says who failed how", () => {
  const quorum = new WriteQuorum(level({}));
  for (const node of ["n1", "n2", "n3"]) quorum.send(node, "primary");
  quorum.acknowledge("n1", true);
  quorum.fail("n2", "failed");
  expect(quorum.state).toBe("pending");
  expect(quorum.acks()[2]).toEqual({ node: "n3", role: "primary", result: "timeout" });
  quorum.fail("n3", "timeout");
  expect(quorum.state).toBe("unreachable");
  expect(quorum.acks().map((ack) => ack.result)).toEqual(["ok", "failed", "timeout"]);
});

test("R3: a hinted copy counts only where the level is sloppy", () => {
  for (const isSloppy of [true, false]) {
    const quorum = new WriteQuorum(level({ isSloppy }));
    quorum.send("n1", "primary");
    quorum.send("n4", "fallback");
    quorum.acknowledge("n1", true);
    quorum.acknowledge("n4", true);
    expect(quorum.state).toBe(isSloppy ? "reached" : "unreachable");
    expect(quorum.counts()).toEqual({
      n: 3,
      ok: isSloppy ? 2 : 1,
      primary: 1,
      hinted: 1,
      durable: 2,
    });
  }
});

test("R46: dw counts only what is on disk, and a second answer of a node counts once", () => {
  const quorum = new WriteQuorum(level({ w: 1, dw: 1 }));
  quorum.send("n1", "primary");
  quorum.send("n2", "primary");
  quorum.acknowledge("n1", false);
  quorum.acknowledge("n1", true);
  expect(quorum.state).toBe("pending");
  quorum.acknowledge("n2", true);
  expect(quorum.state).toBe("reached");
  expect(quorum.counts().ok).toBe(2);
});

test("the state never leaves reached or unreachable, whatever arrives later", () => {
  const events = fc.array(
    fc.record({
      node: fc.integer({ min: 0, max: 3 }),
      isOk: fc.boolean(),
      isDurable: fc.boolean(),
    }),
    { maxLength: 8 },
  );
  const needs = fc.record({
    w: fc.integer({ min: 1, max: 3 }),
    pw: fc.integer({ min: 0, max: 1 }),
    dw: fc.integer({ min: 0, max: 2 }),
    isSloppy: fc.boolean(),
  });
  fc.assert(
    fc.property(needs, events, (need, list) => {
      const quorum = new WriteQuorum(level(need));
      for (let node = 0; node < 4; node++)
        quorum.send(`n${node}`, node === 3 ? "fallback" : "primary");
      let settled = "pending";
      for (const { node, isOk, isDurable } of list) {
        if (isOk) quorum.acknowledge(`n${node}`, isDurable);
        else quorum.fail(`n${node}`, "failed");
        if (settled !== "pending") expect(quorum.state).toBe(settled as "reached");
        settled = quorum.state;
      }
    }),
  );
});

test("R58: while owners change, what is told is of the set with the fewest acknowledgements (seed 71239)", () => {
  const quorums = new WriteQuorums(level({}), [
    ["a", "b", "c"],
    ["a", "b", "d"],
  ]);
  for (const owner of ["a", "b", "c"]) quorums.send(`n${owner}`, "primary", owner);
  for (const owner of ["a", "c"]) quorums.acknowledge(`n${owner}`, owner, true);
  expect([quorums.state, quorums.counts().ok]).toEqual(["pending", 1]);
  quorums.acknowledge("nb", "b", true);
  quorums.keepHints(1);
  expect(quorums.state).toBe("reached");
  // Three copies are there now, and one of them goes when the change is through.
  expect(quorums.counts()).toEqual({ n: 3, ok: 2, primary: 2, hinted: 1, durable: 2 });
});
