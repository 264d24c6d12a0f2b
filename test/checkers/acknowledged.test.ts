/** Acknowledgements that were worth less than they said, and the same that were not. */
import { describe, expect, test } from "bun:test";
import {
  type AcknowledgedOptions,
  type Holdings,
  checkAcknowledged,
} from "../../src/checkers/acknowledged.ts";
import { Amnesty } from "../../src/checkers/amnesty.ts";
import { NOTHING_SEEN, type Seen } from "../../src/checkers/history.ts";
import { A, Story, seen } from "../support/story.ts";

const KEY = "b/k";
const KNOWS = seen({ [A]: 7 });
const OLDER = seen({ [A]: 6 });

/** A look at three nodes; `undefined` is one that is down. */
function look(atMs: number, ...nodes: readonly (Seen | undefined)[]): Holdings {
  const up = nodes.flatMap((known, i) =>
    known === undefined ? [] : [[`n${i + 1}`, new Map([[KEY, known]])] as const],
  );
  return { atMs, known: new Map(up), downCount: nodes.length - up.length };
}

/** A write that was acknowledged by three, two of them owners, at 20 ms. */
function told(): Story {
  const story = new Story();
  story.put("x", `${A}.7`, KNOWS, { ok: 3, primary: 2, startMs: 10, endMs: 20 });
  return story;
}

const messages = (looks: readonly Holdings[], more: Partial<AcknowledgedOptions> = {}) =>
  checkAcknowledged(told().history, { looks, ...more }).map(
    ({ invariant, message, key }) => `${invariant} ${key}: ${message.split(" at 20; ")[1]}`,
  );

describe("what acknowledgements are worth", () => {
  test("S1: a disk that has forgotten an acknowledged write is found, and only once", () => {
    expect(messages([look(20, KNOWS, KNOWS, KNOWS), look(900, KNOWS, KNOWS, KNOWS)])).toEqual([]);
    const forgotten = [look(300, KNOWS, OLDER, KNOWS), look(400, KNOWS, OLDER, NOTHING_SEEN)];
    expect(messages(forgotten)).toEqual([`S1 ${KEY}: at 300 n1 and n3 had it`]);
    expect(messages([look(300, OLDER, OLDER, OLDER)])).toEqual([`S1 ${KEY}: at 300 nobody had it`]);
  });

  test("before the answer nobody has promised anything", () => {
    expect(messages([look(19, KNOWS, OLDER, OLDER)])).toEqual([]);
    expect(messages([look(20, KNOWS, OLDER, OLDER)])).toHaveLength(1);
  });

  test("a node that is down may know it; one that is up and does not counts", () => {
    expect(messages([look(300, KNOWS, undefined, KNOWS)])).toEqual([]);
    expect(messages([look(300, KNOWS, undefined, OLDER)])).toEqual([
      `S1 ${KEY}: at 300 n1 had it, with 1 down`,
    ]);
  });

  test("R24: what a fallback was counted for does not go with time", () => {
    expect(messages([look(1e6, KNOWS, KNOWS, KNOWS)])).toEqual([]);
    expect(messages([look(1e6, KNOWS, KNOWS, OLDER)])).toHaveLength(1);
  });

  test("R28: a hint for who leaves is forgotten when a majority of the owners has it", () => {
    const looks = [look(300, KNOWS, KNOWS, OLDER)];
    const leaving = (fromMs: number, untilMs: number) => ({ departures: [{ fromMs, untilMs }] });
    expect(messages(looks, leaving(100, 200))).toEqual([]);
    expect(messages(looks, leaving(300, Infinity))).toEqual([]);
    expect(messages(looks, leaving(301, 400))).toHaveLength(1);
    expect(messages(looks, leaving(0, 9))).toHaveLength(1);
    expect(messages([look(300, KNOWS, OLDER, OLDER)], leaving(100, 200))).toHaveLength(1);
  });

  test("as many copies may go as disks were lost since, and no more", () => {
    const looks = [look(300, KNOWS, KNOWS, OLDER)];
    expect(messages(looks, { lossesMs: [200] })).toEqual([]);
    expect(messages(looks, { lossesMs: [9] })).toHaveLength(1);
    expect(messages(looks, { lossesMs: [301] })).toHaveLength(1);
    expect(messages([look(300, KNOWS, OLDER, OLDER)], { lossesMs: [200] })).toHaveLength(1);
  });

  test("reads, and writes without an answer, promise nothing", () => {
    const story = new Story();
    story.get([], KNOWS, { ok: 3, startMs: 1, endMs: 2 });
    story.put("x", `${A}.7`, KNOWS, { ok: 3, outcome: "info", startMs: 1, endMs: 2 });
    const looks = [look(300, OLDER, OLDER, OLDER)];
    expect(checkAcknowledged(story.history, { looks })).toEqual([]);
  });

  test("R39: what was collected is forgiven, and nothing else", () => {
    const story = new Story();
    story.delete(`${A}.7`, KNOWS, { ok: 3, primary: 3, startMs: 10, endMs: 20 });
    const amnesty = new Amnesty(story.history, {
      gcDelayMs: 1000,
      clockErrorMs: 0,
      timeOfCounter: (counter) => counter,
      losses: [],
    });
    const at = (atMs: number): number =>
      checkAcknowledged(story.history, {
        looks: [look(atMs, NOTHING_SEEN, NOTHING_SEEN, NOTHING_SEEN)],
        amnesty,
      }).length;
    expect(at(1009)).toBe(1);
    expect(at(1011)).toBe(0);
  });
});
