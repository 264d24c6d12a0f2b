/** What this node knows of layouts, on its own disk. */
import { CorruptionError } from "../base/errors.ts";
import { DecodeError } from "../base/byte-reader.ts";
import { LayoutState } from "../ring/layout-state.ts";
import { WriteBatch } from "../storage/store.ts";
import { type ReplicaStore, systemKey } from "./replica-store.ts";

const LAYOUT_KEY = systemKey("layout");

/** `undefined` for a node that has none yet; throws `CorruptionError` where it cannot be read. */
export function storedLayouts(store: ReplicaStore): LayoutState | undefined {
  const stored = store.get(LAYOUT_KEY);
  if (stored === undefined) return undefined;
  try {
    return LayoutState.decode(stored.value.slice());
  } catch (cause) {
    if (!(cause instanceof DecodeError)) throw cause;
    throw new CorruptionError(`Cannot read the stored layout: ${cause.message}`, "", -1, cause);
  }
}

/** Settles when it is on disk. */
export async function saveLayouts(store: ReplicaStore, state: LayoutState): Promise<void> {
  await store.apply(new WriteBatch().put(LAYOUT_KEY, state.encode()));
}
