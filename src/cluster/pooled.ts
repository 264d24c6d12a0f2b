/** Work on many things, a few at the same time. */

/** Settles when `work` has settled for all `items`; rejects with the first thing thrown, after those under way have ended. */
export async function pooled<Item>(
  atOnce: number,
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) await work(items[next++]!);
  };
  const workers = Array.from({ length: Math.min(atOnce, items.length) }, worker);
  for (const outcome of await Promise.allSettled(workers))
    if (outcome.status === "rejected") throw outcome.reason;
}
