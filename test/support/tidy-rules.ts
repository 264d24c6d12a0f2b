/**
 * The rules that `test/tidy.test.ts` holds the source to, as functions from sources to complaints ("file:line: what").
 * What each folder may know is the table of DESIGN.md section 3.
 */
import { functionsOf, importsOf, lineAt, type SourceText } from "./source-text.ts";

export const FUNCTION_LINES_MAX = 60;
export const FUNCTION_LINES_LONG = 40;
export const FILE_LINES_MAX = 450;

interface FolderRule {
  /** Folders of `src`; a path with `.ts` allows that one file of a folder; "*" allows all. */
  readonly folders: readonly string[];
  readonly packages?: readonly string[];
}

const CORE = ["base", "kernels", "ports", "causality", "ring", "merkle", "gossip", "quorum"];
const RUNTIME = ["bun:*", "node:*"];

const FOLDERS: Readonly<Record<string, FolderRule>> = {
  base: { folders: [] },
  kernels: { folders: ["base"], packages: ["hash-wasm"] },
  ports: { folders: ["base"] },
  causality: { folders: ["base", "kernels"] },
  ring: { folders: ["base", "kernels"] },
  merkle: { folders: ["base", "kernels"] },
  gossip: { folders: ["base", "kernels"] },
  quorum: { folders: ["base", "causality", "ring"] },
  storage: { folders: ["base", "kernels", "ports"] },
  cluster: { folders: [...CORE, "storage/store.ts"] },
  http: {
    folders: ["base", "ports", "causality", "quorum"],
    packages: ["hono", "hono/*", "zod", "@hono/zod-validator"],
  },
  // The ring's hash, which has to be the same everywhere; that file is plain TypeScript.
  client: { folders: ["base", "causality", "kernels/kernels-js.ts"] },
  config: { folders: ["base"], packages: ["zod"] },
  bun: {
    folders: ["base", "ports", "kernels", "storage"],
    packages: ["@logtape/logtape", ...RUNTIME],
  },
  // The one thing that makes a synchronous loop possible is `drainMicrotasks` of `bun:jsc`.
  sim: {
    folders: [...CORE, "storage", "cluster", "http", "config", "node"],
    packages: ["bun:jsc"],
  },
  checkers: { folders: ["base", "causality"] },
  simulator: { folders: ["*"], packages: ["zod"] },
  // Raw sockets and the clock: real load on a real server.
  load: { folders: ["base"] },
  cli: { folders: ["*"], packages: ["commander", "cli-progress", ...RUNTIME] },
  // Of the REST face only what its answers look like.
  ui: {
    folders: ["base", "http/admin-api.ts", "http/layout-api.ts", "http/live-api.ts"],
    packages: ["preact", "preact/*", "uplot"],
  },
  // Files beside it are parts of the composition root, which takes ports: it knows neither world.
  node: { folders: [...CORE, "storage", "cluster", "http", "config"] },
  index: { folders: ["*"] },
};

