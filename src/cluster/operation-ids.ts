/** Names for client operations on their way between nodes: chance once, then a count. */

export const OPERATION_ID_BYTES = 16;

/** Each call gives another one. `start` is drawn anew by every process. */
export function operationIds(
  start: Uint8Array = new Uint8Array(OPERATION_ID_BYTES),
): () => Uint8Array {
  let count = 0;
  return () => {
    const id = start.slice();
    count++;
    for (let at = 0, rest = count; rest > 0; at++, rest = Math.floor(rest / 256)) id[at] = rest;
    return id;
  };
}
