/** What the source promises about itself: who may import whom, which globals are named where, how long things are. */
import { describe, expect, test } from "bun:test";
import * as fs from "node:fs";
import { functionsOf, importsOf, readSource, type SourceText } from "./support/source-text.ts";
import {
  FILE_LINES_MAX,
  fileLengthComplaints,
  FUNCTION_LINES_LONG,
  FUNCTION_LINES_MAX,
  globalComplaints,
  importComplaints,
  longFunctions,
  unfinishedComplaints,
} from "./support/tidy-rules.ts";

/** A ratchet: lower it when the figure falls, never raise it. */
const LONG_FUNCTIONS_MAX = 5;

const root = new URL("..", import.meta.url).pathname;

function sourcesOf(...folders: string[]): SourceText[] {
  const paths = folders.flatMap((folder) =>
    fs.existsSync(root + folder) ? [...new Bun.Glob(`${folder}/**/*.{ts,tsx}`).scanSync(root)] : [],
  );
  const own = paths.filter((path) => !path.includes("node_modules")).sort();
  return own.map((path) => readSource(path, fs.readFileSync(root + path, "utf8")));
}

const source = sourcesOf("src");
const everything = [...source, ...sourcesOf("wasm", "test", "bench")];
/** The words that the rules look for stand in the rules and in the planted sources. */
const ABOUT_TIDINESS = new Set(["test/tidy.test.ts", "test/support/tidy-rules.ts"]);

const expectNone = (complaints: string[]): void => expect(complaints.join("\n")).toBe("");
const plant = (path: string, ...lines: string[]): SourceText =>
  readSource(path, `${lines.join("\n")}\n`);

describe("tidy", () => {
  test("there is source to look at", () => {
    expect(source.length).toBeGreaterThan(50);
    expect(source.flatMap(importsOf).length).toBeGreaterThan(200);
    expect(source.flatMap(functionsOf).length).toBeGreaterThan(500);
  });

  test("every import is one that its folder may make", () => {
    expectNone(source.flatMap(importComplaints));
  });

  test("only src/bun and src/cli name the real world", () => {
    expectNone(source.flatMap(globalComplaints));
  });

  test(`no function is longer than ${FUNCTION_LINES_MAX} lines`, () => {
    expectNone(source.flatMap((file) => longFunctions(file, FUNCTION_LINES_MAX)));
  });

  test(`at most ${LONG_FUNCTIONS_MAX} functions are longer than ${FUNCTION_LINES_LONG} lines`, () => {
    // What a component says is markup, a line for each attribute.
    const code = source.filter(({ path }) => !path.endsWith(".tsx"));
    const long = code.flatMap((file) => longFunctions(file, FUNCTION_LINES_LONG));
    if (long.length > LONG_FUNCTIONS_MAX) expectNone(long);
  });

  test(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
    expectNone(source.flatMap(fileLengthComplaints));
  });

  test("nothing is left unfinished, and no test is narrowed or skipped", () => {
    const files = everything.filter(({ path }) => !ABOUT_TIDINESS.has(path));
    expectNone(files.flatMap(unfinishedComplaints));
  });
});

