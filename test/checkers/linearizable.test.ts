/** Registers: the search and the fast path against planted violations, against trying every order, and against each other. */
import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { checkLinearizable, checkRegister, linearize } from "../../src/checkers/linearizable.ts";
import { checkVersionChain, isVersionChain } from "../../src/checkers/version-chain.ts";
import type { Outcome } from "../../src/checkers/history.ts";
import type { RegisterCall, RegisterValue } from "../../src/checkers/register.ts";
import { hasOrder, isLegal, randomChain, randomRegister } from "../support/random-registers.ts";
import { A, B, Story, seen, version } from "../support/story.ts";

/** `HUTCH_SEEDS=500` tries 10,000. */
const HISTORIES = Number(process.env["HUTCH_SEEDS"] ?? 15) * 20;

/** Calls told in short: each has its start, its end, and what it was. */
class Calls {
  readonly all: RegisterCall[] = [];

  private call(startMs: number, endMs: number, outcome: Outcome) {
    return { id: this.all.length, startMs, endMs, outcome };
  }

  read(startMs: number, endMs: number, result: RegisterValue, outcome: Outcome = "ok"): this {
    this.all.push({ ...this.call(startMs, endMs, outcome), kind: "read", result });
    return this;
  }

  write(startMs: number, endMs: number, arg: string, outcome: Outcome = "ok"): this {
    this.all.push({ ...this.call(startMs, endMs, outcome), kind: "write", arg });
    return this;
  }

  delete(startMs: number, endMs: number, outcome: Outcome = "ok"): this {
    this.all.push({ ...this.call(startMs, endMs, outcome), kind: "delete" });
    return this;
  }

  swap(
    startMs: number,
    endMs: number,
    expected: RegisterValue,
    arg: string,
    outcome: Outcome = "ok",
    hasSwapped = true,
  ): this {
    const call = this.call(startMs, endMs, outcome);
    this.all.push({ ...call, kind: "swap", expected, arg, hasSwapped });
    return this;
  }

  /** Of the search, whatever the fast path says. */
  get verdict(): string {
    return linearize(this.all).kind;
  }

  get core(): number[] {
    const verdict = linearize(this.all);
    return verdict.kind === "violation" ? verdict.core.map(({ id }) => id) : [];
  }
}

/** Each with its honest neighbour: one call that is a little different. */
const PLANTED: readonly {
  readonly what: string;
  readonly bad: Calls;
  readonly good: Calls;
  /** Calls that alone show it. */
  readonly core: readonly number[];
}[] = [
  {
    what: "a stale read",
    bad: new Calls().write(0, 1, "a").write(2, 3, "b").read(4, 5, "a"),
    good: new Calls().write(0, 1, "a").write(2, 5, "b").read(4, 5, "a"),
    core: [0, 1, 2],
  },
  {
    what: "a read of nothing after a write",
    bad: new Calls().write(0, 1, "a").read(2, 3, undefined),
    good: new Calls().write(0, 2, "a").read(2, 3, undefined),
    core: [0, 1],
  },
  {
    what: "a lost update",
    bad: new Calls().swap(0, 1, undefined, "a").swap(2, 3, "a", "b").swap(4, 5, "a", "c"),
    good: new Calls().swap(0, 1, undefined, "a").swap(2, 3, "a", "b").swap(4, 5, "b", "c"),
    core: [0, 1, 2],
  },
  {
    what: "a forked swap",
    bad: new Calls().swap(0, 1, undefined, "a").swap(2, 9, "a", "b").swap(2, 9, "a", "c"),
    good: new Calls().swap(0, 1, undefined, "a").swap(2, 9, "a", "b").swap(2, 9, "b", "c"),
    core: [0, 1, 2],
  },
  {
    what: "a deleted value that comes back",
    bad: new Calls().write(0, 1, "a").delete(2, 3).read(4, 5, "a"),
    good: new Calls().write(0, 1, "a").delete(2, 4).read(4, 5, "a"),
    core: [0, 1, 2],
  },
  {
    what: "a read from the future",
    bad: new Calls().read(0, 1, "a").write(2, 3, "a"),
    good: new Calls().read(0, 2, "a").write(2, 3, "a"),
    core: [0, 1],
  },
  {
    what: "a value that nobody wrote",
    bad: new Calls().write(0, 1, "a").read(2, 3, "x"),
    good: new Calls().write(0, 1, "a").read(2, 3, "a"),
    core: [1],
  },
  {
    what: "two reads that see two writes in two orders",
    bad: new Calls()
      .write(0, 9, "a")
      .write(0, 9, "b")
      .read(1, 2, "a")
      .read(3, 4, "b")
      .read(5, 6, "a"),
    good: new Calls()
      .write(0, 9, "a")
      .write(0, 9, "b")
      .read(1, 2, "a")
      .read(3, 4, "b")
      .read(5, 6, "b"),
    core: [0, 1, 2, 3, 4],
  },
  {
    what: "a write of unknown outcome that takes effect and vanishes again",
    bad: new Calls().write(0, 1, "a").write(2, 3, "b", "info").read(4, 5, "b").read(6, 7, "a"),
    good: new Calls().write(0, 1, "a").write(2, 3, "b", "info").read(4, 5, "a").read(6, 7, "b"),
    core: [0, 1, 2, 3],
  },
  {
    what: "a failed write that is seen",
    bad: new Calls().write(0, 1, "a", "fail").read(2, 3, "a"),
    good: new Calls().write(0, 1, "a", "info").read(2, 3, "a"),
    core: [1],
  },
  {
    what: "a swap that was refused although its value was there",
    bad: new Calls().write(0, 1, "a").swap(2, 3, "a", "b", "ok", false),
    good: new Calls().write(0, 2, "a").swap(2, 3, "a", "b", "ok", false),
    core: [0, 1],
  },
  {
    what: "a swap of unknown outcome whose value never was there",
    bad: new Calls().write(0, 1, "a").swap(2, 3, "x", "b", "info").read(4, 5, "b"),
    good: new Calls().write(0, 1, "a").swap(2, 3, "a", "b", "info").read(4, 5, "b"),
    core: [2],
  },
];