/** Names of the real world, outside of the folders that are allowed to speak of it. */
const BANNED: readonly (readonly [name: string, pattern: RegExp])[] = [
  ["Bun", /(?<![.\w$])Bun\b/g],
  ["Date", /(?<![.\w$])Date\b/g],
  ["performance", /(?<![.\w$])performance\b/g],
  ["a timer", /(?<![\w$])(?:setTimeout|setInterval|setImmediate)\b/g],
  ["Math.random", /\bMath\s*\.\s*random\b/g],
  ["crypto", /(?<![.\w$])crypto\b/g],
  ["fetch", /(?<![.\w$])fetch\s*\(/g],
  ["process", /(?<![.\w$])process\b/g],
  ["console", /(?<![.\w$])console\b/g],
  ["Worker", /\bnew\s+Worker\b/g],
  ["localeCompare", /\blocaleCompare\b|\btoLocale\w+|(?<![.\w$])Intl\b/g],
  ["WeakRef", /\b(?:WeakRef|FinalizationRegistry)\b/g],
  ["AbortSignal.timeout", /\bAbortSignal\s*\.\s*timeout\b/g],
];
const REAL_WORLD = new Set(["bun", "cli", "load", "ui"]);
/** The client runs in browsers and edge workers, whose world this file hands to the rest of it. */
const REAL_WORLD_FILES = new Set(["src/client/web-platform.ts"]);
/** The same names inside a browser or a test would be fine; these two are fine nowhere in `src`. */
const UNFINISHED = /\b(?:TODO|FIXME|XXX)\b/g;
const NARROWED = /\b(?:test|describe|it)\s*\.\s*(?:only|skip|todo)\b/g;

/** `x` of `src/x/...`; files right in `src` have a rule of their own name or belong to the composition root. */
export function folderOf(path: string): string {
  const part = path.split("/")[1] ?? "";
  if (!part.endsWith(".ts")) return part;
  const name = part.slice(0, -".ts".length);
  return name in FOLDERS ? name : "node";
}

export function importComplaints(source: SourceText): string[] {
  const folder = folderOf(source.path);
  const rule = FOLDERS[folder];
  if (rule === undefined)
    return [`${source.path}:1: the folder "${folder}" is not in the import table`];
  const complaints: string[] = [];
  for (const { specifier, line } of importsOf(source)) {
    const target = resolveImport(source.path, specifier);
    const isAllowed =
      target === undefined ? allowsPackage(rule, specifier) : allowsPath(rule, folder, target);
    if (!isAllowed)
      complaints.push(`${source.path}:${line}: ${folder} may not import "${specifier}"`);
  }
  return complaints;
}

/** The path of a relative import from the root of the repository, or `undefined` for a package. */
function resolveImport(path: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const parts = path.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

function allowsPackage(rule: FolderRule, specifier: string): boolean {
  return (rule.packages ?? []).some((allowed) =>
    allowed.endsWith("*") ? specifier.startsWith(allowed.slice(0, -1)) : specifier === allowed,
  );
}

function allowsPath(rule: FolderRule, folder: string, target: string): boolean {
  if (!target.startsWith("src/"))
    return folder === "kernels" ? target.startsWith("wasm/") : target === "package.json";
  const targetFolder = folderOf(target);
  if (targetFolder === folder || rule.folders.includes("*")) return true;
  return rule.folders.includes(targetFolder) || rule.folders.includes(target.slice("src/".length));
}

export function globalComplaints(source: SourceText): string[] {
  if (REAL_WORLD.has(folderOf(source.path)) || REAL_WORLD_FILES.has(source.path)) return [];
  return BANNED.flatMap(([name, pattern]) =>
    hits(source.path, source.code, pattern, `names ${name}; take a port or an argument instead`),
  );
}

export function unfinishedComplaints(source: SourceText): string[] {
  const words = hits(source.path, source.raw, UNFINISHED, "is marked as unfinished");
  return [...words, ...hits(source.path, source.code, NARROWED, "runs only a part of the tests")];
}

function hits(path: string, text: string, pattern: RegExp, what: string): string[] {
  return [...text.matchAll(pattern)].map(
    (match) => `${path}:${lineAt(text, match.index)}: ${what}`,
  );
}

export function fileLengthComplaints({ path, raw }: SourceText): string[] {
  const lines = raw.split("\n").length - 1;
  if (lines <= FILE_LINES_MAX) return [];
  return [`${path}:1: has ${lines} lines, at most ${FILE_LINES_MAX}: it is more than one idea`];
}

/** Functions with more than `linesMax` lines. */
export function longFunctions(source: SourceText, linesMax: number): string[] {
  return functionsOf(source)
    .filter(({ lines }) => lines > linesMax)
    .map(({ name, line, lines }) => `${source.path}:${line}: ${name} has ${lines} lines`);
}
