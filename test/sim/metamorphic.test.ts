/**
 * The same operations under many option sets give the same answers: sizes, compression, syncs, restarts, partitions, kernels, one node or several, a ring that
 * changes. `HUTCH_SEEDS=150` tries ten seeds, `bun run fuzz --metamorphic` as many as wanted.
 */
import { describe, expect, test } from "bun:test";
import { metamorphicRun } from "./metamorphic/run.ts";
import { PLAIN, type Subject, type Variant, VARIANTS } from "./metamorphic/subjects.ts";

const SEEDS = Math.max(1, Math.round(Number(process.env["HUTCH_SEEDS"] ?? 15) / 15));
/** Of one seed, on a machine that is busy. */
const TIMEOUT_MS = 600_000;
const FIRST = Number(process.env["HUTCH_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

describe("metamorphic", () => {
  test.each(Array.from({ length: SEEDS }, (_, i) => FIRST + i))(
    "clients see the same in all variants (seed %d)",
    (seed) => {
      const { lines } = metamorphicRun(seed, VARIANTS);
      expect(lines).toBeGreaterThan(100 * VARIANTS.length);
    },
    TIMEOUT_MS,
  );

  test("variants have names of their own", () => {
    expect(new Set(VARIANTS.map(({ name }) => name)).size).toBe(VARIANTS.length);
  });
});

type Alter = (
  path: string,
  init: RequestInit,
  send: () => ReturnType<Subject["send"]>,
) => ReturnType<Subject["send"]>;

/** The plain system with a fault. */
function planted(alter: (count: number) => Alter): Variant {
  return {
    ...PLAIN,
    name: "planted",
    open(seed) {
      const subject = PLAIN.open(seed);
      let count = 0;
      return {
        ...subject,
        send: (client, path, init = {}) =>
          alter(count++)(path, init, () => subject.send(client, path, init)),
      };
    },
  };
}

const isWrite = (init: RequestInit): boolean =>
  init.method === "PUT" && init.body instanceof Uint8Array;

describe("the comparison bites", () => {
  test.each<[string, (count: number) => Alter]>([
    [
      "a write that is acknowledged and forgotten",
      (count) => (_, init, send) =>
        isWrite(init) && count % 10 === 9
          ? { status: 204, headers: new Headers(), text: "" }
          : send(),
    ],
    [
      "a lifetime that is ignored",
      () => (_, init, send) => {
        delete (init.headers as Record<string, string>)["X-TTL"];
        return send();
      },
    ],
    [
      "a context that is ignored",
      () => (_, init, send) => {
        delete (init.headers as Record<string, string>)["X-Causal-Context"];
        return send();
      },
    ],
    [
      "a list that stops early",
      () => (path, init, send) => {
        const answer = send();
        const isList = init.method === "GET" && path.includes("?") && answer.status === 200;
        return isList ? { ...answer, text: answer.text.replace(/,\{"key":.*\}\]/, "]") } : answer;
      },
    ],
  ])(
    "on %s",
    (_, alter) => {
      // Not every seed has the steps that show it.
      const complaints = [1, 2, 3].map((seed) => complaintOn(seed, planted(alter)));
      expect(complaints.join()).toContain('"planted" shows something else');
    },
    TIMEOUT_MS,
  );
});

function complaintOn(seed: number, variant: Variant): string {
  try {
    metamorphicRun(seed, [variant]);
    return "";
  } catch (thrown) {
    return String(thrown);
  }
}
