/** Whether a cluster that was changed a lot has all it should have, nothing that it should not, and the same everywhere. */
import type { Explained } from "./cluster-eyes.ts";
import { eachOf } from "./cluster-load.ts";
import type { GrowingCluster } from "./growing-cluster.ts";
import { type LedgerPlace, readRecords } from "./ledger-batches.ts";

export interface VerdictOptions {
  readonly cluster: GrowingCluster;
  readonly place: LedgerPlace;
  /** Records of each kind whose owners are asked one by one. */
  readonly sample: number;
  readonly settleMs: number;
  readonly note: (what: string) => void;
}

/** To be called while nothing is written. Everything that is not as it must be. */
export async function verdict(options: VerdictOptions): Promise<readonly string[]> {
  const { cluster, settleMs } = options;
  const { version } = await cluster.layout();
  await cluster.settled(version, settleMs);
  return [
    ...(await everyRecordEverywhere(options)),
    ...(await everyTreeEqual(options)),
    ...(await everyOwnerEqual(options)),
    ...(await deletionsCollected(options)),
    // Collecting makes copies different for a moment, and equal again.
    ...(await everyTreeEqual(options)),
  ];
}

/** At QUORUM through each node, and at ALL. */
async function everyRecordEverywhere({ cluster, place, note }: VerdictOptions) {
  const wrong: string[] = [];
  for (const url of cluster.urls) wrong.push(...(await readRecords(url, place, "QUORUM")));
  wrong.push(...(await readRecords(cluster.urls[0]!, place, "ALL")));
  const { count, deleted } = place.ledger;
  note(
    `${count} records, ${deleted.length} of them deleted, read through ${cluster.urls.length} nodes and at ALL: ${wrong.length} wrong`,
  );
  return wrong;
}

/** What was not acknowledged by all may still be on its way when the load ends: the first round may find it, the second must not. */
async function everyTreeEqual({ cluster, note }: VerdictOptions): Promise<readonly string[]> {
  for (const name of cluster.names) {
    const { detail } = await cluster.job(name, "repair");
    if (!detail.endsWith(" 0 differed")) note(`first round of ${name}: ${detail}`);
  }
  const wrong: string[] = [];
  for (const name of cluster.names) {
    const { state, detail } = await cluster.job(name, "repair");
    note(`Merkle trees of ${name}: ${detail}`);
    if (state !== "done" || !detail.endsWith(" 0 differed")) wrong.push(`${name}: ${detail}`);
  }
  return wrong;
}

async function everyOwnerEqual(options: VerdictOptions): Promise<readonly string[]> {
  const { cluster, place, sample, note } = options;
  const { ledger, bucket } = place;
  const step = Math.max(1, Math.floor(ledger.count / sample));
  const records: number[] = [];
  for (let record = 0; record < ledger.count; record += step) records.push(record);
  const wrong: string[] = [];
  await eachOf(records, async (record) => {
    const key = `/v1/kv/${bucket}/${ledger.name(record)}?explain=1`;
    const { equal, owners } = await cluster.json<Explained>(cluster.names[0]!, key);
    if (!equal || owners.some(({ reachable }) => !reachable))
      wrong.push(`owners of ${ledger.name(record)}: ${JSON.stringify(owners)}`);
  });
  note(`owners of ${records.length} records asked one by one: ${wrong.length} not equal`);
  return wrong;
}

/** All that is old enough is gone from all owners. */
async function deletionsCollected(options: VerdictOptions): Promise<readonly string[]> {
  const { cluster, place, sample, settleMs, note } = options;
  const { ledger, bucket } = place;
  const step = Math.max(1, Math.floor(ledger.deleted.length / sample));
  const asked = ledger.deleted.filter((_, at) => at % step === 0);
  const isLeft = async (record: number): Promise<boolean> => {
    const key = `/v1/kv/${bucket}/${ledger.name(record)}?explain=1`;
    const { owners } = await cluster.json<Explained>(cluster.names[0]!, key);
    return owners.some(({ dots }) => dots.length > 0);
  };
  const leftOf = async (): Promise<readonly number[]> => {
    const left: number[] = [];
    await eachOf(asked, async (record) => void ((await isLeft(record)) && left.push(record)));
    return left;
  };
  note(
    `of ${asked.length} deleted records ${(await leftOf()).length} are not collected when the load ends`,
  );
  try {
    await cluster.until(async () => {
      for (const name of cluster.names) await cluster.job(name, "compact");
      const left = await leftOf();
      return left.length === 0 ? undefined : `${left.length} of ${asked.length} are not collected`;
    }, settleMs);
  } catch (thrown) {
    return [String(thrown)];
  }
  note(`of ${asked.length} deleted records all are collected by all owners`);
  return [];
}
