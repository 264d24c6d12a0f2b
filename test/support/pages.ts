/** The pages of the project as tests see them: fenced blocks, links and headings of Markdown. */

import { readFileSync } from "node:fs";
import { join } from "node:path";

export const ROOT = join(import.meta.dir, "..", "..");

/** A fenced block. The first word behind the fence is its `language`, the rest `info`: what a test has to know of it, which no renderer shows. */
export interface Block {
  readonly language: string;
  readonly info: string;
  /** Of the opening fence, counted from 1. */
  readonly line: number;
  readonly lines: readonly string[];
}

/** A command of a `console` block, behind `$ `, and what the page says that it prints. */
export interface Step {
  readonly command: string;
  readonly expected: readonly string[];
  readonly line: number;
}

export function pageText(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

export function blocksOf(text: string): Block[] {
  const blocks: Block[] = [];
  let open: { language: string; info: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    if (open !== undefined) {
      if (line !== "```") open.lines.push(line);
      else {
        blocks.push(open);
        open = undefined;
      }
      continue;
    }
    const fence = /^```(\S*) ?(.*)$/.exec(line);
    if (fence === null) continue;
    open = { language: fence[1]!, info: fence[2]!, line: index + 1, lines: [] };
  }
  if (open !== undefined) throw new Error(`the block of line ${open.line} does not end`);
  return blocks;
}

/** The commands of a `console` block; a line that ends with a backslash goes on in the next. */
export function stepsOf({ lines, line: first }: Block): Step[] {
  const steps: { command: string; expected: string[]; line: number }[] = [];
  for (const [index, line] of lines.entries()) {
    const last = steps.at(-1);
    if (line.startsWith("$ "))
      steps.push({ command: line.slice(2), expected: [], line: first + 1 + index });
    else if (last === undefined) throw new Error(`line ${first + 1 + index}: no command yet`);
    else if (last.expected.length === 0 && last.command.endsWith("\\")) last.command += `\n${line}`;
    else last.expected.push(line);
  }
  return steps;
}

/** Text of a page without its fenced blocks. */
export function proseOf(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, "");
}

/** Names that links to headings of a page use, as GitHub makes them. */
export function anchorsOf(text: string): string[] {
  return [...proseOf(text).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading!));
}

function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
    .replaceAll(" ", "-");
}
