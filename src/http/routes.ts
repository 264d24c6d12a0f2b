/**
 * The table of all routes: method, path, role, what goes in, what comes out (REST.md sections 2 to 4).
 *
 * The router, the answer 405, the OpenAPI document and the test that every route has a role are all made from it. The
 * routes of single keys come first, because the router asks in this order.
 */
import { z } from "zod";
import { adminRoutes, clusterRoutes, healthRoutes } from "./admin-route-table.ts";
import { BATCH_BODY, postBatch } from "./batch-routes.ts";
import {
  BUCKET_BODY,
  deleteBucket,
  getBucket,
  listBuckets,
  patchBucket,
  putBucket,
} from "./bucket-routes.ts";
import { READ_HEADERS, WRITE_HEADERS } from "./header-schema.ts";
import {
  deleteKey,
  deleteKey64,
  getKey,
  getKey64,
  postKey,
  putKey,
  putKey64,
} from "./kv-routes.ts";
import { LIST_QUERY, listKeys } from "./list-routes.ts";
import { openApiRoute } from "./openapi.ts";
import type { BodyKind, Route } from "./route.ts";
import { JSON_PROBLEMS, reserved } from "./route-rows.ts";
import { liveRoutes } from "./live-routes.ts";
import { uiRoutes } from "./ui-routes.ts";
import { EXPORT_QUERY, IMPORT_QUERY, exportBucket, importBucket } from "./transfer-routes.ts";

const KEY_PROBLEMS = [
  "bad-key",
  "bad-key-encoding",
  "bad-bucket",
  "bad-consistency",
  "bad-timeout",
  "bad-session",
  "key-too-long",
  "precondition-failed",
  "unavailable",
] as const;
const READ_PROBLEMS = [
  ...KEY_PROBLEMS,
  "key-not-found",
  "not-acceptable",
  "data-corrupt",
  "absence-unproven",
  "session-unsatisfied",
  "read-timeout",
] as const;
const WRITE_PROBLEMS = [
  ...KEY_PROBLEMS,
  "bad-ttl",
  "bad-context",
  "context-mismatch",
  "body-timeout",
  "too-many-siblings",
  "value-too-large",
  "idempotency-mismatch",
  "metadata-too-large",
  "overloaded",
  "write-indeterminate",
  "disk-full",
] as const;
const VALUE_BODY: BodyKind = { mediaType: "application/octet-stream", description: "the value" };
const READ_ANSWERS = { 200: "the value", 300: "several siblings", 304: "not modified" };
const PUT_ANSWERS = {
  204: "acknowledged at the asked level",
  200: "the same, with the value",
  300: "the same, with siblings",
};

const READ_QUERY_PARAMETERS = z.object({
  explain: z.string().optional().describe("1: who holds what, instead of the value"),
  resolve: z.string().optional().describe("lww: the newest of several siblings"),
  dot: z.string().optional().describe("the sibling of that name"),
  tombstones: z.string().optional().describe("drop: do not show deletions beside values"),
});

const READ = {
  role: "read",
  headers: READ_HEADERS,
  parameters: READ_QUERY_PARAMETERS,
  answers: READ_ANSWERS,
  problems: READ_PROBLEMS,
} as const;
const WRITE = { role: "write", headers: WRITE_HEADERS, problems: WRITE_PROBLEMS } as const;
const KEY = "/v1/kv/{bucket}/{key}";
const KEY64 = "/v1/kv64/{bucket}/{key}";

const keyRoutes: readonly Route[] = [
  { method: "GET", path: KEY, summary: "Read a key", ...READ, handle: getKey },
  {
    method: "PUT",
    path: KEY,
    summary: "Write a key",
    ...WRITE,
    body: VALUE_BODY,
    answers: PUT_ANSWERS,
    handle: putKey,
  },
  {
    method: "DELETE",
    path: KEY,
    summary: "Delete a key",
    ...WRITE,
    answers: { 204: "deleted, or not there" },
    handle: deleteKey,
  },
  {
    method: "GET",
    path: KEY64,
    summary: "Read a key given in base64url",
    ...READ,
    handle: getKey64,
  },
  {
    method: "PUT",
    path: KEY64,
    summary: "Write a key given in base64url",
    ...WRITE,
    body: VALUE_BODY,
    answers: PUT_ANSWERS,
    handle: putKey64,
  },
  {
    method: "DELETE",
    path: KEY64,
    summary: "Delete a key given in base64url",
    ...WRITE,
    answers: { 204: "deleted, or not there" },
    handle: deleteKey64,
  },
  {
    method: "POST",
    path: "/v1/kv/{bucket}",
    summary: "Write under a new key",
    ...WRITE,
    body: VALUE_BODY,
    answers: { 201: "written; Location has the key" },
    handle: postKey,
  },
];

const manyKeysRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/kv/{bucket}",
    role: "read",
    summary: "List keys in byte order",
    query: LIST_QUERY,
    answers: { 200: "a page, or lines" },
    problems: ["bad-bucket", "bad-cursor", "not-acceptable", "unavailable", "overloaded"],
    handle: listKeys,
  },
  {
    method: "POST",
    path: "/v1/batch",
    role: "write",
    checksScopes: true,
    summary: "Run many operations",
    body: { mediaType: "application/json", description: "the operations", schema: BATCH_BODY },
    answers: { 200: "a result per operation, in their order" },
    problems: [...JSON_PROBLEMS, "bad-key", "bad-bucket", "bad-consistency", "key-too-long"],
    handle: postBatch,
  },
  {
    method: "GET",
    path: "/v1/export/{bucket}",
    role: "read",
    summary: "All keys with their causal state, as lines",
    query: EXPORT_QUERY,
    answers: { 200: "lines" },
    problems: ["bad-bucket", "not-acceptable", "unavailable", "overloaded"],
    handle: exportBucket,
  },
  {
    method: "POST",
    path: "/v1/import/{bucket}",
    role: "write",
    summary: "Merge exported lines, or write plain ones",
    query: IMPORT_QUERY,
    body: { mediaType: "application/x-ndjson", description: "one key per line" },
    answers: { 200: "how many lines were taken, and which were not" },
    problems: ["bad-bucket", "body-timeout", "unsupported-media-type", "unsupported-encoding"],
    handle: importBucket,
  },
  reserved("GET", "/v1/watch/{bucket}", "read", "Changes as they happen"),
];

const BUCKET = "/v1/buckets/{bucket}";
const PROPERTIES_BODY: BodyKind = {
  mediaType: "application/json",
  description: "the properties",
  schema: BUCKET_BODY,
};
const PROPERTY_PROBLEMS = [
  ...JSON_PROBLEMS,
  "bad-bucket",
  "bad-property",
  "layout-conflict",
  "not-implemented",
] as const;

const bucketRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/buckets",
    role: "read",
    checksScopes: true,
    summary: "Buckets that have properties of their own",
    answers: { 200: "names and properties" },
    problems: ["not-acceptable"],
    handle: listBuckets,
  },
  {
    method: "GET",
    path: BUCKET,
    role: "read",
    summary: "The properties of a bucket",
    answers: { 200: "properties in force" },
    problems: ["bad-bucket", "not-acceptable"],
    handle: getBucket,
  },
  {
    method: "PUT",
    path: BUCKET,
    role: "admin",
    summary: "Replace the properties of a bucket",
    body: PROPERTIES_BODY,
    answers: { 200: "properties in force" },
    problems: PROPERTY_PROBLEMS,
    handle: putBucket,
  },
  {
    method: "PATCH",
    path: BUCKET,
    role: "admin",
    summary: "Change some properties of a bucket",
    body: PROPERTIES_BODY,
    answers: { 200: "properties in force" },
    problems: PROPERTY_PROBLEMS,
    handle: patchBucket,
  },
  {
    method: "DELETE",
    path: BUCKET,
    role: "admin",
    summary: "Forget the properties of an empty bucket",
    answers: { 204: "forgotten" },
    problems: ["bad-bucket", "bucket-not-empty", "layout-conflict"],
    handle: deleteBucket,
  },
];

const DOCUMENTED: readonly Route[] = [
  ...keyRoutes,
  ...manyKeysRoutes,
  ...bucketRoutes,
  ...clusterRoutes,
  ...adminRoutes,
  ...liveRoutes,
  ...healthRoutes,
  ...uiRoutes,
];

export const ROUTES: readonly Route[] = [...DOCUMENTED, openApiRoute(DOCUMENTED)];
