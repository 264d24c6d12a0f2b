/** What of the key views needs no browser: keys in addresses, differences by lines, values as text, drafts, verdicts. */
import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { textKeyOf, base64KeyOf } from "../../src/http/key-path.ts";
import { placeOf } from "../../src/ui/shell/place.ts";
import { hashOf, keysPlaceOf } from "../../src/ui/keys/keys-place.ts";
import { lineDiff, unionOf } from "../../src/ui/keys/line-diff.ts";
import { keyOfBytes, keyOfText, keyPath, labelOf } from "../../src/ui/keys/stored-key.ts";
import { formsOf, hexLines, shownAs, SHOWN_CHARACTERS_MAX } from "../../src/ui/keys/value-text.ts";
import { judgedNodes, shortDot, summaryOf } from "../../src/ui/keys/verdicts.ts";

const anyKey = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 24 }).map(keyOfBytes),
  fc.string({ minLength: 1, maxLength: 24, unit: "binary" }).map(keyOfText),
  fc
    .array(fc.constantFrom(".", "..", "a", "", "%2e"), { minLength: 1, maxLength: 6 })
    .map((parts) => keyOfText(parts.join("/") || "x")),
);

/** What the node makes of a path, after a browser has been through it. */
function keyInPath(path: string): Uint8Array {
  const url = new URL(path, "http://127.0.0.1:7001").href;
  const exchange = {
    url,
    pathStart: "http://127.0.0.1:7001".length,
    pathEnd: url.length,
    services: { limits: { keyBytesMax: 1024 } },
  } as unknown as Parameters<typeof textKeyOf>[0]; // these are all that is read of it
  return path.startsWith("/v1/kv64/") ? base64KeyOf(exchange) : textKeyOf(exchange);
}

describe("keys in addresses", () => {
  test("the path of every key leads to that key, through what a browser does to a URL", () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        expect(keyInPath(keyPath("demo", key))).toEqual(key.bytes);
      }),
    );
  });

  test("the address of the page keeps bucket, prefix, folders and key", () => {
    fc.assert(
      fc.property(anyKey, anyKey, fc.constantFrom("", "/", ":"), (key, prefix, delimiter) => {
        const back = keysPlaceOf(placeOf(hashOf({ bucket: "demo", prefix, delimiter, key })));
        expect([back.bucket, back.delimiter]).toEqual(["demo", delimiter]);
        expect([back.prefix.bytes, back.key?.bytes]).toEqual([prefix.bytes, key.bytes]);
      }),
    );
  });

  test("a label is one line without anything unseen", () => {
    expect(labelOf(keyOfText("a\nb\u202ec\u200bd"))).toBe("a\\nb\\u{202e}c\\u{200b}d");
    expect(labelOf(keyOfBytes(Uint8Array.of(0xff, 0x61, 0)))).toBe("\\xffa\\x00");
  });
});

describe("lines that differ", () => {
  const someText = fc
    .array(fc.constantFrom("a", "b", "c", ""), { maxLength: 8 })
    .map((lines) => lines.join("\n"));

  test("each side of a difference is one of the texts, in order", () => {
    fc.assert(
      fc.property(someText, someText, (left, right) => {
        const lines = lineDiff(left, right);
        const side = (other: string): string =>
          lines.flatMap((line) => (line.side === other ? [] : [line.text])).join("\n");
        expect([side("right"), side("left")]).toEqual([left, right]);
      }),
    );
  });

  test("equal texts have no difference, and a union keeps the lines of all", () => {
    expect(lineDiff("a\nb", "a\nb").every(({ side }) => side === "both")).toBe(true);
    expect(unionOf(["a\nb", "a\nc", "d\na"])).toBe("d\na\nb\nc");
  });

  test("two long texts without a line in common are told apart without a table of all pairs", () => {
    const long = (word: string): string =>
      Array.from({ length: 20_000 }, (_, i) => word + i).join("\n");
    expect(lineDiff(long("a"), long("b"))).toHaveLength(40_000);
  });
});

describe("values as text", () => {
  test("bytes that are not UTF-8 are shown as such only; objects are indented first", () => {
    expect(formsOf(Uint8Array.of(0xff))).toEqual(["hex"]);
    expect(formsOf(Buffer.from("{}"))).toEqual(["json", "text", "hex"]);
    expect(formsOf(Buffer.from("12"))).toEqual(["text", "hex"]);
  });

  test("hexLines() is what hexdump -C prints", () => {
    expect(hexLines(Buffer.from("hello, world! 12"))).toBe(
      "00000000  68 65 6c 6c 6f 2c 20 77 6f 72 6c 64 21 20 31 32  hello, world! 12",
    );
  });

  test("a long value is cut, and says so", () => {
    const { text, isCut } = shownAs(Buffer.alloc(SHOWN_CHARACTERS_MAX + 1, "a"), "text");
    expect([text.length, isCut]).toEqual([SHOWN_CHARACTERS_MAX, true]);
  });
});

describe("verdicts on owners", () => {
  const node = (name: string, stateHash: string, reachable = true) => ({
    node: name,
    role: "primary" as const,
    state: reachable ? "up" : "down",
    reachable,
    dots: stateHash === "" ? [] : ["a.1"],
    stateHash,
    latencyMs: 1,
  });
  const explained = (owners: ReturnType<typeof node>[], equal = false) => ({
    partition: 1,
    owners,
    fallbacks: [],
    equal,
  });

  test("the state that most have is the one to have", () => {
    const nodes = judgedNodes(
      explained([node("n1", "old"), node("n2", "new"), node("n3", "new"), node("n4", "", false)]),
    );
    expect(nodes.map(({ verdict }) => verdict)).toEqual(["other", "same", "same", "silent"]);
  });

  test("one sentence says how the key is", () => {
    const two = [node("n1", "h"), node("n2", "h")];
    expect(summaryOf(explained(two, true))).toBe("All owners have the same.");
    expect(summaryOf(explained([node("n1", ""), node("n2", "")], true))).toBe(
      "No owner has anything.",
    );
    expect(summaryOf(explained([node("n1", "h"), node("n2", "", false)]))).toBe(
      "n2 does not answer.",
    );
  });

  test("a short dot keeps both ends", () => {
    expect(shortDot("b5e2caeed4677dfa00000001.186868487297024")).toBe("b5e2…01.…7024");
    expect(shortDot("a.12")).toBe("a.12");
  });
});
