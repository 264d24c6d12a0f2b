/** What `import ... from "hutch/client"` gives. */

export { HutchError } from "../base/errors.ts";
export type { ErrorCode, Retry } from "../base/errors.ts";
export { Bucket } from "./bucket.ts";
export type { BucketOptions } from "./bucket.ts";
export { bytes, json, text } from "./codecs.ts";
export type { Codec } from "./codecs.ts";
export { CONTEXTS_MAX } from "./context-memory.ts";
export { RequestError, SiblingsError, ValueError } from "./errors.ts";
export type { ValueIssue } from "./errors.ts";
export { HutchClient } from "./hutch-client.ts";
export type { HutchClientOptions } from "./hutch-client.ts";
export type { Platform } from "./platform.ts";
export type { StandardSchema } from "./standard-schema.ts";
export type * from "./types.ts";
export type { Change, UpdateOptions, Updated } from "./update.ts";
export type { Send } from "./wire.ts";