describe("tidy bites", () => {
  const complaintsOn = (path: string, line: string): string[] =>
    importComplaints(plant(path, "", line));

  test.each([
    ["src/base/a.ts", 'import { x } from "../ports/disk.ts";'],
    ["src/ports/a.ts", 'import type { X } from "../kernels/kernels.ts";'],
    ["src/causality/a.ts", 'export { x } from "../storage/store.ts";'],
    ["src/quorum/a.ts", 'export * from "../http/app.ts";'],
    ["src/storage/deep/a.ts", 'const x = await import("../../bun/disk.ts");'],
    ["src/storage/a.ts", 'import "node:fs";'],
    ["src/cluster/a.ts", 'import { x } from "../storage/log/log-writer.ts";'],
    ["src/http/a.ts", 'import { x } from "../cluster/coordinator.ts";'],
    ["src/client/a.ts", 'import { x } from "../http/app.ts";'],
    ["src/bun/a.ts", 'import { x } from "../sim/disk.ts";'],
    ["src/sim/a.ts", 'import { x } from "../bun/disk.ts";'],
    ["src/sim/a.ts", 'import { spawn } from "node:child_process";'],
    ["src/node.ts", 'import { BunDisk } from "./bun/disk.ts";'],
    ["src/cluster/a.ts", 'import { Hono } from "hono";'],
    ["src/cli/a.ts", 'import { z } from "zod";'],
    ["src/storage/a.ts", 'import { xxhash3 } from "hash-wasm";'],
    ["src/base/a.ts", 'import { x } from "../../test/support/x.ts";'],
    ["src/somewhere/a.ts", ""],
  ])("on an import: %s %s", (path, line) => {
    expect(complaintsOn(path, line)).toEqual([
      expect.stringContaining(`${path}:${line === "" ? 1 : 2}: `),
    ]);
  });

  test("on an import over several lines, and not on what only looks like one", () => {
    const spread = plant("src/base/a.ts", "import {", "  x,", '} from "../ports/disk.ts";');
    expect(importComplaints(spread)).toHaveLength(1);
    const quiet = plant(
      "src/base/a.ts",
      '// import { x } from "../ports/disk.ts";',
      "/* export * from '../ports/disk.ts' */",
      "const text = 'import \"node:fs\"';",
      'import { y } from "./b.ts";',
    );
    expect(importComplaints(quiet)).toEqual([]);
  });

  test.each([
    "const x = Bun.hash(y);",
    "const x = Date.now();",
    "const x = new Date(0);",
    "let startMs = performance.now();",
    "setTimeout(go, 1);",
    "globalThis.setTimeout(go, 1);",
    "const x = Math.random();",
    "const id = crypto.randomUUID();",
    "await fetch(url);",
    "const text = `${process.pid}`;",
    "console.log(x);",
    "names.sort((a, b) => a.localeCompare(b));",
    "const w = new WeakRef(x);",
    "const w = new Worker(url);",
    "const s = AbortSignal.timeout(5);",
    "const slow = a / b / Date.now();",
    'const after = /[/"]/.test(x) && Date.now();',
  ])("on a global: %s", (line) => {
    expect(globalComplaints(plant("src/storage/a.ts", "", line))).toEqual([
      expect.stringContaining("src/storage/a.ts:2: names "),
    ]);
    expect(globalComplaints(plant("src/bun/a.ts", line))).toEqual([]);
  });

  test.each([
    "// Date.now() is banned",
    "/** setTimeout(x) and Bun.sleep */",
    'const text = "Date.now() and process.exit";',
    "const text = `performance.now() ${x} Math.random()`;",
    "const pattern = /new Date\\(/;",
    "app.fetch(request);",
    "this.process = owner;",
    "const httpDate = toDate(x);",
    "const updateDate = { isDated: true };",
  ])("not on: %s", (line) => {
    expect(globalComplaints(plant("src/storage/a.ts", line))).toEqual([]);
  });

  const body = (count: number): string[] => Array.from({ length: count }, () => "  step();");
  test.each([
    ["function long(): void {", "}"],
    ["export async function long<T extends object>(x: T, y = { z: 1 }): Promise<{ x: T }> {", "}"],
    ["function long(x: unknown): x is { y: 1 } {", "}"],
    ["function long(): { readonly a: number } | undefined {", "}"],
    ["function long(f: (x: { y: 1 }) => void): (a: number) => { b: 1 } {", "}"],
    ["const long = async (x: number): Promise<void> => {", "};"],
    ["class A {\n  private async long<T>(x: T): Promise<Map<string, T[]>> {", "  }\n}"],
    ["class A {\n  constructor(x: number) {", "  }\n}"],
    ["class A {\n  override get long(): number {", "  }\n}"],
    ["class A {\n  async *[Symbol.asyncIterator](): AsyncIterator<number> {", "  }\n}"],
    ["const a = {\n  long(x: string) {", "  },\n};"],
  ])("on a long function: %s", (head, tail) => {
    const file = (lines: number): SourceText => plant("src/a.ts", head, ...body(lines - 2), tail);
    expect(longFunctions(file(60), 60)).toEqual([]);
    expect(longFunctions(file(61), 60)).toEqual([expect.stringContaining("has 61 lines")]);
  });

  test("not on long classes, calls, blocks and types, nor on braces in text", () => {
    const quiet = [
      plant("src/a.ts", "class A {", ...body(99), "}"),
      plant("src/a.ts", "const a = {", ...body(99), "};"),
      plant("src/a.ts", "if (x) {", ...body(99), "}"),
      plant("src/a.ts", "for (const x of y) {", ...body(99), "}"),
      plant("src/a.ts", "interface A {", "  call(x: number): void;", ...body(99), "}"),
      plant("src/a.ts", "declare function f(): void;", "type A = {", ...body(99), "};"),
      plant(
        "src/a.ts",
        "function f(): void {",
        '  g("}{", `{${x}{`, /[{]/, `${`${a}`}`); // {',
        "}",
        ...body(99),
      ),
    ];
    expect(quiet.flatMap((file) => longFunctions(file, 60))).toEqual([]);
  });

  test("on a long file", () => {
    expect(fileLengthComplaints(plant("src/a.ts", ...body(450)))).toEqual([]);
    expect(fileLengthComplaints(plant("src/a.ts", ...body(451)))).toHaveLength(1);
  });

  test.each([
    "// TODO: later",
    "/* FIXME */",
    "const XXX = 1;",
    "test.only(x);",
    "describe.skip(x);",
    "it . todo(x);",
  ])("on what is unfinished: %s", (line) => {
    expect(unfinishedComplaints(plant("test/a.test.ts", line))).toHaveLength(1);
  });

  test("not on honest code that sounds alike", () => {
    const quiet = plant(
      "test/a.test.ts",
      "iterator.skip(3);",
      "test.if(isLinux)(x);",
      "const method = 1; // methodology",
    );
    expect(unfinishedComplaints(quiet)).toEqual([]);
  });
});
