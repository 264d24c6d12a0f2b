/** Histories as JSON lines, and back. */
import { expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { History, type Operation } from "../../src/checkers/history.ts";
import { historyFromLines, historyToLines } from "../../src/checkers/history-lines.ts";
import { A, B, BLIND, LWW, PLAIN, Story, seen, version } from "../support/story.ts";

interface Line {
  readonly i: number;
  readonly proc: string;
  readonly type: string;
  readonly t: number;
}

const parsed = (history: History): Line[] =>
  historyToLines(history).map((line) => JSON.parse(line) as Line);

test("a history is two lines for each operation, and one for an operation that never ended", () => {
  const told = new Story();
  told.put("x", `${A}.1`, seen({ [A]: 1 }, 7, [`${B}.3`]), { given: seen({ [B]: 2 }) });
  told.get([version(`${A}.1`, "x"), version(`${B}.9`)], seen({ [A]: 1 }));
  told.history.begin({ client: "d", kind: "delete", bucket: PLAIN, key: "a/b", startMs: 90 });
  const lines = historyToLines(told.history);
  const seenJson = { vector: { [A]: 1 }, dots: [`${B}.3`], hlc: 7 };
  const envelope = { proc: "c", op: "put", key: "b/k", id: 0 };
  expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
    { ...envelope, i: 0, type: "invoke", t: 0, arg: { value: "x" }, ctx: { vector: { [B]: 2 } } },
    { ...envelope, i: 1, type: "ok", t: 10, ctx: seenJson, ret: { dot: `${A}.1` } },
    { i: 2, proc: "c", type: "invoke", op: "get", ctx: null, ret: null, t: 20 },
    { i: 3, type: "ok", t: 30, ret: { versions: [{ value: "x" }, { value: null }] } },
    { i: 4, proc: "d", type: "invoke", op: "delete", key: "b/a/b", t: 90 },
  ]);
  expect(lines).toHaveLength(5);
  expect(historyFromLines(lines)).toEqual(told.history);
});

test("whatever a history holds comes back", () => {
  for (let seed = 0; seed < 50; seed++) {
    const history = randomHistory(new Prng(`lines/${seed}`));
    const lines = historyToLines(history);
    expect(historyFromLines(lines)).toEqual(history);
    expect(historyFromLines(lines.toReversed())).toEqual(history);
  }
});

function randomHistory(prng: Prng): History {
  const history = new History();
  for (let id = 0; id < 20; id++) {
    const startMs = prng.below(200);
    const operation = history.begin({
      client: prng.pick(["c", "d"]),
      kind: prng.pick(["put", "get", "delete"]),
      bucket: prng.pick([PLAIN, BLIND, LWW]),
      key: prng.pick(["k", "k/2", ""]),
      level: prng.pick(["", "r=1, w=2"]),
      value: `"v${id}\n`,
      isConditional: prng.chance(0.5),
      ttlMs: prng.below(2) * 500,
      session: prng.pick(["", "s"]),
      startMs,
      ...(prng.chance(0.5) && { given: seen({ [A]: prng.below(9) }, 3, [`${B}.1`]) }),
    });
    if (prng.chance(0.1)) continue;
    const endMs = startMs + prng.below(40);
    Object.assign(operation, {
      endMs,
      outcome: prng.pick(["ok", "fail", "info"]),
      seen: seen({ [A]: id }, id),
      dot: `${A}.${id}`,
      versions: [version(`${A}.1`, "x"), version(`${B}.2`)],
      isTombstone: prng.chance(0.5),
      ok: prng.below(4),
      primary: prng.below(4),
      isRepairIncomplete: prng.chance(0.5),
    } satisfies Partial<Operation>);
    operation.attempts.push({ node: "n1", startMs, endMs, status: 504, code: "a", detail: "{}" });
  }
  return history;
}

test("a process does one thing at a time, and is gone after an unknown outcome", () => {
  const told = new Story();
  const put = (startMs: number, endMs: number, outcome: Operation["outcome"]): void =>
    void told.put("x", "", seen({}), { startMs, endMs, outcome });
  put(0, 10, "ok");
  put(20, 30, "info");
  put(40, 50, "fail");
  put(45, 70, "ok"); // beside the one before
  put(60, 65, "ok");
  put(65, 80, "ok"); // touches it
  const lines = parsed(told.history);
  expect(lines.filter(({ type }) => type === "invoke").map(({ proc }) => proc)).toEqual([
    "c",
    "c",
    "c+1",
    "c+2",
    "c+1",
    "c+3",
  ]);
  const unsorted = new Story();
  unsorted.put("x", "", seen({}), { startMs: 100 });
  unsorted.put("y", "", seen({}), { startMs: 0 });
  expect(parsed(unsorted.history).map(({ proc }) => proc)).toEqual(["c", "c", "c", "c"]);
  const busy = new Set<string>();
  for (const { proc, type } of lines) {
    expect(busy.has(proc)).toBe(type !== "invoke");
    if (type === "invoke") busy.add(proc);
    else if (type !== "info") busy.delete(proc);
  }
});

test("lines are in the order of time, and at equal times starts come first", () => {
  const told = new Story();
  told.put("x", "", seen({}), { startMs: 0, endMs: 20, client: "a" });
  told.put("y", "", seen({}), { startMs: 20, endMs: 30, client: "b" });
  told.put("z", "", seen({}), { startMs: 5, endMs: 6, client: "d" });
  expect(parsed(told.history).map(({ i, t, type }) => `${i} ${t} ${type}`)).toEqual([
    "0 0 invoke",
    "1 5 invoke",
    "2 6 ok",
    "3 20 invoke",
    "4 20 ok",
    "5 30 ok",
  ]);
});

test("lines that are no history are refused by their number", () => {
  const told = new Story();
  told.put("x", `${A}.1`, seen({ [A]: 1 }));
  const [start = "", end = ""] = historyToLines(told.history);
  const read =
    (...lines: string[]) =>
    () =>
      historyFromLines(lines);
  expect(read(start, end.slice(0, 50))).toThrow("line 2 of the history");
  expect(read(start, "{}")).toThrow("line 2 of the history: it is no event");
  expect(read(start.replace("invoke", "begin"))).toThrow("line 1 of the history: it is no event");
  expect(read(start.replace('"put"', '"cas"'))).toThrow("it is no event");
  expect(read(start.replace('"t":0', '"t":null'))).toThrow("it is no event");
  expect(read(start.replace('"id":0', '"id":"0"'))).toThrow("it is no event");
  expect(read(start.replace('"bucket"', '"basket"'))).toThrow("it is no event");
  expect(read(start, end.replace('"versions"', '"version"'))).toThrow("it is no event");
  expect(read(start, end.replace(/"ctx":\{.*?\},"ret"/, '"ctx":null,"ret"'))).toThrow("no event");
  expect(read(end)).toThrow("#0 ends without a start");
  expect(read(start, end, end)).toThrow("#0 ends without a start");
  expect(read(start, start)).toThrow("#0 starts twice");
});
