/** `/v1/buckets`: the properties of buckets (REST.md section 4). A bucket needs none to be used. */
import { z } from "zod";
import { HutchError } from "../base/errors.ts";
import type { BucketProperties } from "../quorum/operation.ts";
import { checkDefaultConsistency } from "../quorum/parse-consistency.ts";
import { requireType } from "./accept.ts";
import { emptyAnswer, jsonAnswer } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import { TTL_MS_MAX } from "./header-values.ts";
import { readJson } from "./json-body.ts";
import { bucketOf } from "./key-path.ts";

const PREFIX = "/v1/buckets/";
/** Replicas beyond this cost more than they protect. */
const N_MAX = 15;
const SIBLINGS_MAX = 1000;

/** What a client may set; what it leaves out is the default (`PUT`) or stays (`PATCH`). */
export const BUCKET_BODY = z.strictObject({
  n: z.number().int().min(1).max(N_MAX).optional(),
  conflicts: z.string().optional().describe("siblings or lww"),
  blindPut: z.enum(["supersede", "sibling"]).optional(),
  consistency: z.string().optional(),
  strict: z.boolean().optional(),
  ttl: z
    .number()
    .int()
    .min(0)
    .max(TTL_MS_MAX / 1000)
    .optional()
    .describe("seconds, 0 for none"),
  siblingsMax: z.number().int().min(1).max(SIBLINGS_MAX).optional(),
  valueBytesMax: z.number().int().min(0).optional(),
  cache: z.unknown().optional().describe("reserved"),
});

export function listBuckets(exchange: Exchange): Response {
  requireType(exchange.header("accept"), ["application/json"]);
  const { grant, services } = exchange;
  const { kv } = services;
  const names = kv.bucketNames().filter((name) => grant?.allowsBucket(name) !== false);
  const buckets = names.map((name) => ({ name, ...kv.bucket(name) }));
  return jsonAnswer(exchange, { buckets });
}

export function getBucket(exchange: Exchange): Response {
  requireType(exchange.header("accept"), ["application/json"]);
  return jsonAnswer(exchange, exchange.services.kv.bucket(bucketOf(exchange, PREFIX)));
}

export function putBucket(exchange: Exchange): Promise<Response> {
  return setBucket(exchange, "put");
}

export function patchBucket(exchange: Exchange): Promise<Response> {
  return setBucket(exchange, "patch");
}

async function setBucket(exchange: Exchange, mode: "put" | "patch"): Promise<Response> {
  const bucket = bucketOf(exchange, PREFIX);
  requireType(exchange.header("accept"), ["application/json"]);
  const { kv, limits } = exchange.services;
  const body = await readJson(exchange, BUCKET_BODY, limits.jsonBytesMax, "bad-property");
  const properties = propertiesOf(body, limits.valueBytesMax);
  checkRelations(kv.bucket(bucket), properties, mode);
  return jsonAnswer(exchange, await kv.setBucket(bucket, mode, properties));
}

export async function deleteBucket(exchange: Exchange): Promise<Response> {
  await exchange.services.kv.deleteBucket(bucketOf(exchange, PREFIX));
  return emptyAnswer(exchange, 204);
}

type Mutable<Shape> = { -readonly [Member in keyof Shape]?: Shape[Member] };

function propertiesOf(
  body: z.output<typeof BUCKET_BODY>,
  valueBytesMax: number,
): Partial<BucketProperties> {
  const { conflicts, cache, ...rest } = body;
  if (cache !== undefined) throw reserved("cache");
  if ((rest.valueBytesMax ?? 0) > valueBytesMax) {
    throw badProperty(`"valueBytesMax" is ${rest.valueBytesMax}, want at most ${valueBytesMax}`);
  }
  // A member that is `undefined` would hide the default.
  const given = Object.entries(rest).filter(([, value]) => value !== undefined);
  const properties: Mutable<BucketProperties> = Object.fromEntries(given);
  if (conflicts !== undefined) properties.conflicts = conflictModeOf(conflicts);
  return properties;
}

function conflictModeOf(text: string): "siblings" | "lww" {
  if (text === "siblings" || text === "lww") return text;
  if (text.startsWith("crdt:")) throw reserved(text);
  throw badProperty(`"conflicts" is "${text.slice(0, 32)}", want siblings or lww`);
}

/** The default level must fit the `n` that will stand beside it. */
function checkRelations(
  current: BucketProperties,
  properties: Partial<BucketProperties>,
  mode: "put" | "patch",
): void {
  const base = mode === "patch" ? current : { n: 3, consistency: "QUORUM", strict: false };
  const consistency = properties.consistency ?? base.consistency;
  try {
    checkDefaultConsistency(consistency, properties.n ?? base.n, properties.strict ?? base.strict);
  } catch (thrown) {
    if (!(thrown instanceof HutchError) || thrown.code !== "bad-consistency") throw thrown;
    throw badProperty(thrown.message);
  }
}

function badProperty(why: string): HutchError {
  return new HutchError("bad-property", `Cannot set the bucket's properties: ${why}`);
}

function reserved(name: string): HutchError {
  return new HutchError(
    "not-implemented",
    `Cannot set "${name}": it is reserved and not built yet`,
  );
}
