/**
 * Compares what a page says that a command prints with what it printed now. Words stay as they are; what differs from run to run (names that were made up, times, sizes, process ids)
 * stands for itself: it has to be of the same kind in the same place. The words of the page are bound to those of the run, so that later commands
 * can use them: `kill -9 3666` of the page ends the process that the run showed there.
 */

/** What differs from run to run, each with what it is; the first that fits counts. */
const KINDS: readonly (readonly [kind: string, pattern: string])[] = [
  ["date", "[A-Z][a-z]{2}, \\d\\d [A-Z][a-z]{2} \\d{4} \\d\\d:\\d\\d:\\d\\d GMT"],
  ["instant", "\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z"],
  ["dot", "\\b[0-9a-f]{24}\\.\\d{12,}\\b"],
  ["clock", "\\b\\d{12,}\\.\\d+\\b"],
  ["token", "\\b(?=[\\w-]*[A-Z])(?=[\\w-]*\\d)[\\w-]{24,}"],
  ["hash", "\\b[0-9a-f]{12,32}\\b"],
  ["request", "\\b[0-9a-z]{8,14}-\\d+\\b"],
  ["size", "\\d+(?:\\.\\d+)? (?:B|KiB|MiB)\\b"],
  ["time", "\\d+(?:\\.\\d+)? (?:us|ms|s)\\b"],
  ["pid", "(?<=pid )\\d+"],
];
/** Names of nodes come in an order that differs from cluster to cluster. */
const NODE = ["node", "\\bn[1-9]\\b"] as const;
/** Nobody types what these show. */
const NEVER_BOUND = /^(n?\d{1,3}|\d+(\.\d+)? \w+)$/;
/** How many entries a node stores depends on what it keeps for itself. */
const COUNT = ["count", "(?<=% +)\\d+"] as const;
/** Which nodes give how many partitions to a new share. */
const NUMBER = ["number", "(?<![\\w.])\\d+(?![\\w.])"] as const;
/** The third copy may have answered by the time that two had to. */
const ACKS = ["acks", "(?<=\\b(?:ok|primary|durable)=)[23]\\b"] as const;

function kindsFor(command: string): readonly (readonly [string, string])[] {
  if (/\b(explain|ring)\b/.test(command)) return [...KINDS, NODE];
  if (/ -X PUT /.test(command) && !command.includes("ALL")) return [...KINDS, ACKS];
  if (/\b(stage|leave|apply)\b/.test(command)) return [...KINDS, NUMBER];
  return /\bstatus\b/.test(command) ? [...KINDS, COUNT] : KINDS;
}

interface Line {
  /** The line with kinds for words. */
  readonly shape: string;
  readonly words: readonly string[];
}

function lineOf(text: string, kinds: readonly (readonly [string, string])[]): Line {
  const words: string[] = [];
  const pattern = new RegExp(kinds.map(([, each]) => `(${each})`).join("|"), "g");
  const shape = text
    .replaceAll(pattern, (word: string, ...groups: unknown[]) => {
      words.push(word);
      return `<${kinds[groups.findIndex((group) => group !== undefined)]![0]}>`;
    })
    .replaceAll(/\s+/g, " ")
    .trim();
  return { shape, words };
}

/** A line of the page that stands for any lines. */
const ANY = "...";
/** Rows of these come in an order that differs from run to run. */
const UNORDERED = /\b(explain|get)\b/;

export interface Comparison {
  /** Words of the page with those of the run. */
  readonly bound: ReadonlyMap<string, string>;
  /** Empty where both are the same. */
  readonly difference: string;
}

/** @param expected what the page says; empty where nothing is to be printed */
export function compare(command: string, expected: readonly string[], printed: string): Comparison {
  const bound = new Map<string, string>();
  const kinds = kindsFor(command);
  const trimmed = expected.join("\n").trim();
  if (trimmed === "")
    return { bound, difference: printed.trim() === "" ? "" : `it printed\n${printed}` };
  const wanted = trimmed.split("\n").map((line) => lineOf(line, kinds));
  const found = printed
    .trim()
    .split("\n")
    .map((line) => lineOf(line, kinds));
  const difference = differenceOf(wanted, found, UNORDERED.test(command));
  if (difference !== "") return { bound, difference };
  bind(wanted, found, bound);
  return { bound, difference };
}

function differenceOf(
  wanted: readonly Line[],
  found: readonly Line[],
  isUnordered: boolean,
): string {
  const shapes = (lines: readonly Line[]): string[] => {
    const all = lines.map(({ shape }) => shape);
    return isUnordered ? all.sort() : all;
  };
  const pattern = shapes(wanted)
    .map((shape) =>
      shape === ANY ? "(?:.*\\n)*" : `${shape.split(ANY).map(literal).join(".*")}\\n`,
    )
    .join("");
  const text = `${shapes(found).join("\n")}\n`;
  if (new RegExp(`^${pattern}$`).test(text)) return "";
  return `the page says\n${shapes(wanted).join("\n")}\nbut it printed\n${text}`;
}

function literal(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

/** Each line of the page is bound to the first of its shape that no other line has taken. */
function bind(wanted: readonly Line[], found: readonly Line[], bound: Map<string, string>): void {
  const free = [...found];
  for (const { shape, words } of wanted) {
    const at = free.findIndex((line) => line.shape === shape);
    if (at < 0) continue;
    const [line] = free.splice(at, 1);
    for (const [index, word] of words.entries())
      if (!NEVER_BOUND.test(word)) bound.set(word, line!.words[index]!);
  }
}
