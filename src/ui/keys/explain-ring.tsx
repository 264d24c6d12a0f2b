/**
 * A key on the ring, drawn: first owners by their colours, the key's partition, a line from there to each owner and fallback,
 * and what each of them has.
 */
import { useMemo } from "preact/hooks";
import type { RingPartition } from "../../http/admin-api.ts";
import { byNumber, coloursOf } from "../parts/colours.ts";
import { NOBODY, arcPath, bandPaths, segmentsOf } from "../ring/arcs.ts";
import {
  MARK_BAND,
  NODE_RADIUS,
  PICTURE_SIZE,
  RING_BAND,
  pointAt,
  turnOfNode,
  turnOfPartition,
} from "./explain-picture.ts";
import { type JudgedNode, VERDICT_SIGNS, VERDICT_WORDS } from "./verdicts.ts";

export interface ExplainRingProps {
  readonly partition: number;
  /** All of the ring, in order. */
  readonly partitions: readonly RingPartition[];
  /** All nodes of the cluster. */
  readonly names: readonly string[];
  readonly nodes: readonly JudgedNode[];
}

const DISC_RADIUS = 18;
/** Of a node that has nothing to do with the key. */
const SMALL_RADIUS = 8;
/** A partition of a large ring is too thin to see; its mark is at least this part of a turn. */
const MARK_TURN_MIN = 0.015;
/** So many nodes are drawn; of a larger cluster only those that have to do with the key. */
const NODES_DRAWN_MAX = 12;

export function ExplainRing(props: ExplainRingProps): preact.JSX.Element {
  const { partition, partitions, names, nodes } = props;
  const involved = new Map(nodes.map((node) => [node.node, node]));
  const drawn = (names.length > NODES_DRAWN_MAX ? [...involved.keys()] : [...names]).sort(byNumber);
  const colourOf = coloursOf(names);
  const turn = turnOfPartition(partition, partitions.length);
  const half = Math.max(1 / partitions.length, MARK_TURN_MIN) / 2;
  const words = nodes.map(({ node, verdict }) => `${node} ${VERDICT_WORDS[verdict]}`).join(", ");
  const start = pointAt(turn, MARK_BAND.innerRadius);
  const places = drawn.map((name, index) => ({
    name,
    judged: involved.get(name),
    point: pointAt(turnOfNode(index, drawn.length), NODE_RADIUS),
  }));
  return (
    <svg
      class="explain-ring"
      viewBox={`${-PICTURE_SIZE / 2} ${-PICTURE_SIZE / 2} ${PICTURE_SIZE} ${PICTURE_SIZE}`}
      role="img"
      aria-label={`Partition ${partition} on the ring: ${words}`}
    >
      <FirstOwners partitions={partitions} names={names} />
      <path d={arcPath(turn - half, turn + half, MARK_BAND)} class="explain-mark" />
      {places.map(
        ({ name, judged, point: { x, y } }) =>
          judged !== undefined && (
            <line
              key={name}
              {...{ x1: start.x, y1: start.y, x2: x, y2: y }}
              class={`explain-line verdict-${judged.verdict} ${judged.place === 0 ? "is-fallback" : ""}`}
            />
          ),
      )}
      {places.map(({ name, judged, point: { x, y } }) => (
        <g key={name} class={`explain-node verdict-${judged?.verdict ?? "none"}`}>
          <circle
            cx={x}
            cy={y}
            r={judged === undefined ? SMALL_RADIUS : DISC_RADIUS}
            fill={colourOf(name)}
          />
          <text {...{ x, y }} dy="0.35em" class="explain-sign">
            {judged === undefined ? "" : VERDICT_SIGNS[judged.verdict]}
          </text>
          <text x={x} y={y + DISC_RADIUS + 13} class="explain-name">
            {name}
          </text>
        </g>
      ))}
    </svg>
  );
}

function FirstOwners({
  partitions,
  names,
}: Pick<ExplainRingProps, "partitions" | "names">): preact.JSX.Element {
  const colourOf = coloursOf(names);
  const paths = useMemo(
    () => [
      ...bandPaths(segmentsOf(partitions.map(({ owners }) => owners[0] ?? NOBODY)), RING_BAND),
    ],
    [partitions],
  );
  return (
    <g class="explain-circle">
      {paths.map(([owner, path]) => (
        <path key={owner} d={path} fill={colourOf(owner)} />
      ))}
    </g>
  );
}