describe("linearizable", () => {
  for (const { what, bad, good, core } of PLANTED)
    test(`STRONG: ${what} is found, and told by the calls that show it`, () => {
      expect(bad.verdict).toBe("violation");
      expect(bad.core.filter((id) => core.includes(id))).toEqual([...core]);
      expect(checkRegister(bad.all, "k").map(({ invariant }) => invariant)).toContain(
        "linearizable",
      );
      expect(good.verdict).toBe("linearizable");
      expect(checkRegister(good.all, "k")).toEqual([]);
      expect(hasOrder(bad.all)).toBe(false);
      expect(hasOrder(good.all)).toBe(true);
    });

  test("an explanation leaves out what does not matter", () => {
    const calls = new Calls()
      .write(0, 1, "x")
      .read(1.5, 1.8, "x")
      .write(2, 3, "a")
      .write(4, 5, "b");
    calls.read(6, 7, "a").read(8, 9, "b").write(10, 11, "c").read(12, 13, "c");
    expect(calls.core).toEqual([2, 3, 4]);
  });

  test("an explanation is told in the order of time, in words, with where its values came from", () => {
    const calls = new Calls().read(4, 5, "b").write(0, 1, "a").write(2.25, 3, "b", "info");
    calls.read(6, 7, "a").swap(8, 9, undefined, "c", "ok", false).write(10, 11, "d", "info");
    expect(checkRegister(calls.all, "k")).toEqual([
      {
        invariant: "linearizable",
        message:
          'no order explains 0.0-1.0 #1 write "a"; 2.3- #2 write "b", unknown; 4.0-5.0 #0 read "b"; 6.0-7.0 #3 read "a"',
        key: "k",
      },
    ]);
    const refused = new Calls()
      .swap(0, 1, undefined, "a", "ok", false)
      .delete(0, 9)
      .delete(0, 9, "info");
    expect(checkRegister(refused.all, "k")[0]!.message).toBe(
      'no order explains 0.0-1.0 #0 swap nothing for "a", refused',
    );
  });

  test("what an explanation does not need is no part of it, known or unknown", () => {
    const unknown = new Calls().write(0, 1, "a").swap(2, 3, "a", "b", "info").read(4, 5, "b");
    expect(unknown.read(6, 7, "z").core).toEqual([3]);
    const refused = new Calls().write(0, 9, "x").swap(1, 2, "x", "a", "ok", false);
    expect(refused.read(3, 4, "a").core).toEqual([2]);
  });

  test("a write of unknown outcome may take effect at any later time, and a read without an answer proves nothing", () => {
    const late = new Calls().write(0, 1, "a", "info").write(2, 3, "b").read(4, 5, "b");
    expect(late.read(6, 7, "a").verdict).toBe("linearizable");
    const unanswered = new Calls().write(0, 1, "a").read(2, 3, "x", "info").read(4, 5, "y", "fail");
    expect(unanswered.verdict).toBe("linearizable");
    const unseen = new Calls().write(0, 1, "a").write(2, 3, "b", "info");
    expect(unseen.swap(4, 5, "a", "c", "ok", false).verdict).toBe("linearizable");
  });

  test("STRONG: a search that runs out of its budget has proved nothing, and says so as a violation", () => {
    const calls = new Calls();
    for (let i = 0; i < 12; i++) calls.write(0, 50, `v${i}`);
    for (let i = 0; i < 12; i++) calls.read(0, 50, `v${i}`);
    calls.read(60, 61, undefined);
    expect(linearize(calls.all, { statesMax: 5000 })).toEqual({ kind: "unknown", states: 5000 });
    const blamed = checkRegister(calls.all, "k", { statesMax: 5000 });
    expect(blamed.map(({ invariant }) => invariant)).toEqual(["linearizable, budget"]);
    let looks = 0;
    const hasTimeLeft = (): boolean => ++looks < 3;
    expect(linearize(calls.all, { hasTimeLeft })).toEqual({ kind: "unknown", states: 3000 });
    expect(looks).toBe(3);
  });

  test("200 calls of five clients are decided at once, whether they have an order or not", () => {
    const calls = fiveClients(new Prng("five clients"), 200);
    const withinStates = { statesMax: 20_000 };
    expect(linearize(calls, withinStates).kind).toBe("linearizable");
    const last = calls.findLast((call) => call.kind === "read" && call.outcome === "ok")!;
    const bad = calls.map((call) => (call === last ? { ...last, result: "v1" } : call));
    expect(linearize(bad as RegisterCall[], withinStates).kind).toBe("violation");
  });

  test(`${HISTORIES} random histories: the search agrees with trying every order, and its order is one`, () => {
    const verdicts = { linearizable: 0, violation: 0, unknown: 0 };
    for (let seed = 0; seed < HISTORIES; seed++) {
      const calls = randomRegister(new Prng(`register/${seed}`), 6);
      const verdict = linearize(calls);
      expect([seed, verdict.kind === "linearizable"]).toEqual([seed, hasOrder(calls)]);
      verdicts[verdict.kind]++;
      if (verdict.kind === "linearizable") {
        const answered = calls.filter(({ outcome }) => outcome === "ok").map(({ id }) => id);
        const ids = verdict.order.map(({ id }) => id);
        expect([seed, isLegal(verdict.order)]).toEqual([seed, true]);
        expect(ids).toEqual(expect.arrayContaining(answered));
      }
      if (verdict.kind === "violation")
        expect([seed, hasOrder(verdict.core)]).toEqual([seed, false]);
    }
    expect(verdicts.unknown).toBe(0);
    expect(Math.min(verdicts.linearizable, verdicts.violation)).toBeGreaterThan(HISTORIES / 5);
  });
});

