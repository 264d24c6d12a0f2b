/** A key on the ring, drawn: its partition, a line to each owner and fallback, and what each has of it. */
import {
  NODE_RADIUS,
  PICTURE_SIZE,
  RING_RADIUS,
  arcPath,
  pointAt,
  turnOfNode,
  turnOfPartition,
} from "./explain-picture.ts";
import { type JudgedNode, VERDICT_SIGNS, VERDICT_WORDS } from "./key-explain.tsx";

export interface ExplainRingProps {
  readonly partition: number;
  readonly partitionCount: number;
  /** All nodes of the cluster. */
  readonly names: readonly string[];
  readonly nodes: readonly JudgedNode[];
}

const DISC_RADIUS = 19;
/** A partition of a large ring is too thin to see; its mark is at least this part of a turn. */
const MARK_TURN_MIN = 0.02;
/** So many nodes are drawn; of a larger cluster only those that have to do with the key. */
const NODES_DRAWN_MAX = 12;

export function ExplainRing({
  partition,
  partitionCount,
  names,
  nodes,
}: ExplainRingProps): preact.JSX.Element {
  const involved = new Map(nodes.map((node) => [node.node, node]));
  const drawn = (names.length > NODES_DRAWN_MAX ? [...involved.keys()] : names).toSorted();
  const turn = turnOfPartition(partition, partitionCount);
  const half = Math.max(1 / partitionCount, MARK_TURN_MIN) / 2;
  const words = nodes.map(({ node, verdict }) => `${node} ${VERDICT_WORDS[verdict]}`).join(", ");
  const start = pointAt(turn, RING_RADIUS - 8);
  const places = drawn.map((name, index) => ({
    name,
    judged: involved.get(name),
    point: pointAt(turnOfNode(index, drawn.length), NODE_RADIUS),
  }));
  return (
    <svg
      class="explain-ring"
      viewBox={`0 0 ${PICTURE_SIZE} ${PICTURE_SIZE}`}
      role="img"
      aria-label={`Partition ${partition} on the ring: ${words}`}
    >
      <circle cx={PICTURE_SIZE / 2} cy={PICTURE_SIZE / 2} r={RING_RADIUS} class="explain-circle" />
      <path d={arcPath(turn - half, turn + half, RING_RADIUS)} class="explain-mark" />
      {places.map(
        ({ name, judged, point }) =>
          judged !== undefined && (
            <line
              key={name}
              x1={start.x}
              y1={start.y}
              x2={point.x}
              y2={point.y}
              class={`explain-line verdict-${judged.verdict} ${judged.place === 0 ? "is-fallback" : ""}`}
            />
          ),
      )}
      {places.map(({ name, judged, point }) => (
        <g key={name} class={`explain-node verdict-${judged?.verdict ?? "none"}`}>
          <circle
            cx={point.x}
            cy={point.y}
            r={judged === undefined ? DISC_RADIUS - 6 : DISC_RADIUS}
          />
          <text x={point.x} y={point.y} dy="0.35em">
            {judged === undefined ? "" : VERDICT_SIGNS[judged.verdict]}
          </text>
          <text x={point.x} y={point.y + DISC_RADIUS + 11} class="explain-name">
            {name}
          </text>
        </g>
      ))}
    </svg>
  );
}
