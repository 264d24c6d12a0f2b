/**
 * Walks through a page as its reader would: every command of its blocks, in their order, in one shell, with what it prints held against the page.
 *
 * - `console` is a command with what it prints; `sh` are commands that have to succeed.
 * - `console stays`: the command stays in a terminal of its own, which is ready when it has printed what the page shows.
 * - `console stops all`: Ctrl-C in each of these terminals, the youngest first; each has to end with 0.
 * - `sh no-run: why` is not run.
 *
 * `npx`, `bun` and `hutch` are this checkout's program. Ports of the page (7001 to 7009, 7101 to 7109) become free ones, and are turned back in what is printed.
 */

import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../e2e/node-process.ts";
import { compare } from "./page-words.ts";
import { type Block, ROOT, stepsOf } from "./pages.ts";

const PORTS = 9;
const CLIENT_BASE = 7001;
const PEER_BASE = 7101;
/** On a machine that may be busy. */
const STEP_MS_MAX = 45_000;
const LOOK_EVERY_MS = 150;
/** What only looks may look again until it sees what the page says. */
const ONLY_LOOKS =
  /^(curl(?!.* -X )|hutch (status|hints|explain|layout|list|get|ring|nodes|repair|health|buckets)\b(?! (stage|apply|revert)))/;

/** A reader of the pages has these; a machine that only runs the tests may not. */
export const CAN_WALK = Bun.which("curl") !== null && Bun.which("bash") !== null;

export class Walk {
  readonly #directory: string;
  readonly #ports = new Map<string, string>();
  readonly #bound = new Map<string, string>();
  readonly #environment: Record<string, string>;
  readonly #shell: Shell;
  readonly #terminals: { readonly command: string; readonly terminal: Terminal }[] = [];
  /** Commands that were run. */
  count = 0;

  /** @param knobs `HUTCH_...` for all programs, for what makes a page quicker and nothing else */
  constructor(directory: string, knobs: Readonly<Record<string, string>> = {}) {
    this.#directory = directory;
    const client = freeRow();
    const peer = freeRow();
    for (let index = 0; index < PORTS; index++) {
      this.#ports.set(String(CLIENT_BASE + index), String(client + index));
      this.#ports.set(String(PEER_BASE + index), String(peer + index));
    }
    makeTools(directory, ["--base-port", String(client), "--peer-base-port", String(peer)]);
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("HUTCH_"));
    this.#environment = {
      ...(Object.fromEntries(own) as Record<string, string>),
      PATH: `${join(directory, "tools")}:${process.env["PATH"]}`,
      BUN_BE_BUN: "1",
      NO_COLOR: "1",
      CURL_HOME: directory,
      ...knobs,
      HUTCH_URL: `http://127.0.0.1:${client}`,
    };
    // On a terminal curl shows no progress when it prints the answer.
    writeFileSync(join(directory, ".curlrc"), "silent\nshow-error\n");
    this.#shell = new Shell(directory, this.#environment);
  }

  /** The address of the first node of the page. */
  get url(): string {
    return this.#environment["HUTCH_URL"]!;
  }

  async run(blocks: readonly Block[]): Promise<void> {
    for (const block of blocks) await this.#runBlock(block);
  }

  async #runBlock(block: Block): Promise<void> {
    const { language, info, line, lines } = block;
    if (info.startsWith("no-run:")) return;
    if (language === "sh") return this.#runScript(lines.join("\n"), line);
    if (language !== "console") return;
    if (info === "stops all") return this.#stopAll();
    for (const { command, expected, line: at } of stepsOf(block))
      if (info === "stays") await this.#start(command, expected, at);
      else await this.#step(command, expected, at);
  }

  async #runScript(script: string, line: number): Promise<void> {
    this.count++;
    const { exitCode, printed } = await this.#shell.run(this.#own(script));
    if (exitCode !== 0)
      throw new Error(`line ${line}: ${script} ended with ${exitCode}\n${printed}`);
  }

  async #step(command: string, expected: readonly string[], line: number): Promise<void> {
    this.count++;
    const untilMs = performance.now() + STEP_MS_MAX;
    for (;;) {
      const { exitCode, printed } = await this.#shell.run(this.#own(withoutComment(command)));
      const told = this.#asOnPage(printed);
      const { bound, difference } = compare(command, expected, told);
      const failed = exitCode === 0 ? difference : `it ended with ${exitCode}\n${told}`;
      if (failed === "") return this.#keep(bound);
      if (!ONLY_LOOKS.test(command) || performance.now() > untilMs)
        throw new Error(`line ${line}: ${command}: ${failed}`);
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }

  async #start(command: string, expected: readonly string[], line: number): Promise<void> {
    this.count++;
    const terminal = new Terminal(this.#own(command), this.#directory, this.#environment);
    this.#terminals.push({ command, terminal });
    const isThere = (): string =>
      compare(command, expected, this.#asOnPage(terminal.printed)).difference;
    for (const untilMs = performance.now() + STEP_MS_MAX; isThere() !== "";) {
      if (terminal.isOver || performance.now() > untilMs)
        throw new Error(`line ${line}: ${command}: ${isThere()}\n${terminal.noted}`);
      await Bun.sleep(20);
    }
    this.#keep(compare(command, expected, this.#asOnPage(terminal.printed)).bound);
  }

  async #stopAll(): Promise<void> {
    for (const { command, terminal } of this.#terminals.splice(0).reverse()) {
      // The page may have killed all that was in it.
      if (terminal.isOver) continue;
      const exitCode = await terminal.interrupt();
      if (exitCode !== 0) throw new Error(`Ctrl-C of ${command}: ${exitCode}\n${terminal.noted}`);
    }
  }

  /** Ends all that still runs. */
  async close(): Promise<void> {
    await Promise.all(this.#terminals.map(({ terminal }) => terminal.interrupt()));
    await this.#shell.close();
  }

  #keep(bound: ReadonlyMap<string, string>): void {
    for (const [word, own] of bound) this.#bound.set(word, own);
  }

  /** A command of the page with the ports and words of this run. */
  #own(command: string): string {
    const own = command.replaceAll(/(?<=:)7[01]0[1-9]\b/g, (port) => this.#ports.get(port)!);
    return own.replaceAll(/(?<![\w:.-])[\w.-]+/g, (word) => this.#bound.get(word) ?? word);
  }

  #asOnPage(printed: string): string {
    let text = printed;
    for (const [port, own] of this.#ports) text = text.replaceAll(`:${own}`, `:${port}`);
    return text;
  }
}

