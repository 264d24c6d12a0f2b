/** `/v1/cluster`: the node's view of the cluster (REST.md section 4). */
import { z } from "zod";
import { HutchError } from "../base/errors.ts";
import { requireType } from "./accept.ts";
import { jsonAnswer } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import { checkBucket, checkKey } from "./key-path.ts";
import { keyMember } from "./problem.ts";

export const RING_QUERY = z.object({ key: z.string().optional().describe("bucket/key") });

export function getCluster(exchange: Exchange): Response {
  requireType(exchange.header("accept"), ["application/json"]);
  return jsonAnswer(exchange, exchange.services.admin.cluster());
}

export async function getNodes(exchange: Exchange): Promise<Response> {
  requireType(exchange.header("accept"), ["application/json"]);
  return jsonAnswer(exchange, { nodes: await exchange.services.admin.nodes() });
}

export function getRing(exchange: Exchange): Response {
  requireType(exchange.header("accept"), ["application/json"]);
  const named = exchange.hasQuery ? exchange.query.bytes("key", "bad-key") : undefined;
  if (named === undefined) return jsonAnswer(exchange, exchange.services.admin.ring());
  const slash = named.indexOf(0x2f);
  if (slash < 0) throw new HutchError("bad-key", "Cannot find the key's place: want bucket/key");
  // A byte that no bucket may have stays one that no bucket may have.
  const bucket = checkBucket(String.fromCharCode(...named.subarray(0, Math.min(slash, 64))));
  const key = checkKey(named.slice(slash + 1), exchange.services.limits.keyBytesMax);
  exchange.grant?.requirePrefix(bucket, key);
  return jsonAnswer(exchange, { ...keyMember(key), ...exchange.services.admin.route(bucket, key) });
}

/** Routes of REST.md that are promised for later. */
export function notImplemented(exchange: Exchange): never {
  throw new HutchError(
    "not-implemented",
    `Cannot ${exchange.request.method} "${exchange.path.slice(0, 64)}": the route is reserved and not built yet`,
  );
}
