/**
 * Read, change, write, and again where somebody came in between.
 *
 *   read -> value, context, etag -> change(value) -> PUT with that context, `If-Match` that etag (or `If-None-Match: *`)
 *                                                    412: somebody wrote since; after a pause from the start
 *
 * The context alone makes sure that nothing is lost: what came in between stays as a sibling. The condition, which is advisory, makes
 * that rare. An outcome that is not known is thrown, never taken for a refusal: the change may have been made already.
 */

import { RequestError, SiblingsError } from "./errors.ts";
import { type Platform, sleep } from "./platform.ts";
import type { Entry, ReadOptions, WriteOptions, Written } from "./types.ts";

export const UPDATE_ATTEMPTS_MAX = 10;
const PAUSE_MS_MIN = 10;
const PAUSE_MS_MAX = 500;

export type Change<Value, Input> = (
  current: Value | undefined,
) => Input | undefined | Promise<Input | undefined>;

export interface UpdateOptions<Value, Input>
  extends
    ReadOptions<Value, Input>,
    Pick<WriteOptions, "ttl" | "expiresAt" | "metadata" | "contentType"> {}

export interface Updated<Value, Input> {
  /** What was written; where `change` wanted nothing written, what was read. */
  readonly value: Input | Value | undefined;
  /** `undefined` where nothing was written. */
  readonly written: Written | undefined;
}

interface Target<Value, Input> {
  getEntry(key: string, options: ReadOptions<Value, Input>): Promise<Entry<Value>>;
  put(key: string, value: Input, options: WriteOptions): Promise<Written>;
}

export async function updateKey<Value, Input>(
  bucket: Target<Value, Input>,
  platform: Platform,
  key: string,
  change: Change<Value, Input>,
  options: UpdateOptions<Value, Input>,
): Promise<Updated<Value, Input>> {
  for (let attempt = 0; ; attempt++) {
    const entry = await bucket.getEntry(key, options);
    if (entry.kind === "siblings") throw new SiblingsError(key, entry.siblings, entry.context);
    const value = await change(entry.value);
    if (value === undefined) return { value: entry.value, written: undefined };
    const { resolve: _, writeBack: __, ...write } = options;
    const condition = entry.kind === "value" ? { ifMatch: entry.etag } : { ifNoneMatch: "*" };
    try {
      const written = await bucket.put(key, value, {
        ...write,
        ...condition,
        context: entry.context,
      });
      return { value, written };
    } catch (thrown) {
      if (!isRefused(thrown) || attempt + 1 >= UPDATE_ATTEMPTS_MAX) throw thrown;
    }
    const pauseMs = platform.random() * Math.min(PAUSE_MS_MIN * 2 ** attempt, PAUSE_MS_MAX);
    await sleep(platform, pauseMs, options.signal);
  }
}

function isRefused(thrown: unknown): boolean {
  return thrown instanceof RequestError && thrown.code === "precondition-failed";
}
