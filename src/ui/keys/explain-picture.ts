/**
 * Where things stand on the picture of a key on the ring: angles and points, no drawing.
 *
 * Partition 0 begins at the top and numbers go clockwise. Nodes stand evenly inside the ring in the order of their names, so
 * that the same node is in the same place for every key.
 */

export const PICTURE_SIZE = 320;
const CENTRE = PICTURE_SIZE / 2;
export const RING_RADIUS = 146;
export const NODE_RADIUS = 92;

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** `turn` is 0 at the top and 1 after a whole turn. */
export function pointAt(turn: number, radius: number): Point {
  const angle = 2 * Math.PI * turn - Math.PI / 2;
  return {
    x: rounded(CENTRE + radius * Math.cos(angle)),
    y: rounded(CENTRE + radius * Math.sin(angle)),
  };
}

const rounded = (value: number): number => Math.round(value * 100) / 100;

/** Of the middle of a partition. */
export function turnOfPartition(partition: number, partitionCount: number): number {
  return (partition + 0.5) / partitionCount;
}

export function turnOfNode(index: number, nodeCount: number): number {
  return index / nodeCount;
}

/** An arc along the ring, as the `d` of a path. It must be shorter than a whole turn. */
export function arcPath(fromTurn: number, toTurn: number, radius: number): string {
  const [from, to] = [pointAt(fromTurn, radius), pointAt(toTurn, radius)];
  const isLong = toTurn - fromTurn > 0.5 ? 1 : 0;
  return `M ${from.x} ${from.y} A ${radius} ${radius} 0 ${isLong} 1 ${to.x} ${to.y}`;
}