function withoutComment(command: string): string {
  return command.replace(/\s+# .*$/, "");
}

/** As many ports in a row as the page may use, free a moment ago. */
function freeRow(): number {
  for (let attempt = 0; attempt < 100; attempt++) {
    const base = freePort();
    const isFree = (port: number): boolean => {
      try {
        Bun.listen({ hostname: "127.0.0.1", port, socket: { data: () => undefined } }).stop(true);
        return true;
      } catch {
        return false;
      }
    };
    if (Array.from({ length: PORTS }, (_, index) => base + index).every(isFree)) return base;
  }
  throw new Error("no row of free ports");
}

/** `npx`, `bun` and `hutch`, which all are the program of this checkout. */
function makeTools(directory: string, clusterArguments: readonly string[]): void {
  const tools = join(directory, "tools");
  mkdirSync(tools);
  symlinkSync(join(ROOT, "examples"), join(directory, "examples"));
  const bun = process.execPath;
  const main = join(ROOT, "src", "cli", "main.ts");
  const write = (name: string, script: string): void => {
    writeFileSync(join(tools, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(tools, name), 0o755);
  };
  const hutch = `exec "${bun}" --no-orphans "${main}"`;
  write(
    "hutch",
    `if [ "$1" = cluster ] && [ "$2" = --scale ]; then ${hutch} "$@"; fi
if [ "$1" = cluster ]; then ${hutch} "$@" ${clusterArguments.join(" ")}; fi
${hutch} "$@"`,
  );
  write(
    "bun",
    `if [ "$1 $2" = "run --silent" ]; then shift 2; exec bun run "$@"; fi
if [ "$1" = run ] && [ "$2" = hutch ]; then shift 2; exec hutch "$@"; fi
if [ "$1" = run ] && [ "$2" = cluster ]; then shift; exec hutch "$@"; fi
case "$1" in examples/*) exec "${bun}" "$@";; esac
echo "bun $*: not of the walk" >&2; exit 99`,
  );
  write("npx", `if [ "$1 $2" = "-y bun@1.4.5" ]; then shift 2; exec bun "$@"; fi; exit 99`);
}

/** One bash for all commands, so that a variable or an alias of one is there for the next. */
class Shell {
  readonly #child;
  readonly #reader;
  #text = "";

  constructor(directory: string, environment: Record<string, string>) {
    this.#child = Bun.spawn(["bash", "--norc"], {
      cwd: directory,
      env: environment,
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    this.#reader = this.#child.stdout.getReader();
    this.#child.stdin.write("shopt -s expand_aliases; exec 2>&1\n");
  }

  async run(command: string): Promise<{ exitCode: number; printed: string }> {
    const mark = `end-of-${Bun.randomUUIDv7()}`;
    this.#child.stdin.write(`{ ${command}\n} </dev/null; printf '\\n${mark} %d\\n' $?\n`);
    this.#child.stdin.flush();
    const end = new RegExp(`\\n${mark} (\\d+)\\n`);
    const decoder = new TextDecoder();
    for (let match = end.exec(this.#text); ; match = end.exec(this.#text)) {
      if (match !== null) {
        const printed = this.#text.slice(0, match.index).replaceAll("\r", "");
        this.#text = this.#text.slice(match.index + match[0].length);
        return { exitCode: Number(match[1]), printed };
      }
      const { done, value } = await this.#reader.read();
      if (done) throw new Error(`the shell ended in ${command}: ${this.#text}`);
      this.#text += decoder.decode(value, { stream: true });
    }
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#child.exited;
  }
}

/** A terminal in which one command stays. */
class Terminal {
  readonly #child;
  printed = "";
  noted = "";
  isOver = false;

  constructor(command: string, cwd: string, env: Record<string, string>) {
    this.#child = Bun.spawn(["bash", "-c", `exec ${command}`], {
      cwd,
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    void this.#child.exited.then(() => (this.isOver = true));
    void this.#collect(this.#child.stdout, (text) => (this.printed += text));
    void this.#collect(this.#child.stderr, (text) => (this.noted += text));
  }

  async #collect(stream: ReadableStream<Uint8Array>, take: (text: string) => void): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) take(decoder.decode(chunk, { stream: true }));
  }

  interrupt(): Promise<number> {
    this.#child.kill("SIGINT");
    return this.#child.exited;
  }
}
