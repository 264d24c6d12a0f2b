/** Series over seconds as an SVG (readable on light and dark pages) and as a line of text. */

export interface Panel {
  readonly title: string;
  readonly values: readonly number[];
  /** A line across, such as a goal. */
  readonly limit?: number;
  /** Drawn as bars, which suits counts that are mostly zero. */
  readonly isBars?: boolean;
}

export interface Plot {
  readonly title: string;
  readonly panels: readonly Panel[];
  /** Moments on the time axis, in seconds. */
  readonly marks: readonly { readonly second: number; readonly label: string }[];
}

const WIDTH = 760;
const PANEL_HEIGHT = 130;
const GAP = 44;
const TOP = 84;
/** Labels of marks stand in two rows, so that near ones do not cover each other. */
const MARK_ROWS = [56, 42] as const;
const LEFT = 70;
const RIGHT = 20;
const BOTTOM = 40;
const INNER_WIDTH = WIDTH - LEFT - RIGHT;
const SECONDS_PER_TICK = 5;

const STYLE = `text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-size:15px;font-weight:600}.small{font-size:11px;fill:#57606a}
.axis{stroke:#8c959f;stroke-width:1}.grid{stroke:#d0d7de;stroke-width:1}.line{fill:none;stroke:#0969da;stroke-width:2;stroke-linejoin:round}
.bar{fill:#cf222e}.mark{stroke:#9a6700;stroke-width:1;stroke-dasharray:4 3}.marktext{font-size:11px;fill:#9a6700}.limit{stroke:#1a7f37;stroke-width:1;stroke-dasharray:2 3}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.axis{stroke:#6e7681}.grid{stroke:#30363d}.line{stroke:#4493f8}.bar{fill:#f85149}.mark{stroke:#d29922}.marktext{fill:#d29922}.limit{stroke:#3fb950}}`;

export function plotSvg({ title, panels, marks }: Plot): string {
  const seconds = Math.max(1, ...panels.map(({ values }) => values.length));
  const height = TOP + panels.length * (PANEL_HEIGHT + GAP) - GAP + BOTTOM;
  const x = (second: number): number => round(LEFT + (second / seconds) * INNER_WIDTH);
  const bottom = height - BOTTOM;
  const lines = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">`,
    `<style>${STYLE}</style>`,
    `<text class="title" x="${LEFT}" y="22">${escaped(title)}</text>`,
    ...panels.flatMap((panel, index) => drawn(panel, TOP + index * (PANEL_HEIGHT + GAP), x)),
    ...marks.flatMap(({ second, label }, index) => {
      const y = MARK_ROWS[index % MARK_ROWS.length]!;
      return [
        `<line class="mark" x1="${x(second)}" x2="${x(second)}" y1="${y - 9}" y2="${bottom}"/>`,
        `<text class="marktext" x="${round(x(second) + 4)}" y="${y}">${escaped(label)}</text>`,
      ];
    }),
  ];
  for (let second = 0; second <= seconds; second += SECONDS_PER_TICK)
    lines.push(
      `<text class="small" x="${x(second)}" y="${bottom + 16}" text-anchor="middle">${second}</text>`,
    );
  lines.push(
    `<text class="small" x="${WIDTH - RIGHT}" y="${bottom + 32}" text-anchor="end">seconds</text>`,
    "</svg>",
  );
  return `${lines.join("\n")}\n`;
}

function drawn(panel: Panel, top: number, x: (second: number) => number): string[] {
  const max = niceCeiling(Math.max(panel.limit ?? 0, ...panel.values));
  const bottom = top + PANEL_HEIGHT;
  const y = (value: number): number => round(bottom - (value / max) * PANEL_HEIGHT);
  const across = (name: string, value: number): string =>
    `<line class="${name}" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}"/>`;
  const label = (value: number): string =>
    `<text class="small" x="${LEFT - 8}" y="${y(value) + 4}" text-anchor="end">${value.toLocaleString("en")}</text>`;
  // A value belongs to the whole second, so its point is in the middle.
  const points = panel.values.map((value, second) => `${x(second + 0.5)},${y(value)}`);
  const bars = panel.values.flatMap((value, second) =>
    value === 0
      ? []
      : `<rect class="bar" x="${round(x(second) + 1)}" width="${round(Math.max(1, x(1) - x(0) - 2))}" y="${y(value)}" height="${round(bottom - y(value))}"/>`,
  );
  return [
    `<text x="${LEFT}" y="${top - 6}" dx="2">${escaped(panel.title)}</text>`,
    across("grid", max),
    across("grid", max / 2),
    across("axis", 0),
    ...[0, max / 2, max].map(label),
    ...(panel.limit === undefined ? [] : [across("limit", panel.limit)]),
    ...(panel.isBars === true ? bars : [`<polyline class="line" points="${points.join(" ")}"/>`]),
  ];
}

/** 1, 2, 4, 5 or 10 times a power of ten: its half is a round number too. */
function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 4, 5, 10].find((step) => step * power >= value) ?? 10) * power;
}

const round = (value: number): number => Math.round(value * 10) / 10;

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}

const BLOCKS = "▁▂▃▄▅▆▇█";

/** One character a value, the greatest is a full block; zero is a dot. */
export function sparkline(values: readonly number[]): string {
  const max = Math.max(...values, Number.MIN_VALUE);
  return values
    .map((value) => (value === 0 ? "·" : BLOCKS[Math.min(7, Math.floor((value / max) * 8))]!))
    .join("");
}
