/** The ring, drawn: a band for each copy, a colour for each owner. Pointing at it, or moving with the arrow keys, chooses a partition. */
import { useMemo } from "preact/hooks";
import type { RingPartition } from "../../http/admin-api.ts";
import type { ColourOf } from "../parts/colours.ts";
import { counted } from "../parts/format.ts";
import { NOBODY, arcPath, bandPaths, partitionAt, segmentsOf } from "./arcs.ts";

const SIZE = 520;
const OUTER = 250;
const BAND = 34;
const GAP = 3;
/** More copies than this are seldom, and would leave no middle. */
const BANDS_MAX = 5;

export interface RingPictureProps {
  readonly partitions: readonly RingPartition[];
  /** -1 for none. */
  readonly chosen: number;
  readonly onChoose: (partition: number) => void;
  /** What is coloured: an owner, or its zone. */
  readonly groupOf: (node: string) => string;
  readonly colourOf: ColourOf;
  /** Groups that are shown faint: others than these, where there are any. */
  readonly focused: string;
  /** Owners that do not answer. */
  readonly isDown: (node: string) => boolean;
}

export function RingPicture(props: RingPictureProps) {
  const { partitions, chosen, onChoose, focused } = props;
  const q = partitions.length;
  const copies = Math.min(BANDS_MAX, Math.max(1, ...partitions.map(({ owners }) => owners.length)));
  const point = (event: PointerEvent): void => {
    const box = (event.currentTarget as SVGSVGElement).getBoundingClientRect();
    const x = event.clientX - box.left - box.width / 2;
    const y = event.clientY - box.top - box.height / 2;
    const isOnRing = Math.hypot(x, y) > ((OUTER - copies * BAND) / SIZE) * box.width;
    if (isOnRing) onChoose(partitionAt(x, y, q));
  };
  return (
    <svg
      class={`ring ${focused === "" ? "" : "has-focus"}`}
      viewBox={`${-SIZE / 2} ${-SIZE / 2} ${SIZE} ${SIZE}`}
      tabIndex={0}
      role="slider"
      aria-label="Partitions of the ring"
      aria-valuemin={0}
      aria-valuemax={q - 1}
      aria-valuenow={Math.max(0, chosen)}
      aria-valuetext={wordsOf(partitions[Math.max(0, chosen)])}
      onPointerMove={point}
      onPointerDown={point}
      onKeyDown={(event) => {
        const next = keyMove(event.key, Math.max(0, chosen), q);
        if (next === undefined) return;
        event.preventDefault();
        onChoose(next);
      }}
    >
      {Array.from({ length: copies }, (_, copy) => (
        <BandPaths key={copy} copy={copy} {...props} />
      ))}
      {chosen >= 0 && <Marker partition={chosen} q={q} copies={copies} />}
      <Middle {...props} copies={copies} />
    </svg>
  );
}

function wordsOf(partition: RingPartition | undefined): string {
  if (partition === undefined) return "";
  return `Partition ${partition.partition}: ${partition.owners.join(", ")}; ${partition.state}`;
}

function keyMove(key: string, from: number, q: number): number | undefined {
  const page = Math.max(1, Math.round(q / 16));
  const steps: Readonly<Record<string, number>> = {
    ArrowRight: 1,
    ArrowUp: 1,
    ArrowLeft: -1,
    ArrowDown: -1,
    PageUp: page,
    PageDown: -page,
    Home: -from,
    End: q - 1 - from,
  };
  const step = steps[key];
  return step === undefined ? undefined : (from + step + q) % q;
}

function BandPaths(props: RingPictureProps & { readonly copy: number }) {
  const { partitions, copy, groupOf, colourOf, focused, isDown } = props;
  const outerRadius = OUTER - copy * BAND;
  const owners = useMemo(
    () => segmentsOf(partitions.map((partition) => partition.owners[copy] ?? NOBODY)),
    [partitions, copy],
  );
  const paths = useMemo(
    () => [...bandPaths(owners, { outerRadius, innerRadius: outerRadius - BAND + GAP })],
    [owners, outerRadius],
  );
  // Outlines are not to be covered by neighbours.
  const inOrder = paths.toSorted(([a], [b]) => Number(isDown(a)) - Number(isDown(b)));
  return (
    <g>
      {inOrder.map(([owner, path]) => {
        const group = groupOf(owner);
        const focus = group === focused || owner === focused ? "is-focus" : "";
        const down = isDown(owner) ? "is-down-arc" : "";
        const colour = colourOf(group);
        // The outline closes the seams between neighbours.
        return (
          <path
            key={owner}
            class={`${focus} ${down}`}
            d={path}
            fill={colour}
            stroke={colour}
            stroke-width="0.5"
          />
        );
      })}
    </g>
  );
}

function Marker({ partition, q, copies }: { partition: number; q: number; copies: number }) {
  const band = { outerRadius: OUTER + 5, innerRadius: OUTER - copies * BAND - 2 };
  // At least a pixel and a half wide.
  const middle = (partition + 0.5) / q;
  const half = Math.max(0.5 / q, 0.001);
  return (
    <path
      class="is-focus"
      d={arcPath(middle - half, middle + half, band)}
      fill="none"
      stroke="var(--text)"
      stroke-width="2"
      pointer-events="none"
    />
  );
}

function Middle({ partitions, chosen, copies }: RingPictureProps & { readonly copies: number }) {
  const partition = partitions[chosen];
  if (partition === undefined)
    return (
      <>
        <text y="-0.2em">{counted(partitions.length, "partition")}</text>
        <text class="soft" y="1.5em">
          {copies === 1 ? "one copy" : `${copies} copies, the first outside`}
        </text>
      </>
    );
  return (
    <>
      <text y="-1em">Partition {partition.partition}</text>
      <text y="0.5em">{partition.owners.join(" · ")}</text>
      <text class="soft" y="2.5em">
        {partition.state}
      </text>
    </>
  );
}
