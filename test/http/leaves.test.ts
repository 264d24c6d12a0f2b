/** The leaves of the REST face against dumb twins. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { preferredType } from "../../src/http/accept.ts";
import { httpDate, parseRfc3339, rfc3339 } from "../../src/http/dates.ts";
import { KeyLanes } from "../../src/http/key-lanes.ts";
import { linesOf } from "../../src/http/ndjson.ts";
import { JSON_DEPTH_MAX, parseJsonText } from "../../src/http/json-text.ts";
import { percentDecode, percentEncode } from "../../src/http/percent.ts";

const instants = fc.date({
  min: new Date("1970-01-01T00:00:00Z"),
  max: new Date("9999-12-31T23:59:59.999Z"),
  noInvalidDate: true,
});

describe("dates", () => {
  test("are written as Date writes them", () => {
    fc.assert(
      fc.property(instants, (date) => {
        expect(httpDate(date.getTime())).toBe(date.toUTCString());
        expect(rfc3339(date.getTime())).toBe(date.toISOString());
      }),
      { numRuns: 2000 },
    );
  });

  test("are read back, with offsets and without fractions", () => {
    fc.assert(
      fc.property(instants, (date) => {
        expect(parseRfc3339(date.toISOString())).toBe(date.getTime());
      }),
    );
    expect(parseRfc3339("2026-11-21T13:00:00+02:30")).toBe(Date.UTC(2026, 10, 21, 10, 30));
    expect(parseRfc3339("2026-11-21t13:00:00.5z")).toBe(Date.UTC(2026, 10, 21, 13, 0, 0, 500));
    expect(parseRfc3339("2000-02-29T00:00:00Z")).toBe(Date.UTC(2000, 1, 29));
    for (const text of [
      "",
      "2026-13-01T00:00:00Z",
      "1900-02-29T00:00:00Z",
      "2026-01-01T24:00:00Z",
      "2026-01-01T00:00:00",
      "2026-01-01 00:00:00Z",
      "2026-01-01T00:00:00+24:00",
    ]) {
      expect(parseRfc3339(text)).toBeUndefined();
    }
  });
});

describe("percent-encoding", () => {
  test("decode(encode(bytes)) is the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(percentDecode(percentEncode(bytes))).toEqual(bytes);
      }),
    );
  });

  test("agrees with decodeURIComponent wherever that can decode", () => {
    const text = fc
      .array(fc.constantFrom("%", "4", "1", "a", "C3", "%A9", "%41", "+", "z", "é"))
      .map((p) => p.join(""));
    fc.assert(
      fc.property(text, (encoded) => {
        let expected: string;
        try {
          expected = decodeURIComponent(encoded);
        } catch {
          return;
        }
        expect(new TextDecoder().decode(percentDecode(encoded))).toBe(expected);
      }),
      { numRuns: 1000 },
    );
    expect(percentDecode("a+b", true)).toEqual(percentDecode("a%20b")!);
    expect(percentDecode("a+b")).toEqual(percentDecode("a%2Bb")!);
  });
});

describe("parseJsonText()", () => {
  test("gives what JSON.parse gives", () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        let expected: unknown;
        let isRefused = false;
        try {
          expected = parseJsonText(text);
        } catch {
          isRefused = true;
        }
        // The generator may draw a name that is not allowed, or the same name twice.
        if (!isRefused) expect(expected).toEqual(JSON.parse(text));
        else expect(text).toMatch(/__proto__|constructor|prototype|"(.*)".*"\1"/s);
      }),
    );
  });

  test("takes a depth of 32 and not of 33, whatever stands in strings", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expect(() => parseJsonText(nested(JSON_DEPTH_MAX))).not.toThrow();
    expect(() => parseJsonText(nested(JSON_DEPTH_MAX + 1))).toThrow();
    expect(parseJsonText(JSON.stringify("[".repeat(100)))).toBe("[".repeat(100));
    expect(parseJsonText('{"a":"\\\\","b":"__proto__","c":["a","a"],"d":{"a":1}}')).toEqual({
      a: "\\",
      b: "__proto__",
      c: ["a", "a"],
      d: { a: 1 },
    });
  });
});

describe("preferredType()", () => {
  test("follows quality, precision and the server's order", () => {
    const offered = ["text/plain", "application/json"];
    const cases: [string | null, string | undefined][] = [
      [null, "text/plain"],
      ["*/*", "text/plain"],
      ["application/json", "application/json"],
      ["APPLICATION/JSON;charset=utf-8", "application/json"],
      ["text/*;q=0.2, application/*;q=0.3", "application/json"],
      ["text/plain;q=0, */*", "application/json"],
      ["image/png", undefined],
      ["*/*;q=0", undefined],
      ["application/json;q=banana", undefined],
      ["text/html, application/xhtml+xml, */*;q=0.8", "text/plain"],
    ];
    for (const [accept, expected] of cases) expect(preferredType(accept, offered)).toBe(expected);
  });
});

describe("linesOf()", () => {
  test("cuts the same lines wherever the chunks are cut", async () => {
    const text = fc
      .array(fc.constantFrom("a", "bb", "\n", "\r\n", "ccc"))
      .map((parts) => parts.join(""));
    await fc.assert(
      fc.asyncProperty(text, fc.array(fc.nat(40)), async (whole, cuts) => {
        const bytes = new TextEncoder().encode(whole);
        const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length].sort(
          (a, b) => a - b,
        );
        async function* chunks(): AsyncGenerator<Uint8Array> {
          for (let i = 1; i < places.length; i++) yield bytes.slice(places[i - 1], places[i]);
        }
        const lines: string[] = [];
        for await (const line of linesOf(chunks(), 1000)) {
          expect(line.number).toBe(lines.length + 1);
          lines.push(new TextDecoder().decode(line.bytes));
        }
        const expected = whole.split("\n").map((line) => line.replace(/\r$/, ""));
        if (whole === "" || whole.endsWith("\n")) expected.pop();
        expect(lines).toEqual(expected);
      }),
    );
  });

  test("of a line that is too long only the number is kept, and the next line is whole", async () => {
    async function* chunks(): AsyncGenerator<Uint8Array> {
      for (const part of ["ab", "cdef", "g\nxy\n"]) yield new TextEncoder().encode(part);
    }
    const lines = [];
    for await (const { number, bytes } of linesOf(chunks(), 5)) {
      lines.push(`${number} ${bytes === undefined ? "-" : new TextDecoder().decode(bytes)}`);
    }
    expect(lines).toEqual(["1 -", "2 xy"]);
  });
});

describe("KeyLanes", () => {
  test("never runs more than allowed, and one key's tasks in order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("a", "b", "c")),
        fc.integer({ min: 1, max: 4 }),
        async (keys, max) => {
          const lanes = new KeyLanes(max);
          const done: string[] = [];
          const busy = new Set<string>();
          for (const [index, key] of keys.entries()) {
            await lanes.add(key, async () => {
              expect(busy.has(key)).toBe(false);
              busy.add(key);
              expect(busy.size).toBeLessThanOrEqual(max);
              for (let turns = index % 3; turns >= 0; turns--) await Promise.resolve();
              busy.delete(key);
              done.push(`${key}${index}`);
            });
          }
          await lanes.drained();
          expect(done).toHaveLength(keys.length);
          for (const key of ["a", "b", "c"]) {
            const own = done
              .filter((name) => name.startsWith(key))
              .map((name) => Number(name.slice(1)));
            expect(own).toEqual([...own].sort((a, b) => a - b));
          }
        },
      ),
    );
  });
});
