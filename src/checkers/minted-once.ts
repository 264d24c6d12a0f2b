/**
 * A write under an `Idempotency-Key` is minted once by one minter (R9, row 35): whoever has given it a dot remembers that with the write itself, and answers a retry
 * with the first answer. Two minters may each have minted it, where neither could hear of the other; and one that has lost its memory has another name.
 *
 * Every value is written by one operation, so two dots of one actor that stand for one value are two mints of one write. What travelled between nodes
 * tells of dots that no client was ever shown.
 */
import type { DotBook } from "./dots.ts";
import { type History, type Violation, placeOf } from "./history.ts";

export function checkMintedOnce(history: History, book: DotBook): Violation[] {
  return history.operations.flatMap((write) => {
    if (write.kind !== "put") return [];
    const byActor = Map.groupBy(book.dotsOf(write.value), (dot) => dot.split(".")[0]!);
    return [...byActor.values()]
      .filter((dots) => dots.length > 1)
      .map((dots) => ({
        invariant: "R9",
        message: `#${write.id} ${write.client} put "${write.value}" was minted more than once by one node: ${dots.join(" and ")}`,
        key: placeOf(write),
      }));
  });
}
