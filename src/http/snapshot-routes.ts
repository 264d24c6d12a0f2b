/** `/v1/admin/snapshot` and `/v1/admin/snapshots`: copies of all that one node has, in its data directory. */
import { z } from "zod";
import { utf8Text } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import { requireType } from "./accept.ts";
import { emptyAnswer, jsonAnswer } from "./answers.ts";
import { rfc3339 } from "./dates.ts";
import type { Exchange } from "./exchange.ts";
import { readJson } from "./json-body.ts";
import { percentDecode } from "./percent.ts";

const JOBS = "/v1/admin/jobs/";
const SNAPSHOTS = "/v1/admin/snapshots/";

export const SNAPSHOT_BODY = z.strictObject({
  name: z.string().optional().describe("1 to 63 of a-z, 0-9, . _ -; left out: the time"),
});

export async function takeSnapshot(exchange: Exchange): Promise<Response> {
  const { admin, limits, logger, clock } = exchange.services;
  const body = await readJson(exchange, SNAPSHOT_BODY, limits.jsonBytesMax, "bad-request", "{}");
  const name = body.name ?? nameOfInstant(clock.wallMs());
  const { id } = admin.snapshots.take(name);
  const fields = { kind: "snapshot", job: id, snapshot: name, requestId: exchange.id };
  logger.info("admin_action", fields);
  return jsonAnswer(exchange, { id, name }, 202, { Location: JOBS + id });
}

/** `2026-11-22t02-03-04.567z`. */
function nameOfInstant(wallMs: number): string {
  return rfc3339(wallMs).toLowerCase().replaceAll(":", "-");
}

export function getSnapshots(exchange: Exchange): Response {
  requireType(exchange.header("accept"), ["application/json"]);
  const snapshots = exchange.services.admin.snapshots
    .list()
    .map(({ name, createdMs, tables, bytes }) => ({
      name,
      created: createdMs === 0 ? null : rfc3339(createdMs),
      tables,
      bytes,
    }));
  return jsonAnswer(exchange, { snapshots });
}

export async function removeSnapshot(exchange: Exchange): Promise<Response> {
  const { admin, logger } = exchange.services;
  const snapshot = nameIn(exchange.path);
  await admin.snapshots.remove(snapshot);
  logger.info("admin_action", { kind: "snapshot_remove", snapshot, requestId: exchange.id });
  return emptyAnswer(exchange, 204);
}

function nameIn(path: string): string {
  const bytes = percentDecode(path.slice(SNAPSHOTS.length));
  const name = bytes && utf8Text(bytes);
  if (name !== undefined) return name;
  throw new HutchError("bad-request", "Cannot remove a snapshot: its name is not UTF-8");
}
