/** What a replica refuses, and what it copies, as functions of their arguments alone. */
import { CorruptionError, HutchError } from "../base/errors.ts";
import { type Record, copyPayload } from "../causality/record.ts";
import { entryOf } from "../causality/siblings.ts";
import type { WriteRequest } from "../quorum/operation.ts";
import { VALUE_BYTES_MAX } from "../storage/store.ts";
import { type RememberedWrite, recall } from "./idempotency.ts";
import { asCorruption } from "./replica-store.ts";

/** Does `incoming` know everything that `before` knows? */
export function isCovered(before: Record, incoming: Record): boolean {
  return before.every(
    ({ actor, counterMax }) => (entryOf(incoming, actor)?.counterMax ?? 0) >= counterMax,
  );
}

export function notAsExpected(): HutchError {
  return new HutchError(
    "precondition-failed",
    "Cannot take the conditional write: this replica holds something that its writer has not seen",
  );
}

/** Damage is thrown, a mismatch is an answer. */
export function recallStored(
  bytes: Uint8Array,
  request: WriteRequest,
  nowMs: number,
): RememberedWrite | HutchError | undefined {
  try {
    return recall(bytes, request, nowMs);
  } catch (thrown) {
    if (thrown instanceof HutchError) return thrown;
    throw asCorruption(thrown);
  }
}

/** A record none of whose values points into storage. `own` belongs to us already. */
export function ownedRecord(record: Record, own: Uint8Array): Record {
  const isOwned = record.every(({ values }) =>
    values.every(({ payload }) => payload.value === own),
  );
  return isOwned
    ? record
    : record.map((entry) => ({
        ...entry,
        values: entry.values.map(({ counter, payload }) => ({
          counter,
          payload: payload.value === own ? payload : copyPayload(payload),
        })),
      }));
}

/** A record holds all siblings of its key, and storage takes no more than one block of it: nothing has been written yet. */
export function refuseOversized(
  recordBytes: number,
  rememberedBytes: number,
  siblings: number,
): void {
  if (Math.max(recordBytes, rememberedBytes) <= VALUE_BYTES_MAX) return;
  const what = `the key would hold ${siblings} values and ${recordBytes} bytes, want at most ${VALUE_BYTES_MAX}`;
  throw new HutchError(
    siblings > 1 ? "too-many-siblings" : "value-too-large",
    `Cannot store: ${what}`,
    {
      data: { siblings, recordBytes, recordBytesMax: VALUE_BYTES_MAX },
    },
  );
}

export function isSuspectState(thrown: unknown): boolean {
  return thrown instanceof HutchError && thrown.code === "suspect-state";
}

export function notHealedYet(): CorruptionError {
  return new CorruptionError(
    "Cannot use key: what the disk has lost of it is being fetched",
    "",
    -1,
  );
}
