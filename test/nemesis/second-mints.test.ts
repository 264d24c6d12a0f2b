import { describe, expect, test } from "bun:test";
import { checkCausality } from "../../src/checkers/causality.ts";
import { DotBook, nameDots } from "../../src/checkers/dots.ts";
import { History, type Operation, type Seen } from "../../src/checkers/history.ts";
import { BUCKETS } from "./load.ts";
import { forgetSecondMints } from "./second-mints.ts";

const A = "000000000000000a";
const B = "000000000000000b";
const PUT = { kind: "put", bucket: BUCKETS[0]!, key: "k", outcome: "ok" } as const;
const GET = { kind: "get", bucket: BUCKETS[0]!, key: "k", outcome: "ok" } as const;

const seenOf = (entries: Record<string, number>): Seen => ({
  vector: new Map(Object.entries(entries)),
  dots: new Set<string>(),
  hlc: 0,
});

/** A first put covers two dots; a read shows it under one of them, and does not know the other. */
function historyOf(tookMs: number, otherValue?: string): History {
  const history = new History();
  const add = (fields: Partial<Operation> & Pick<Operation, "client" | "kind" | "startMs">) =>
    history.begin({ ...PUT, ...fields });
  if (otherValue !== undefined)
    add({
      client: "c2",
      kind: "put",
      startMs: 0,
      endMs: 1,
      value: otherValue,
      seen: seenOf({ [B]: 9 }),
    });
  const put = add({
    client: "c1",
    kind: "put",
    startMs: 5,
    endMs: 5 + tookMs,
    value: "c1.1",
    seen: seenOf({ [A]: 10, [B]: 9 }),
  });
  put.attempts.push({
    node: "n1",
    startMs: 5,
    endMs: 5 + tookMs,
    status: 204,
    code: "",
    detail: "",
  });
  const versions = [{ dot: `${A}.10`, value: "c1.1" }];
  history.begin({
    ...GET,
    client: "c3",
    startMs: 6,
    endMs: 7,
    seen: seenOf({ [A]: 10 }),
    versions,
  });
  return history;
}

function holesIn(history: History): number {
  const book = new DotBook();
  for (const read of history.operations) if (read.kind === "get") book.noteOperation(read);
  nameDots(history, book);
  forgetSecondMints(history, book);
  return checkCausality(history).length;
}

describe("a write that took long enough to be minted twice", () => {
  test("has not replaced a dot that nobody else accounts for", () => {
    expect(holesIn(historyOf(200))).toBe(0);
  });

  test("has replaced what somebody else has written", () => {
    expect(holesIn(historyOf(200, "c2.1"))).toBe(1);
  });

  test("and one that was too quick for that has replaced whatever its answer covers", () => {
    expect(holesIn(historyOf(10))).toBe(1);
  });
});
