/** `hutch inspect wal` and `hutch inspect manifest`: what is in a log file, as lines of text. Reads everything, changes nothing. */

import { hex } from "../base/bytes.ts";
import { messageOf } from "../base/errors.ts";
import type { Disk } from "../ports/disk.ts";
import type { ManifestState } from "../storage/levels/manifest-edit.ts";
import { EMPTY_STATE, applyEdit, decodeEdit } from "../storage/levels/manifest-edit.ts";
import type { LogKind, LogRecord } from "../storage/log/log-format.ts";
import { LOG_KINDS, RECORD_TYPES } from "../storage/log/log-format.ts";
import type { LogScan } from "../storage/log/log-scan.ts";
import { readWholeFile, scanLog } from "../storage/log/log-scan.ts";

/** Records listed one by one; a segment of small writes has hundreds of thousands. */
const RECORDS_SHOWN_MAX = 50;

/** The description of the log at `path`; damage is a line of it. */
export function inspectLog(disk: Disk, path: string, kind: LogKind): string[] {
  const scan = scanLog(path, readWholeFile(disk, path));
  if (typeof scan.header === "string") return [`${kind} ${path}`, `  DAMAGED: ${scan.header}`];
  return [
    `${kind} ${path}`,
    ...headerLines(scan, kind),
    ...soundnessLines(scan),
    ...(kind === "manifest" ? stateLines(scan) : []),
    ...recordLines(scan),
  ];
}

function headerLines({ header, bytes }: LogScan, kind: LogKind): string[] {
  if (typeof header === "string") return [];
  const wrongKind =
    header.kind === LOG_KINDS[kind] ? [] : [`  DAMAGED: not a ${kind}, kind ${header.kind}`];
  return [
    ...wrongKind,
    `  id ${header.fileId}, format ${header.format}, ${bytes.length} bytes`,
    `  cluster ${hex(header.clusterId)}, node ${hex(header.nodeId)}`,
    `  starts at sequence ${header.startSequence}, durable up to ${header.durableSequence} by then`,
  ];
}

/** A torn tail is what a power loss leaves and loses nothing; a record proven durable behind it makes it damage. */
function soundnessLines(scan: LogScan): string[] {
  const records = `${scan.records.length} records in [0, ${scan.soundEnd})`;
  if (scan.soundEnd === scan.bytes.length)
    return [`  ${records}, all sound, ${scan.isClosed ? "closed in order" : "not closed"}`];
  const lastSequence = scan.records.at(-1)?.sequence ?? 0;
  const rest = scan.bytes.length - scan.soundEnd;
  const verdict =
    scan.provenSequence > lastSequence
      ? `DAMAGED: records up to sequence ${scan.provenSequence} had been synced`
      : "a torn tail, as a power loss leaves it: nothing in it was acknowledged";
  return [`  ${records}`, `  ${rest} bytes from ${scan.soundEnd} do not verify: ${verdict}`];
}

function stateLines(scan: LogScan): string[] {
  let state: ManifestState = EMPTY_STATE;
  for (const record of scan.records) {
    try {
      state = applyEdit(state, decodeEdit(scan.bytes, record.payloadStart, record.end));
    } catch (thrown) {
      return [`  DAMAGED: edit ${record.sequence}: ${messageOf(thrown)}`];
    }
  }
  const levels = state.levels.tables.flatMap((tables, level) =>
    tables.length === 0 ? [] : [`  level ${level}: tables ${tables.map(({ id }) => id).join(" ")}`],
  );
  return [
    `  next file ${state.nextFileId}, everything up to sequence ${state.flushedSequence} is in tables`,
    `  log segments ${state.walIds.join(" ") || "none"}`,
    ...levels,
    ...(state.levels.lostRanges.length === 0
      ? []
      : [`  lost ranges ${state.levels.lostRanges.length}`]),
  ];
}

function recordLines({ records }: LogScan): string[] {
  const shown = records.slice(-RECORDS_SHOWN_MAX);
  const hidden = records.length - shown.length;
  return [
    ...(hidden === 0 ? [] : [`  ${hidden} records before these`]),
    ...shown.map((record) => `  ${recordText(record)}`),
  ];
}

function recordText(record: LogRecord): string {
  const type =
    Object.entries(RECORD_TYPES).find(([, value]) => value === record.type)?.[0] ?? "unknown";
  const bytes = record.end - record.payloadStart;
  return `${type} at sequence ${record.sequence}, ${bytes} bytes, durable up to ${record.durableSequence} by then`;
}
