/**
 * What happens at the nodes of a simulated cluster, by name, so that a fault can strike at the n-th time that it does (FAULTS.md 2.8):
 *
 *   log EVENT                     a line of the log
 *   KIND, KIND DETAIL             a message of another node arrives: `read`, `merge handoff`, `repair collect`, `exchange propose`, ...
 *   collect compare, collect drop     and of a collection its phase, too
 *   sent KIND DETAIL              the same, at the node that had sent it
 *   answer KIND                   a reply arrives
 *   disk CALL FILE                the node is about to make this call of its disk: `disk sync log`, `disk rename current.tmp`
 *   job KIND, job KIND ends       a worker begins a job, or has ended it; `job KIND fails`
 *
 * FILE is `log`, `table`, `manifest`, `current`, `identity`, `alive`, `lock`, `directory` or `other`, with `.tmp` while it is being written and `.corrupt` when it
 * is put aside.
 *
 * Whoever strikes at a call of the disk from within its listener does so before the call has any effect: a node that is killed there never makes it. Whatever
 * else happens is under way already; there, faults strike in an event of their own right after.
 */
import { decodeCollectRequest } from "../cluster/collect-messages.ts";
import type { PeerReply, PeerRequest } from "../cluster/peer-messages.ts";
import type { LogFields, Logger } from "../ports/logger.ts";
import type { DiskCall } from "../sim/disk-faults.ts";
import type { JobStage } from "../sim/workers.ts";
import {
  ALIVE_FILE,
  CURRENT_FILE,
  IDENTITY_FILE,
  LOCK_FILE,
  parseFileName,
  quarantinedName,
  temporaryName,
} from "../storage/file-names.ts";

export interface Happening {
  /** Of the node. */
  readonly index: number;
  readonly event: string;
  /** A listener that ends the node now ends it at that call, before it has its effect. */
  readonly isDiskCall: boolean;
}

/** `logger`, and somebody who hears the names of the events. */
export function tellingLogger(logger: Logger, tell: (event: string) => void): Logger {
  const telling =
    (level: keyof Logger) =>
    (event: string, fields?: LogFields): void => {
      logger[level](event, fields);
      tell(`log ${event}`);
    };
  return {
    debug: telling("debug"),
    info: telling("info"),
    warn: telling("warn"),
    error: telling("error"),
  };
}

/** The names of a message that arrives, the general one first. */
export function messageNames(body: PeerRequest | PeerReply, isReply: boolean): readonly string[] {
  if (isReply) return [`answer ${body.kind}`];
  switch (body.kind) {
    case "merge":
      return "purpose" in body ? [`merge ${body.purpose}`] : ["merge"];
    case "repair":
      return "topic" in body ? repairNames(body.topic, body.body) : ["repair"];
    case "exchange":
      return "topic" in body ? [`exchange ${body.topic}`] : ["exchange"];
    default:
      return [body.kind];
  }
}

function repairNames(topic: string, body: Uint8Array): readonly string[] {
  if (topic !== "collect") return [`repair ${topic}`];
  return [`repair ${topic}`, `collect ${decodeCollectRequest(body).step}`];
}

export const jobName = (kind: string, stage: JobStage): string =>
  stage === "begins" ? `job ${kind}` : `job ${kind} ${stage}`;

export const diskCallName = ({ kind, path }: DiskCall): string => `disk ${kind} ${fileClass(path)}`;

const NAMED: Readonly<Record<string, string>> = {
  "": "directory",
  [LOCK_FILE]: "lock",
  [IDENTITY_FILE]: "identity",
  [CURRENT_FILE]: "current",
  [ALIVE_FILE]: "alive",
};
const NUMBERED = { wal: "log", table: "table", manifest: "manifest" } as const;

/** What kind of file of a data directory has that name (`storage/file-names.ts`). */
export function fileClass(path: string): string {
  for (const suffix of [temporaryName(""), quarantinedName("")])
    if (path.endsWith(suffix)) return fileClass(path.slice(0, -suffix.length)) + suffix;
  const numbered = parseFileName(path);
  return numbered === undefined ? (NAMED[path] ?? "other") : NUMBERED[numbered.kind];
}

/** What a node says of a disk that does not hold what it should. */
const DAMAGES: ReadonlySet<string> = new Set([
  "log table_damaged",
  "log table_quarantined",
  "log table_not_opened",
  "log log_damaged",
]);

export const isDamage = (event: string): boolean => DAMAGES.has(event);
