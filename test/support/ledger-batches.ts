/** All records of a ledger in batches: written, deleted, read back through one node and held against the ledger. */
import type { Sibling } from "./cluster-eyes.ts";
import type { Outcome, RecordLedger } from "./record-ledger.ts";

/** Where the records are. */
export interface LedgerPlace {
  readonly ledger: RecordLedger;
  readonly bucket: string;
}

interface BatchResult {
  readonly status: number;
  readonly value?: string;
  readonly siblings?: readonly Partial<Sibling>[];
  readonly problem?: { readonly code: string; readonly detail: string };
}

const BATCH = 400;
const BATCHES_AT_ONCE = 3;
const ATTEMPTS_MAX = 5;
const PAUSE_MS = 500;
const COMPLAINTS_MAX = 100;

type Operation = Readonly<Record<string, string>>;

async function post(
  url: string,
  ops: readonly Operation[],
  consistency: string,
): Promise<readonly BatchResult[]> {
  const headers = { "Content-Type": "application/json", "X-Consistency": consistency };
  const body = JSON.stringify({ ops });
  const answer = await fetch(`${url}/v1/batch`, { method: "POST", headers, body });
  const text = await answer.text();
  if (answer.status !== 200)
    throw new Error(`${url}: a batch was answered ${answer.status} ${text}`);
  return (JSON.parse(text) as { results: BatchResult[] }).results;
}

/** `work` on slices of `records`, a few at once. */
async function inBatches(
  records: readonly number[],
  work: (slice: readonly number[], turn: number) => Promise<void>,
): Promise<void> {
  let turn = 0;
  const worker = async (): Promise<void> => {
    while (turn * BATCH < records.length) {
      const own = turn++;
      await work(records.slice(own * BATCH, (own + 1) * BATCH), own);
    }
  };
  await Promise.all(Array.from({ length: BATCHES_AT_ONCE }, worker));
}

function outcomeOf({ status }: BatchResult): Outcome {
  if (status === 204) return "acknowledged";
  return status === 503 ? "refused" : "unknown";
}

/** Writes each once, through all nodes in turn. */
export async function writeRecords(
  urls: readonly string[],
  { ledger, bucket }: LedgerPlace,
  records: readonly number[],
): Promise<void> {
  await inBatches(records, async (slice, turn) => {
    const ops = slice.map((record) => {
      const value = ledger.value(record, ledger.beginWrite(record));
      return { op: "put", bucket, key: ledger.name(record), value };
    });
    const results = await post(urls[turn % urls.length]!, ops, "QUORUM");
    results.forEach((result, i) => ledger.end(slice[i]!, outcomeOf(result)));
  });
}

export async function deleteRecords(
  urls: readonly string[],
  { ledger, bucket }: LedgerPlace,
  records: readonly number[],
): Promise<void> {
  await inBatches(records, async (slice, turn) => {
    const ops = slice.map((record) => {
      ledger.beginDelete(record);
      return { op: "delete", bucket, key: ledger.name(record) };
    });
    const results = await post(urls[turn % urls.length]!, ops, "QUORUM");
    results.forEach((result, i) => ledger.end(slice[i]!, outcomeOf(result)));
  });
}

/** Reads every record through one node; whatever is not as the ledger has it. */
export async function readRecords(
  url: string,
  { ledger, bucket }: LedgerPlace,
  consistency: string,
): Promise<readonly string[]> {
  const complaints: string[] = [];
  const all = Array.from({ length: ledger.count }, (_, record) => record);
  await inBatches(all, async (slice) => {
    let open = slice;
    for (let attempt = 1; open.length > 0; attempt++) {
      const failed: number[] = [];
      const ops = open.map((record) => ({ op: "get", bucket, key: ledger.name(record) }));
      const results = await post(url, ops, consistency);
      results.forEach((result, i) => {
        const values = valuesIn(result);
        const record = open[i]!;
        if (values === undefined && attempt < ATTEMPTS_MAX) return void failed.push(record);
        const complaint =
          values === undefined
            ? `${ledger.name(record)}: ${JSON.stringify(result)}`
            : ledger.complaint(record, ledger.asked(record), values);
        if (complaint !== undefined && complaints.length < COMPLAINTS_MAX)
          complaints.push(`${url} at ${consistency}: ${complaint}`);
      });
      open = failed;
      if (open.length > 0) await Bun.sleep(PAUSE_MS);
    }
  });
  return complaints;
}

/** `undefined` for an answer that says nothing about the record. */
function valuesIn({ status, value, siblings }: BatchResult): readonly string[] | undefined {
  if (status === 404) return [];
  if (status === 200) return value === undefined ? undefined : [value];
  return status === 300 ? siblings?.flatMap((sibling) => sibling.value ?? []) : undefined;
}
