/** A terminal's alternate screen, on which pictures follow each other in place; the person's own screen comes back as it was. */

import { print } from "./terminal.ts";

/** Of a terminal that does not say. */
const WIDTH_DEFAULT = 80;
const ROWS_DEFAULT = 24;

/** Alternate screen, no cursor, no wrapping of long lines; and back. */
const ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const CLEAR_LINE = "\x1b[K";
const CLEAR_BELOW = "\x1b[J";
const NO_WRAP = "\x1b[?7l";
const WRAP = "\x1b[?7h";

/** Whoever reads a pipe has all the room there is. */
export function terminalWidth(): number {
  if (process.stdout.isTTY !== true) return Number.POSITIVE_INFINITY;
  return process.stdout.columns || WIDTH_DEFAULT;
}

/** Lines that a picture may have. */
export function terminalRows(): number {
  return Math.max(1, (process.stdout.rows || ROWS_DEFAULT) - 1);
}

export class AlternateScreen {
  #lines: readonly string[] = [];
  #isOpen = true;

  constructor() {
    process.stdout.write(ENTER);
  }

  /** Overwrites in place, as clearing first would flicker; what is below the terminal's last line is left out. */
  draw(lines: readonly string[]): void {
    this.#lines = lines;
    const shown = lines.slice(0, terminalRows());
    const text = shown.map((line) => `${line}${CLEAR_LINE}\n`).join("");
    process.stdout.write(`${HOME}${text}${CLEAR_BELOW}`);
  }

  /** @param keepsLast prints the last picture below what stood there before */
  close(keepsLast = true): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.stdout.write(LEAVE);
    if (keepsLast) for (const line of this.#lines) print(line);
  }
}

/** A few lines that are drawn again in place, below what stood there before; gone when it is cleared. */
export class Redrawn {
  readonly #stream: NodeJS.WriteStream;
  #height = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  draw(lines: readonly string[]): void {
    const shown = lines.slice(0, Math.max(1, (this.#stream.rows || ROWS_DEFAULT) - 2));
    const text = shown.map((line) => `${line}${CLEAR_LINE}\n`).join("");
    this.#stream.write(`${NO_WRAP}${this.#up()}${text}${CLEAR_BELOW}${WRAP}`);
    this.#height = shown.length;
  }

  clear(): void {
    this.#stream.write(`${this.#up()}${CLEAR_BELOW}`);
    this.#height = 0;
  }

  #up(): string {
    return this.#height === 0 ? "" : `\x1b[${this.#height}A`;
  }
}
