/** `hutch buckets`: which there are, and their properties. */

import { HutchError } from "../base/errors.ts";
import { formatDurationMs, parseDurationMs, parseSizeBytes } from "../config/knob-kinds.ts";
import { confirm } from "./confirm.ts";
import { connect } from "./connect.ts";
import { terminalWidth } from "./screen.ts";
import type { Column } from "./table.ts";
import { countText, sizeText, tableLines } from "./table.ts";
import { note, print } from "./terminal.ts";

type Options = Readonly<Record<string, string | boolean | undefined>>;

export interface BucketShape {
  readonly n: number;
  readonly conflicts: string;
  readonly blindPut: string;
  readonly consistency: string;
  readonly strict: boolean;
  /** Seconds; 0 for none. */
  readonly ttl: number;
  readonly siblingsMax: number;
  readonly valueBytesMax: number;
}

export interface BucketsAnswer {
  readonly buckets: readonly (BucketShape & { readonly name: string })[];
}

const ANSWER_TIMEOUT_MS = 10_000;
const BUCKETS = "/v1/buckets";

export async function listBuckets(options: Options): Promise<void> {
  const answer = (await connect(options, ANSWER_TIMEOUT_MS).json(BUCKETS)) as BucketsAnswer;
  if (options["json"] === true) return print(JSON.stringify(answer, null, 2));
  for (const line of bucketsLines(answer, terminalWidth())) print(line);
}

const COLUMNS: readonly Column[] = [
  { title: "bucket", widthMin: 12 },
  { title: "copies", align: "right" },
  { title: "conflicts" },
  { title: "blind put", dropRank: 3 },
  { title: "consistency", widthMin: 8 },
  { title: "strict", dropRank: 4 },
  { title: "expiry", align: "right" },
  { title: "siblings", align: "right", dropRank: 2 },
  { title: "largest value", align: "right", dropRank: 1 },
];

export function bucketsLines({ buckets }: BucketsAnswer, width: number): readonly string[] {
  if (buckets.length === 0) return ["no bucket holds a key or has properties of its own"];
  const rows = buckets.map((bucket) => [
    bucket.name,
    String(bucket.n),
    bucket.conflicts,
    bucket.blindPut,
    bucket.consistency,
    bucket.strict ? "yes" : "no",
    ttlText(bucket.ttl),
    countText(bucket.siblingsMax),
    sizeText(bucket.valueBytesMax),
  ]);
  return tableLines(COLUMNS, rows, width);
}

function ttlText(seconds: number): string {
  return seconds === 0 ? "none" : formatDurationMs(seconds * 1000);
}

export async function showBucket(bucket: string, options: Options): Promise<void> {
  const client = connect(options, ANSWER_TIMEOUT_MS);
  show((await client.json(pathOf(bucket))) as BucketShape, options);
}

export async function setBucket(bucket: string, options: Options): Promise<void> {
  const change = changeFrom(options);
  if (Object.keys(change).length === 0)
    throw new HutchError("usage", "Cannot set nothing: name a property, such as --ttl 7d");
  const client = connect(options, ANSWER_TIMEOUT_MS);
  show((await client.ask("PATCH", pathOf(bucket), change)) as BucketShape, options);
}

export async function deleteBucket(bucket: string, options: Options): Promise<void> {
  if (!(await confirm(`Forget the properties of bucket ${bucket}?`, options))) return;
  await connect(options, ANSWER_TIMEOUT_MS).ask("DELETE", pathOf(bucket));
  note(`bucket ${bucket} has the usual properties again`);
}

function pathOf(bucket: string): string {
  return `${BUCKETS}/${encodeURIComponent(bucket)}`;
}

function show(shape: BucketShape, options: Options): void {
  if (options["json"] === true) return print(JSON.stringify(shape, null, 2));
  const rows: readonly (readonly [string, string])[] = [
    ["--n", String(shape.n)],
    ["--conflicts", shape.conflicts],
    ["--blind-put", shape.blindPut],
    ["--consistency", shape.consistency],
    ["--strict", String(shape.strict)],
    ["--ttl", shape.ttl === 0 ? "0" : ttlText(shape.ttl)],
    ["--siblings-max", String(shape.siblingsMax)],
    ["--value-bytes-max", sizeText(shape.valueBytesMax).replace(".0 ", "").replace(" ", "")],
  ];
  const columns = [{ title: "property" }, { title: "value" }];
  for (const line of tableLines(columns, rows, terminalWidth())) print(line);
}

/** The body of the request that the options describe. */
export function changeFrom(options: Options): Record<string, unknown> {
  const change: Record<string, unknown> = {};
  for (const name of ["conflicts", "blindPut", "consistency"])
    if (options[name] !== undefined) change[name] = options[name];
  for (const name of ["n", "siblingsMax"])
    if (options[name] !== undefined) change[name] = numberOf(options, name);
  if (options["strict"] !== undefined) change["strict"] = truthOf(options, "strict");
  if (options["ttl"] !== undefined)
    change["ttl"] = numberFrom(options, "ttl", (text) => secondsOf(text));
  if (options["valueBytesMax"] !== undefined)
    change["valueBytesMax"] = numberFrom(options, "valueBytesMax", parseSizeBytes);
  return change;
}

function secondsOf(text: string): number | undefined {
  const ms = parseDurationMs(text);
  return ms === undefined || ms % 1000 !== 0 ? undefined : ms / 1000;
}

function numberOf(options: Options, name: string): number {
  return numberFrom(options, name, (text) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined));
}

function numberFrom(
  options: Options,
  name: string,
  parse: (text: string) => number | undefined,
): number {
  const value = parse(String(options[name]));
  if (value !== undefined) return value;
  throw refused(options, name);
}

function truthOf(options: Options, name: string): boolean {
  if (options[name] === "true" || options[name] === "false") return options[name] === "true";
  throw refused(options, name);
}

function refused(options: Options, name: string): HutchError {
  const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return new HutchError(
    "bad-config",
    `Cannot use --${flag} "${String(options[name])}": see \`hutch help buckets set\` for what it takes`,
  );
}
