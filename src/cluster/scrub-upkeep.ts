/** What `/v1/admin/scrub` shows and does: every table read from the disk again, and what does not verify healed from the other owners. */
import { HutchError } from "../base/errors.ts";
import type { ScrubProgress, Store } from "../storage/store.ts";
import type { Upkeep } from "./admin.ts";
import type { Healer } from "./healer.ts";

/** Of the whole work; the rest is healing. */
const READING_SHARE = 0.9;

/** @param healer left out on a node without peers: damage is only found */
export function scrubUpkeep(
  store: Pick<Store, "scrub" | "scrubProgress" | "lostRanges">,
  healer?: Healer,
): Upkeep {
  return {
    report: () => ({ ...store.scrubProgress, ...healer?.report() }),
    async run(onProgress) {
      const { tables, bytes, damaged } = await store.scrub((progress) =>
        onProgress(READING_SHARE * shareOf(progress), inWords(progress)),
      );
      const read = `${tables} tables (${bytes} bytes) read, ${damaged} damaged`;
      onProgress(READING_SHARE, read);
      if (store.lostRanges.length > 0) await healer?.healNow();
      if (store.lostRanges.length === 0) return damaged === 0 ? `${read}` : `${read} and healed`;
      throw new HutchError("data-corrupt", `${read}; ${leftInWords(store, healer)}`);
    },
  };
}

function shareOf({ bytes, bytesDone }: ScrubProgress): number {
  return bytes === 0 ? 1 : bytesDone / bytes;
}

function inWords({ tables, tablesDone, bytes, bytesDone }: ScrubProgress): string {
  return `${tablesDone} of ${tables} tables, ${bytesDone} of ${bytes} bytes`;
}

function leftInWords({ lostRanges }: Pick<Store, "lostRanges">, healer?: Healer): string {
  const ranges = `${lostRanges.length} key ranges are lost`;
  if (healer === undefined || healer.report().state === "lost")
    return `${ranges}, and no other node has a copy`;
  return `${ranges} until they can be fetched from the other owners`;
}
