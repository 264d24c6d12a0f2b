/**
 * Where things stand on the picture of a key on the ring: turns and points around 0, 0.
 *
 * Partition 0 begins at the top and numbers go clockwise, as on the large ring (`ring/arcs.ts`). Nodes stand evenly inside it in
 * the order of their names, so that the same node is in the same place for every key.
 */

export const PICTURE_SIZE = 320;
export const RING_BAND = { innerRadius: 138, outerRadius: 152 } as const;
export const MARK_BAND = { innerRadius: 134, outerRadius: 159 } as const;
export const NODE_RADIUS = 84;

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** `turn` is 0 at the top and 1 after a whole turn. */
export function pointAt(turn: number, radius: number): Point {
  const angle = 2 * Math.PI * turn;
  return { x: rounded(radius * Math.sin(angle)), y: rounded(-radius * Math.cos(angle)) };
}

const rounded = (value: number): number => Math.round(value * 100) / 100;

/** Of the middle of a partition. */
export function turnOfPartition(partition: number, partitionCount: number): number {
  return (partition + 0.5) / partitionCount;
}

/** One node stands at the top, two side by side. */
export function turnOfNode(index: number, nodeCount: number): number {
  return (nodeCount === 2 ? 0.25 : 0) + index / nodeCount;
}
