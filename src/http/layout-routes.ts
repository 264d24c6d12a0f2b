/** `/v1/cluster/layout` and `/v1/cluster/nodes/{id}/...`: changes of the ring (REST.md section 4), each staged, shown, applied. */
import { z } from "zod";
import { utf8Text } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import { requireType } from "./accept.ts";
import type { Job } from "./admin-api.ts";
import { jsonAnswer } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import { readJson } from "./json-body.ts";
import type { ChangeRequest, LayoutSummary, NodeChange } from "./layout-api.ts";
import { percentDecode } from "./percent.ts";
import type { Handler } from "./route.ts";

const NODES = "/v1/cluster/nodes/";
const JOBS = "/v1/admin/jobs/";

/** As many as a layout has nodes. */
const CHANGES_MAX = 1024;
const NAME_LENGTH_MAX = 255;
const WEIGHT_MAX = 1000;

const name = z.string().min(1).max(NAME_LENGTH_MAX);
/** The texts that `--dc`, `--rack` and `--host` take. */
const label = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);

const CHANGE = z
  .strictObject({
    id: name.describe("name or id of the node"),
    weight: z.number().int().min(1).max(WEIGHT_MAX).optional(),
    zone: z
      .strictObject({ dc: label.optional(), rack: label.optional(), host: label.optional() })
      .optional(),
    action: z.enum(["join", "leave", "remove", "replace", "none"]).optional(),
    with: name.optional().describe("of replace: the node that takes its place"),
  })
  .refine(
    ({ action, weight, zone }) =>
      (action === undefined) !== (weight === undefined && zone === undefined),
    "want either an action, or a weight or a zone",
  )
  .refine(
    (change) => (change.action === "replace") === (change.with !== undefined),
    "want with for replace, and for nothing else",
  );

export const STAGE_BODY = z.strictObject({ changes: z.array(CHANGE).min(1).max(CHANGES_MAX) });

export const APPLY_BODY = z.strictObject({
  version: z.number().int().min(1).describe("the one that the preview showed"),
  force: z.boolean().optional(),
});

export const LEAVE_BODY = z.strictObject({ force: z.boolean().optional() });
export const REPLACE_BODY = z.strictObject({
  with: name.describe("name or id of the node that takes its place"),
  force: z.boolean().optional(),
});
export const FORCE_QUERY = z.object({
  force: z
    .enum(["0", "1", "true", "false", ""])
    .optional()
    .describe("1: also where it would be refused for being unwise"),
});

export async function getLayout(exchange: Exchange): Promise<Response> {
  requireType(exchange.header("accept"), ["application/json"]);
  return jsonAnswer(exchange, await exchange.services.admin.layout.show());
}

/** What the changes would do; nothing is staged. */
export async function previewLayout(exchange: Exchange): Promise<Response> {
  const changes = await changesOf(exchange);
  return jsonAnswer(exchange, await exchange.services.admin.layout.preview(changes));
}

export async function stageLayout(exchange: Exchange): Promise<Response> {
  const changes = await changesOf(exchange);
  return told(exchange, "layout_stage", await exchange.services.admin.layout.stage(changes));
}

async function changesOf(exchange: Exchange): Promise<readonly ChangeRequest[]> {
  requireType(exchange.header("accept"), ["application/json"]);
  const { changes } = await readJson(exchange, STAGE_BODY, exchange.services.limits.jsonBytesMax);
  return changes;
}

export async function applyLayout(exchange: Exchange): Promise<Response> {
  const { admin, limits } = exchange.services;
  const { version, force } = await readJson(exchange, APPLY_BODY, limits.jsonBytesMax);
  const isForced = force === true || isForcedByQuery(exchange);
  return started(exchange, await admin.layout.apply(version, { isForced }));
}

/** A body is not read and not wanted. */
export async function revertLayout(exchange: Exchange): Promise<Response> {
  return told(exchange, "layout_revert", await exchange.services.admin.layout.revert());
}

export function changeNode(action: "leave" | "remove"): Handler {
  return async (exchange) => {
    const { limits } = exchange.services;
    const body = await readJson(exchange, LEAVE_BODY, limits.jsonBytesMax, "bad-request", "{}");
    return startChange(exchange, { id: nodeOf(exchange, action), action }, body.force);
  };
}

export async function replaceNode(exchange: Exchange): Promise<Response> {
  const body = await readJson(exchange, REPLACE_BODY, exchange.services.limits.jsonBytesMax);
  const id = nodeOf(exchange, "replace");
  return startChange(exchange, { id, action: "replace", with: body.with }, body.force);
}

async function startChange(
  exchange: Exchange,
  change: NodeChange,
  force: boolean | undefined,
): Promise<Response> {
  const isForced = force === true || isForcedByQuery(exchange);
  return started(exchange, await exchange.services.admin.layout.changeNode(change, { isForced }));
}

function isForcedByQuery(exchange: Exchange): boolean {
  return exchange.hasQuery && exchange.query.flag("force");
}

/** The node in the path, between the collection and the action. */
function nodeOf({ path }: Exchange, action: string): string {
  const raw = path.slice(NODES.length, -`/${action}`.length);
  const bytes = percentDecode(raw);
  const text = bytes && utf8Text(bytes);
  if (text !== undefined) return text;
  throw new HutchError("bad-request", `Cannot ${action} a node: its name is not UTF-8`);
}

function told(exchange: Exchange, action: string, layout: LayoutSummary): Response {
  const { logger } = exchange.services;
  logger.info("admin_action", { kind: action, version: layout.version, requestId: exchange.id });
  return jsonAnswer(exchange, layout);
}

function started(exchange: Exchange, { id, kind }: Job): Response {
  exchange.services.logger.info("admin_action", { kind, job: id, requestId: exchange.id });
  return jsonAnswer(exchange, { id }, 202, { Location: JOBS + id });
}
