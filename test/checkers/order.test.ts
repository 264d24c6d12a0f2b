/** Sessions and quorums that break their promises, and the same that keep them. */
import { describe, expect, test } from "bun:test";
import { checkQuorumReads, checkSessions } from "../../src/checkers/order.ts";
import { A, B, Story, seen, version } from "../support/story.ts";

describe("sessions and quorums", () => {
  const check = (told: Story): string[] =>
    [...checkSessions(told.history), ...checkQuorumReads(told.history)].map(
      ({ invariant }) => invariant,
    );

  test("R7: a session that does not read its own write, or goes back, is found", () => {
    const session = { session: "s", primary: 1 };
    const told = new Story();
    told.put("x", `${A}.1`, seen({ [A]: 1 }), session);
    told.get([version(`${A}.1`, "x")], seen({ [A]: 1, [B]: 7 }), session);
    told.get([], seen({ [A]: 1, [B]: 7 }), session);
    expect(check(told)).toEqual([]);
    told.get([], seen({ [A]: 1, [B]: 6 }), session);
    expect(check(told)).toEqual(["R7"]);
    told.get([], seen({ [B]: 7 }), session);
    // It lacks the write, and what the read before it has shown of it.
    expect(check(told)).toEqual(["R7", "R7", "R7"]);
  });

  test("I6: a quorum that forgets what a quorum has shown is found; a fallback proves nothing", () => {
    const told = new Story();
    told.get([], seen({ [A]: 5 }), { ok: 2, primary: 1 });
    told.get([], seen({ [A]: 3 }));
    told.get([], seen({ [A]: 2 }), { primary: 1 });
    told.get([], seen({ [A]: 1 }), { startMs: 0, endMs: 1000 });
    expect(check(told)).toEqual([]);
    told.get([], seen({ [A]: 2 }));
    expect(check(told)).toEqual(["I6"]);
  });

  test("R3: a quorum of owners that does not know what a quorum of owners has acknowledged is found", () => {
    const told = new Story();
    told.put("x", `${A}.1`, seen({ [A]: 1 }), { ok: 2, primary: 1 });
    told.get([], seen({}));
    expect(check(told)).toEqual([]);
    told.put("y", `${A}.2`, seen({ [A]: 2 }));
    told.get([], seen({ [A]: 1 }));
    expect(check(told)).toEqual(["R3"]);
  });
});