/** A real register, written and read by clients of which each does one thing at a time. */
function fiveClients(prng: Prng, count: number): RegisterCall[] {
  const freeMs = [0, 0, 0, 0, 0];
  const calls: { call: RegisterCall; atMs: number }[] = [];
  for (let id = 0; id < count; id++) {
    const client = freeMs.indexOf(Math.min(...freeMs));
    const startMs = freeMs[client]! + prng.below(5);
    const atMs = startMs + prng.float() * 20;
    const endMs = atMs + prng.float() * 20;
    freeMs[client] = endMs + 1;
    const isLost = prng.chance(0.1);
    const told = { id, startMs, endMs: isLost ? Infinity : endMs };
    const outcome = isLost ? "info" : "ok";
    const call: RegisterCall = prng.chance(0.5)
      ? { ...told, outcome, kind: "write", arg: `v${id}` }
      : { ...told, outcome, kind: "read", result: undefined };
    calls.push({ call, atMs });
  }
  let value: RegisterValue;
  for (const own of calls.toSorted((a, b) => a.atMs - b.atMs)) {
    if (own.call.kind === "write") value = own.call.arg;
    else own.call = { ...own.call, kind: "read", result: value };
  }
  return calls.map(({ call }) => call);
}

describe("version chains", () => {
  const PLANTED_CHAINS: readonly (readonly [what: string, bad: Calls, good: Calls])[] = [
    [
      "a fork",
      new Calls().swap(0, 9, undefined, "a").swap(0, 9, undefined, "b"),
      new Calls().swap(0, 9, undefined, "a").swap(0, 9, "a", "b"),
    ],
    [
      "a fork with a swap of unknown outcome that was seen",
      new Calls().swap(0, 9, undefined, "a", "info").swap(0, 9, undefined, "b").read(0, 9, "a"),
      new Calls().swap(0, 9, undefined, "a", "info").swap(0, 9, undefined, "b").read(0, 9, "b"),
    ],
    [
      "a version that nobody made",
      new Calls().swap(0, 9, "x", "a"),
      new Calls().swap(0, 9, "x", "a").swap(0, 9, undefined, "x", "info"),
    ],
    [
      "a ring of versions",
      new Calls().swap(0, 9, "b", "a").swap(0, 9, "a", "b"),
      new Calls().swap(0, 9, undefined, "a").swap(0, 9, "a", "b"),
    ],
    ["a read that nobody made", new Calls().read(0, 9, "a"), new Calls().read(0, 9, undefined)],
    [
      "a swap that comes before an earlier one",
      new Calls().swap(0, 9, "b", "a").swap(10, 11, undefined, "b"),
      new Calls().swap(0, 10, "b", "a").swap(10, 11, undefined, "b"),
    ],
    [
      "a stale read",
      new Calls().swap(0, 1, undefined, "a").swap(2, 3, "a", "b").read(4, 5, "a"),
      new Calls().swap(0, 1, undefined, "a").swap(2, 4, "a", "b").read(4, 5, "a"),
    ],
    [
      "a read from the future",
      new Calls().read(0, 1, "a").swap(2, 3, undefined, "a"),
      new Calls().read(0, 2, "a").swap(2, 3, undefined, "a"),
    ],
    [
      "reads that go back",
      new Calls().swap(0, 9, undefined, "a").read(1, 2, "a").read(3, 4, undefined),
      new Calls().swap(0, 9, undefined, "a").read(1, 2, undefined).read(3, 4, "a"),
    ],
  ];

  for (const [what, bad, good] of PLANTED_CHAINS)
    test(`STRONG: ${what} is found without a search`, () => {
      expect([isVersionChain(bad.all), isVersionChain(good.all)]).toEqual([true, true]);
      expect(checkVersionChain(bad.all, "k").map(({ invariant }) => invariant)).toContain(
        "linearizable",
      );
      expect(checkVersionChain(good.all, "k")).toEqual([]);
      expect([bad.verdict, good.verdict]).toEqual(["violation", "linearizable"]);
    });

  test("chains of any length are judged without a budget", () => {
    const calls = new Calls();
    for (let i = 0; i < 2000; i++)
      calls.swap(i, i + 0.5, i === 0 ? undefined : `v${i - 1}`, `v${i}`);
    expect(checkRegister(calls.all, "k", { statesMax: 0 })).toEqual([]);
    expect(checkRegister(calls.read(3000, 3001, "v3").all, "k", { statesMax: 0 })).toHaveLength(1);
  });

  test("a fork is told as one, and once; real time by the furthest version that had ended", () => {
    const forked = new Calls().swap(0, 1, undefined, "a").swap(2, 3, undefined, "b");
    const blamed = checkVersionChain(forked.read(4, 5, undefined).all, "k");
    expect(blamed).toHaveLength(1);
    expect(blamed[0]!.message).toStartWith("two swaps of one version: 0.0-1.0 #0");
    const late = (version: string): Calls =>
      new Calls()
        .read(5, 6, version)
        .read(7, 8, version)
        .read(0, 3, "a")
        .swap(0, 2, "a", "b")
        .swap(0, 1, undefined, "a");
    expect(checkVersionChain(late("b").all, "k")).toEqual([]);
    expect(checkVersionChain(late("a").all, "k")).toHaveLength(2);
  });

  test("only reads and swaps of versions of their own are a chain", () => {
    const chain = (): Calls => new Calls().swap(0, 1, undefined, "a").read(2, 3, "a");
    expect(isVersionChain(chain().all)).toBe(true);
    expect(isVersionChain(chain().write(4, 5, "b").all)).toBe(false);
    expect(isVersionChain(chain().delete(4, 5).all)).toBe(false);
    expect(isVersionChain(chain().swap(4, 5, "x", "a").all)).toBe(false);
    expect(isVersionChain(chain().swap(4, 5, "x", "c", "ok", false).all)).toBe(false);
    expect(isVersionChain(chain().write(4, 5, "b", "fail").all)).toBe(true);
    expect(() => checkVersionChain(chain().swap(4, 5, "x", "a").all, "k")).toThrow("own");
    const refused = chain().swap(4, 5, "x", "c", "ok", false);
    expect(checkVersionChain(refused.all, "k")).toEqual([]);
  });

  test(`${HISTORIES} random chains: the fast path agrees with the search`, () => {
    const counts = { good: 0, bad: 0 };
    for (let seed = 0; seed < HISTORIES; seed++) {
      const calls = randomChain(new Prng(`chain/${seed}`), 6);
      const isGood = checkVersionChain(calls, "k").length === 0;
      expect([seed, isGood]).toEqual([seed, linearize(calls).kind === "linearizable"]);
      counts[isGood ? "good" : "bad"]++;
    }
    expect(Math.min(counts.good, counts.bad)).toBeGreaterThan(HISTORIES / 10);
  });
});

