/**
 * A TypeScript source as the tidy test sees it: the same text, line for line and column for column, with comments and
 * the content of strings blanked out, so that plain searches cannot be fooled by either.
 *
 * It is a scanner, not a parser. The one guess it makes is where a `/` begins a regular expression: after an operator, an
 * opening bracket, a comma or a keyword such as `return`.
 */

export interface SourceText {
  readonly path: string;
  readonly raw: string;
  /** Comments blank, strings kept. */
  readonly uncommented: string;
  /** Comments, strings, templates and regular expressions blank. */
  readonly code: string;
}

export interface ImportedName {
  readonly specifier: string;
  readonly line: number;
}

export interface FunctionSpan {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

export function readSource(path: string, raw: string): SourceText {
  const scanner = new Scanner(raw);
  scanner.run();
  return { path, raw, uncommented: scanner.uncommented.join(""), code: scanner.code.join("") };
}

export function lineAt(text: string, index: number): number {
  let line = 1;
  for (let i = text.indexOf("\n"); i >= 0 && i < index; i = text.indexOf("\n", i + 1)) line++;
  return line;
}

/** Static imports and exports, side-effect and dynamic imports, types included. */
export function importsOf({ uncommented, code }: SourceText): ImportedName[] {
  const found: ImportedName[] = [];
  const forms = [
    /\b(?:import|export)\b[^;"'`]*?\bfrom\s*["']([^"'\n]+)["']/g,
    /\bimport\s*["']([^"'\n]+)["']/g,
    /\bimport\s*\(\s*["']([^"'\n]+)["']/g,
  ];
  for (const form of forms) {
    for (const match of uncommented.matchAll(form)) {
      // Inside a string the code is blank where the keyword stands.
      if (code[match.index] === " ") continue;
      found.push({ specifier: match[1]!, line: lineAt(uncommented, match.index) });
    }
  }
  return found.sort((a, b) => a.line - b.line);
}

const REGEX_BEFORE =
  /(?:^|[=(,:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|void|throw|new|delete|yield|await))$/;

class Scanner {
  readonly code: string[];
  readonly uncommented: string[];
  private readonly raw: string;
  private at = 0;
  /** Open braces: `true` where closing it goes on with a template. */
  private readonly braces: boolean[] = [];

  constructor(raw: string) {
    this.raw = raw;
    this.code = raw.split("");
    this.uncommented = [...this.code];
  }

  run(): void {
    while (this.at < this.raw.length) this.next();
  }

  private next(): void {
    const character = this.raw[this.at]!;
    const pair = character + (this.raw[this.at + 1] ?? "");
    if (pair === "//") this.comment(this.find("\n"));
    else if (pair === "/*") this.comment(this.find("*/", 2) + 2);
    else if (character === '"' || character === "'") this.string(character);
    else if (character === "`") this.template(this.at);
    else if (character === "/" && this.isRegexHere()) this.regex();
    else if (character === "{") this.open(false);
    else if (character === "}") this.close();
    else this.at++;
  }

  private open(isTemplate: boolean): void {
    this.braces.push(isTemplate);
    this.at++;
  }

  private close(): void {
    if (this.braces.pop() === true) this.template(this.at);
    else this.at++;
  }

  private comment(end: number): void {
    this.blank(this.uncommented, this.at, end);
    this.blank(this.code, this.at, end);
    this.at = end;
  }

  private string(quote: string): void {
    let end = this.at + 1;
    while (end < this.raw.length && this.raw[end] !== quote && this.raw[end] !== "\n") {
      end += this.raw[end] === "\\" ? 2 : 1;
    }
    this.skipBlank(end + 1);
  }

  /** From a backtick, or from the brace that ends a substitution, to the next of either. */
  private template(start: number): void {
    let end = start + 1;
    while (end < this.raw.length) {
      if (this.raw[end] === "`") return this.skipBlank(end + 1);
      if (this.raw.startsWith("${", end)) {
        this.skipBlank(end + 1);
        this.code[this.at] = " ";
        return this.open(true);
      }
      end += this.raw[end] === "\\" ? 2 : 1;
    }
    this.skipBlank(end);
  }

  private regex(): void {
    let end = this.at + 1;
    for (let isInClass = false; end < this.raw.length; end++) {
      const character = this.raw[end];
      if (character === "\\") end++;
      else if (character === "[") isInClass = true;
      else if (character === "]") isInClass = false;
      else if ((character === "/" && !isInClass) || character === "\n") break;
    }
    this.skipBlank(end + 1);
  }

  private isRegexHere(): boolean {
    const before = this.code
      .slice(Math.max(0, this.at - 200), this.at)
      .join("")
      .trimEnd();
    return REGEX_BEFORE.test(before);
  }

  /** Blanks the inside of what starts here and leaves the quotes around it; the braces of a substitution go. */
  private skipBlank(end: number): void {
    this.blank(this.code, this.at + 1, end - 1);
    if (this.raw[this.at] === "}") this.code[this.at] = " ";
    this.at = end;
  }

  private find(text: string, skip = 0): number {
    const index = this.raw.indexOf(text, this.at + skip);
    return index < 0 ? this.raw.length : index;
  }

  private blank(target: string[], start: number, end: number): void {
    for (let i = start; i < Math.min(end, target.length); i++) {
      if (target[i] !== "\n") target[i] = " ";
    }
  }
}

const MODIFIERS =
  "(?:(?:public|private|protected|static|override|async|get|set|export|default)\\s+)*";
const HEADS = [
  // function name(   and   function (
  /\bfunction\b\s*\*?\s*([\w$]*)\s*(?:<[^(]*>)?\(/g,
  // a method, at the beginning of a line
  new RegExp(`^[ \\t]*${MODIFIERS}\\*?\\s*(#?[\\w$]+|\\[[\\w.]+\\])\\s*(?:<[^(\\n]*>)?\\(`, "gm"),
];
const NO_METHOD =
  /^(?:if|for|while|switch|catch|with|return|function|await|throw|new|typeof|void|super|import)$/;

/** Functions, methods and arrow functions with a body in braces, each with the lines from its head to its closing brace. */
export function functionsOf({ code }: SourceText): FunctionSpan[] {
  const spans = new Map<number, FunctionSpan>();
  const add = (name: string, head: number, body: number): void => {
    const end = matching(code, body);
    const line = lineAt(code, head);
    if (end > 0) spans.set(body, { name, line, lines: lineAt(code, end) - line + 1 });
  };
  for (const head of HEADS) {
    for (const match of code.matchAll(head)) {
      const name = match[1] ?? "";
      if (NO_METHOD.test(name)) continue;
      const body = bodyAfter(code, match.index + match[0].length - 1);
      if (body >= 0) add(name || "function", match.index + match[0].search(/\S/), body);
    }
  }
  for (const match of code.matchAll(/=>\s*\{/g)) {
    const body = match.index + match[0].length - 1;
    if (!spans.has(body)) add(arrowName(code, match.index), match.index, body);
  }
  return [...spans.values()].sort((a, b) => a.line - b.line);
}

function arrowName(code: string, arrow: number): string {
  const statement =
    code
      .slice(Math.max(0, arrow - 400), arrow)
      .split(/[;{}]/)
      .at(-1) ?? "";
  return /(?:const|let)\s+([\w$]+)/.exec(statement)?.[1] ?? "an arrow function";
}

/** The opening brace of the body that follows the parameter list opened at `parameters`, or -1 where there is none. */
function bodyAfter(code: string, parameters: number): number {
  const close = matching(code, parameters);
  if (close < 0) return -1;
  let at = skipSpace(code, close + 1);
  if (code[at] === "{") return at;
  if (code[at] !== ":") return -1;
  // A return type: a brace in it opens a type wherever a type may begin.
  for (let mayBeginType = true; at < code.length; at++) {
    const character = code[at]!;
    if (/\s/.test(character)) continue;
    if (character === "{" && !mayBeginType) return at;
    if (";)},".includes(character)) return -1;
    if ("{([<".includes(character)) {
      at = character === "<" ? closingAngle(code, at) : matching(code, at);
      if (at < 0) return -1;
      mayBeginType = false;
    } else
      mayBeginType =
        ":|&=>?".includes(character) ||
        /\b(?:is|keyof|readonly|asserts|extends)$/.test(code.slice(at - 9, at + 1));
  }
  return -1;
}

function matching(code: string, open: number): number {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if ("{([".includes(code[i]!)) depth++;
    else if ("})]".includes(code[i]!) && --depth === 0) return i;
  }
  return -1;
}

function closingAngle(code: string, open: number): number {
  let depth = 0;
  for (let i = open; i < code.length; i++) {
    if (code[i] === "<") depth++;
    else if (code[i] === ">" && code[i - 1] !== "=" && --depth === 0) return i;
  }
  return -1;
}

function skipSpace(code: string, start: number): number {
  let at = start;
  while (/\s/.test(code[at] ?? "x")) at++;
  return at;
}
