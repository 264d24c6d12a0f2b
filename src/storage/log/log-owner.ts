/** Whose log a file is: kind, number, cluster and node must be the ones of this data directory (C3, row 79). */
import { equalBytes, hex } from "../../base/bytes.ts";
import type { LogHeader, LogOwner } from "./log-format.ts";

/** "" when the header is what it should be, else a sentence that says what is wrong. */
export function belongsTo(
  header: LogHeader,
  kind: number,
  fileId: number,
  owner: LogOwner,
): string {
  if (header.kind !== kind)
    return `its header says it is a log of kind ${header.kind}, not ${kind}`;
  if (header.fileId !== fileId) return `its header says it is file ${header.fileId}, not ${fileId}`;
  if (!equalBytes(header.clusterId, owner.clusterId))
    return `it belongs to cluster ${hex(header.clusterId)}, not ${hex(owner.clusterId)}`;
  if (!equalBytes(header.nodeId, owner.nodeId))
    return `it belongs to node ${hex(header.nodeId)}, not ${hex(owner.nodeId)}`;
  return "";
}