describe("keys of a history as registers", () => {
  const check = (story: Story): string[] =>
    checkLinearizable(story.history).map(({ invariant }) => invariant);

  test("STRONG: puts, deletes, reads and conditional puts are judged", () => {
    const told = new Story();
    told.put("x", `${A}.1`, seen({ [A]: 1 }));
    told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }));
    told.delete(`${A}.2`, seen({ [A]: 2 }));
    told.get([], seen({ [A]: 2 }));
    told.put("y", `${A}.3`, seen({ [A]: 3 }), { isConditional: true });
    told.get([version(`${A}.3`, "y")], seen({ [A]: 3 }));
    expect(check(told)).toEqual([]);
    told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }));
    expect(check(told)).toEqual(["linearizable"]);
  });

  test("STRONG: a conditional put over a value, and one refused over nothing, are found", () => {
    const refused = { node: "n1", startMs: 0, endMs: 1, status: 412, code: "", detail: "" };
    const put = (wasThere: boolean, fields: object): string[] => {
      const told = new Story();
      if (wasThere) told.put("x", `${A}.1`, seen({ [A]: 1 }));
      told.put("y", `${A}.2`, seen({ [A]: 2 }), { isConditional: true, ...fields });
      return check(told);
    };
    expect(put(false, {})).toEqual([]);
    expect(put(true, {})).toEqual(["linearizable"]);
    expect(put(true, { outcome: "fail", attempts: [refused] })).toEqual([]);
    expect(put(false, { outcome: "fail", attempts: [refused] })).toEqual(["linearizable"]);
    expect(put(false, { outcome: "fail", attempts: [refused, refused] })).toEqual([]);
    expect(put(false, { outcome: "fail", attempts: [{ ...refused, status: 503 }] })).toEqual([]);
  });

  test("STRONG: siblings are more than a register holds; keys at other levels are left alone", () => {
    const told = new Story();
    told.put("x", `${A}.1`, seen({ [A]: 1 }));
    told.put("y", `${B}.1`, seen({ [B]: 1 }));
    told.get([version(`${A}.1`, "x"), version(`${B}.1`, "y")], seen({ [A]: 1, [B]: 1 }));
    expect(check(told)).toEqual(["linearizable"]);
    const isRegister = (place: string): boolean => place !== "b/k";
    expect(checkLinearizable(told.history, { isRegister })).toEqual([]);
    told.history.operations.pop();
    told.get([version(`${A}.1`, "x")], seen({ [A]: 1 }));
    expect(check(told)).toEqual(["linearizable"]);
    expect(checkLinearizable(told.history, { isRegister })).toEqual([]);
  });
});
