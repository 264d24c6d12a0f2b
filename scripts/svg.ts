/**
 * A small builder of pictures for the pages: shapes and words with classes, whose colours follow the reader's light or dark.
 * Coordinates are pixels from the left and the top.
 */

const STYLE = `
text { font: 14px ui-sans-serif, system-ui, sans-serif; fill: #1f2328; }
.small { font-size: 12px; } .bold { font-weight: 600; } .quiet { fill: #59636e; }
.mid { text-anchor: middle; } .end { text-anchor: end; }
.mono { font-family: ui-monospace, monospace; font-size: 12px; }
.on { fill: #fff; }
.line { stroke: #818b98; stroke-width: 1.5; fill: none; }
.faint { stroke: #d1d9e0; stroke-width: 1; fill: none; }
.dash { stroke-dasharray: 5 4; }
.tip { fill: #818b98; }
.box { fill: #f6f8fa; stroke: #d1d9e0; }
.a { fill: #6f42e0; } .b { fill: #d9730d; } .c { fill: #0f8a7e; } .d { fill: #c2358a; } .e { fill: #2f6fde; }
.bad { fill: #d1242f; } .badline { stroke: #d1242f; stroke-width: 2; fill: none; }
.good { fill: #1a7f37; } .goodline { stroke: #1a7f37; stroke-width: 2; fill: none; }
.faded { opacity: 0.45; }
.none { fill: #eaeef2; stroke: #d1d9e0; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .quiet { fill: #9198a1; } .on { fill: #fff; }
.line { stroke: #8b949e; } .faint { stroke: #30363d; } .tip { fill: #8b949e; }
.box { fill: #161b22; stroke: #30363d; }
.a { fill: #8b67f0; } .b { fill: #e08a34; } .c { fill: #1fa396; } .d { fill: #d65aa4; } .e { fill: #5a8ef0; }
.bad { fill: #f85149; } .badline { stroke: #f85149; } .good { fill: #3fb950; } .goodline { stroke: #3fb950; }
.faded { opacity: 0.45; }
.none { fill: #21262d; stroke: #30363d; }
}`;

export class Svg {
  readonly #width: number;
  readonly #height: number;
  readonly #title: string;
  readonly #parts: string[] = [];

  /** @param title what the picture says, for who does not see it */
  constructor(width: number, height: number, title: string) {
    this.#width = width;
    this.#height = height;
    this.#title = title;
  }

  text(x: number, y: number, words: string, classes = ""): this {
    return this.#add(
      `<text x="${short(x)}" y="${short(y)}"${classOf(classes)}>${escaped(words)}</text>`,
    );
  }

  box(x: number, y: number, width: number, height: number, classes = "box", radius = 6): this {
    const place = `x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${short(height)}"`;
    return this.#add(`<rect ${place} rx="${radius}"${classOf(classes)}/>`);
  }

  circle(x: number, y: number, radius: number, classes: string): this {
    return this.#add(
      `<circle cx="${short(x)}" cy="${short(y)}" r="${radius}"${classOf(classes)}/>`,
    );
  }

  path(d: string, classes: string): this {
    return this.#add(`<path d="${d}"${classOf(classes)}/>`);
  }

  line(fromX: number, fromY: number, toX: number, toY: number, classes = "line"): this {
    return this.path(`M${short(fromX)} ${short(fromY)}L${short(toX)} ${short(toY)}`, classes);
  }

  /** A line with a tip at its end. */
  arrow(fromX: number, fromY: number, toX: number, toY: number, classes = "line"): this {
    const angle = Math.atan2(toY - fromY, toX - fromX);
    const at = (turn: number, far: number): string =>
      `${short(toX - far * Math.cos(angle + turn))} ${short(toY - far * Math.sin(angle + turn))}`;
    const tip = classes.includes("good") ? "good" : classes.includes("bad") ? "bad" : "tip";
    return this.line(
      fromX,
      fromY,
      toX - 6 * Math.cos(angle),
      toY - 6 * Math.sin(angle),
      classes,
    ).path(`M${short(toX)} ${short(toY)}L${at(0.42, 10)}L${at(-0.42, 10)}Z`, tip);
  }

  /** A piece of a ring, from angle to angle; 0 is at the top, turning as a clock does, a whole turn is 1. */
  arc(
    x: number,
    y: number,
    inner: number,
    outer: number,
    from: number,
    to: number,
    classes: string,
  ): this {
    const at = (radius: number, turn: number): string => {
      const angle = 2 * Math.PI * turn - Math.PI / 2;
      return `${short(x + radius * Math.cos(angle))} ${short(y + radius * Math.sin(angle))}`;
    };
    const large = to - from > 0.5 ? 1 : 0;
    return this.path(
      `M${at(outer, from)}A${outer} ${outer} 0 ${large} 1 ${at(outer, to)}L${at(inner, to)}A${inner} ${inner} 0 ${large} 0 ${at(inner, from)}Z`,
      classes,
    );
  }

  toString(): string {
    const box = `viewBox="0 0 ${this.#width} ${this.#height}" width="${this.#width}" height="${this.#height}"`;
    const title = escaped(this.#title);
    return `<svg xmlns="http://www.w3.org/2000/svg" ${box} role="img" aria-label="${title}">\n<title>${title}</title>\n<style>${STYLE}\n</style>\n${this.#parts.join("\n")}\n</svg>\n`;
  }

  #add(part: string): this {
    this.#parts.push(part);
    return this;
  }
}

function short(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function classOf(classes: string): string {
  return classes === "" ? "" : ` class="${classes}"`;
}

function escaped(words: string): string {
  return words
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
