/** The layout that this node goes by, on its own disk. */
import { CorruptionError } from "../base/errors.ts";
import { DecodeError } from "../base/byte-reader.ts";
import { type Layout, decodeLayout, encodeLayout } from "../ring/layout.ts";
import { WriteBatch } from "../storage/store.ts";
import { type ReplicaStore, systemKey } from "./replica-store.ts";

export const LAYOUT_KEY = systemKey("layout");

/** `undefined` for a node that has none yet; throws `CorruptionError` where it cannot be read. */
export function storedLayout(store: ReplicaStore): Layout | undefined {
  const stored = store.get(LAYOUT_KEY);
  if (stored === undefined) return undefined;
  try {
    return decodeLayout(stored.value);
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new CorruptionError(`Cannot read the stored layout: ${cause.message}`, "", -1, cause);
  }
}

/** Settles when it is on disk. */
export async function storeLayout(store: ReplicaStore, layout: Layout): Promise<void> {
  await store.apply(new WriteBatch().put(LAYOUT_KEY, encodeLayout(layout)));
}
