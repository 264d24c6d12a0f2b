/** `/v1/admin`, `/healthz`, `/readyz`, `/metrics`: for the people and programs that look after a node. */
import { z } from "zod";
import { HutchError } from "../base/errors.ts";
import type { AdminApi } from "./admin-api.ts";
import { requireType } from "./accept.ts";
import { bytesAnswer, baseHeaders, emptyAnswer, jsonAnswer } from "./answers.ts";
import { rfc3339 } from "./dates.ts";
import type { Exchange } from "./exchange.ts";
import type { Handler } from "./route.ts";

type WorkKind = Parameters<AdminApi["start"]>[0];

const JOBS = "/v1/admin/jobs/";
const SUSPECTS = "/v1/admin/suspects/";
const METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8";

export const READY_QUERY = z.object({
  verbose: z.enum(["0", "1", "true", "false", ""]).optional().describe("say what was checked"),
});

export function getHealth(exchange: Exchange): Response {
  return jsonAnswer(exchange, { status: "ok" });
}

export function getReadiness(exchange: Exchange): Response {
  const { isReady, checks } = exchange.services.admin.readiness();
  const isVerbose = exchange.hasQuery && exchange.query.text("verbose") !== undefined;
  const shown = isVerbose ? { checks } : {};
  if (!isReady) {
    const failing = Object.entries(checks).filter(([, state]) => state !== "ok");
    throw new HutchError(
      "unavailable",
      `Cannot serve yet: ${failing.map(([name, state]) => `${name} is ${state}`).join(", ")}`,
      { data: shown },
    );
  }
  return jsonAnswer(exchange, { status: "ready", ...shown });
}

export function getMetrics(exchange: Exchange): Response {
  return bytesAnswer(exchange, 200, exchange.services.admin.metrics(), {
    "Content-Type": METRICS_TYPE,
    ...baseHeaders(exchange),
  });
}

export async function getHints(exchange: Exchange): Promise<Response> {
  requireType(exchange.header("accept"), ["application/json"]);
  const held = await exchange.services.admin.hints();
  const targets = held.map(({ oldestMs, ...sums }) => ({ ...sums, oldest: rfc3339(oldestMs) }));
  return jsonAnswer(exchange, { targets });
}

export function getStorage(exchange: Exchange): Response {
  requireType(exchange.header("accept"), ["application/json"]);
  return jsonAnswer(exchange, exchange.services.admin.storage());
}

/** What one kind of upkeep says of itself, and its jobs. */
export function getUpkeep(kind: "repair" | "scrub"): Handler {
  return (exchange) => {
    requireType(exchange.header("accept"), ["application/json"]);
    const { admin } = exchange.services;
    const jobs = admin.jobs().filter((job) => job.kind === kind);
    return jsonAnswer(exchange, { ...admin[kind](), jobs });
  };
}

export function getSuspects(exchange: Exchange): Response {
  requireType(exchange.header("accept"), ["application/json"]);
  return jsonAnswer(exchange, { suspects: exchange.services.admin.suspects() });
}

export async function acceptSuspect(exchange: Exchange): Promise<Response> {
  const { admin, logger } = exchange.services;
  const suspect = exchange.path.slice(SUSPECTS.length, -"/accept".length);
  await admin.acceptSuspect(suspect);
  logger.info("admin_action", { kind: "accept", suspect, requestId: exchange.id });
  return emptyAnswer(exchange, 204);
}

export function getJobs(exchange: Exchange): Response {
  requireType(exchange.header("accept"), ["application/json"]);
  return jsonAnswer(exchange, { jobs: exchange.services.admin.jobs() });
}

export function getJob(exchange: Exchange): Response {
  requireType(exchange.header("accept"), ["application/json"]);
  const id = exchange.path.slice(JOBS.length);
  const job = exchange.services.admin.job(id);
  if (job !== undefined) return jsonAnswer(exchange, job);
  throw new HutchError("no-such-job", `Cannot find job "${id.slice(0, 64)}": none has that id`);
}

/** Starts long work; a body is not read and not wanted. */
export function startWork(kind: WorkKind): Handler {
  return (exchange) => {
    const { logger, admin } = exchange.services;
    const { id } = admin.start(kind);
    logger.info("admin_action", { kind, job: id, requestId: exchange.id });
    return jsonAnswer(exchange, { id }, 202, { Location: JOBS + id });
  };
}
