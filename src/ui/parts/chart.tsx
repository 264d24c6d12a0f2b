/** Lines over time (uPlot), in the colours of the page, with the newest values in words beside their names. */
import { useEffect, useRef } from "preact/hooks";
import UPlot from "uplot";

export interface Line {
  readonly name: string;
  /** A custom property or a colour. */
  readonly colour: string;
  /** `null` where there is nothing to tell. */
  readonly values: readonly (number | null)[];
}

export interface ChartProps {
  readonly title: string;
  readonly seconds: Line["values"];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** What the axis shows at least. */
  readonly topMin: number;
}

const HEIGHT = 170;

export function Chart({ title, seconds, lines, format, topMin }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  const data = [seconds, ...lines.map(({ values }) => values)] as unknown as UPlot.AlignedData;
  useEffect(() => {
    const element = place.current!;
    const made = new UPlot(optionsOf(lines, format, topMin, element.clientWidth), data, element);
    plot.current = made;
    const watch = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    watch.observe(element);
    const redraw = (): void => made.redraw(true, true);
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    window.addEventListener("themechange", redraw);
    dark.addEventListener("change", redraw);
    return () => {
      watch.disconnect();
      window.removeEventListener("themechange", redraw);
      dark.removeEventListener("change", redraw);
      made.destroy();
    };
  }, []);
  useEffect(() => plot.current?.setData(data));
  return (
    <figure class="card">
      <div class="card-head">
        <h2>{title}</h2>
        <Legend lines={lines} format={format} />
      </div>
      <div class="chart" ref={place} aria-hidden="true" />
    </figure>
  );
}

function Legend({ lines, format }: Pick<ChartProps, "lines" | "format">) {
  return (
    <figcaption class="legend">
      {lines.map(({ name, colour, values }) => (
        <span key={name}>
          <i class="swatch" style={{ background: colour }} aria-hidden="true" />
          {name} <b>{newest(values, format)}</b>
        </span>
      ))}
    </figcaption>
  );
}

function newest(values: Line["values"], format: ChartProps["format"]): string {
  const value = values.at(-1) ?? null;
  return value === null ? "–" : format(value);
}

/** What is shown at least; it grows with what is known. */
const WINDOW_SECONDS = 60;

function optionsOf(
  lines: readonly Line[],
  format: (value: number) => string,
  topMin: number,
  width: number,
): UPlot.Options {
  const axis = {
    stroke: () => colourOf("var(--text-soft)"),
    grid: { stroke: () => colourOf("var(--line)"), width: 1 },
    ticks: { show: false },
    font: "11px system-ui, sans-serif",
  };
  return {
    width,
    height: HEIGHT,
    padding: [10, 28, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    scales: {
      x: { time: true, range: (_, from, to) => [Math.min(from, to - WINDOW_SECONDS), to] },
      y: { range: (_, __, top) => [0, Math.max(topMin, (top ?? 0) * 1.15)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 26,
        space: 70,
        values: (_, ticks) => ticks.map(clockText),
      },
      { ...axis, size: 62, space: 36, values: (_, ticks) => ticks.map((tick) => format(tick)) },
    ],
    series: [
      {},
      ...lines.map(({ name, colour }) => ({
        label: name,
        stroke: () => colourOf(colour),
        width: 1.75,
        points: { show: false },
      })),
    ],
  };
}

function clockText(seconds: number): string {
  const date = new Date(seconds * 1000);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, "0"))
    .join(":");
}

/** A canvas does not know custom properties. */
function colourOf(colour: string): string {
  const name = /^var\((--[\w-]+)\)$/.exec(colour)?.[1];
  if (name === undefined) return colour;
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
