/** `hutch get put delete list`: one key, or a page of them, from the shell. */

import { readFileSync } from "node:fs";
import { utf8, utf8Text } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type {
  ListedKeyAnswer,
  Reading,
  SiblingAnswer,
  WriteOptions,
  Written,
} from "../client/messages.ts";
import { connect, splitAddress } from "./connect.ts";
import { EXIT } from "./exit-codes.ts";
import { shellWord } from "./shell-word.ts";
import { note, print, styled, visible } from "./terminal.ts";

type Options = Readonly<Record<string, string | boolean | undefined>>;

function textOption(options: Options, name: string): string | undefined {
  const value = options[name];
  return typeof value === "string" ? value : undefined;
}

/** Prints the value byte for byte, with a line end added only for a person. */
export async function getKey(address: string, options: Options): Promise<void> {
  const { bucket, key } = splitAddress(address);
  const reading = await connect(options).get(bucket, key, textOption(options, "consistency"));
  if (reading.kind === "absent") process.exitCode = EXIT.notFound;
  if (options["json"] === true) print(JSON.stringify(readingAsJson(reading), null, 2));
  else showReading(address, reading);
}

function showReading(address: string, reading: Reading): void {
  switch (reading.kind) {
    case "absent":
      note(`hutch: ${visible(address)}: not found`);
      return;
    case "value":
      process.stdout.write(reading.value);
      if (process.stdout.isTTY) print();
      return;
    case "siblings":
      showSiblings(address, reading.siblings, reading.context);
  }
}

function showSiblings(address: string, siblings: readonly SiblingAnswer[], context: string): void {
  print(
    styled("yellow", `${visible(address)} has ${siblings.length} concurrent values (siblings):`),
  );
  for (const sibling of siblings) {
    const value =
      sibling.deleted === true ? styled("dim", "(deleted)") : visible(siblingText(sibling));
    print(`  ${styled("cyan", sibling.dot)}  ${value}`);
  }
  print("write the one that shall stay with the context of this read:");
  print(`  ${commandToResolve(address, context)}`);
}

/** To be copied into a shell: whoever named the key must not have written a command. */
export function commandToResolve(address: string, context: string): string {
  return `hutch put ${shellWord(visible(address))} VALUE --context ${shellWord(context)}`;
}

function siblingText({ value, valueB64 }: SiblingAnswer): string {
  return value ?? (valueB64 === undefined ? "" : `base64:${valueB64}`);
}

function readingAsJson(reading: Reading): unknown {
  if (reading.kind !== "value") return reading;
  const { value, ...rest } = reading;
  const text = utf8Text(value);
  return { ...rest, ...(text === undefined ? { valueB64: value.toBase64() } : { value: text }) };
}

export async function putKey(
  address: string,
  value: string | undefined,
  options: Options,
): Promise<void> {
  const { bucket, key } = splitAddress(address);
  const client = connect(options);
  const bytes = await valueBytes(value, textOption(options, "file"));
  showWritten(await client.put(bucket, key, bytes, writeOptions(options)), options);
}

export async function deleteKey(address: string, options: Options): Promise<void> {
  const { bucket, key } = splitAddress(address);
  showWritten(await connect(options).delete(bucket, key, writeOptions(options)), options);
}

function writeOptions(options: Options): WriteOptions {
  return {
    consistency: textOption(options, "consistency"),
    context: textOption(options, "context"),
    ttl: textOption(options, "ttl"),
    contentType: textOption(options, "contentType"),
  };
}

/** Silent like `cp` unless asked: a script looks at the exit code. */
function showWritten(written: Written, options: Options): void {
  if (options["json"] === true) print(JSON.stringify(written));
}

async function valueBytes(
  value: string | undefined,
  file: string | undefined,
): Promise<Uint8Array> {
  if (value !== undefined && file !== undefined)
    throw new HutchError(
      "usage",
      "Cannot take the value from the command line and from --file: give one",
    );
  if (value !== undefined) return utf8(value);
  if (file === undefined) return waitForInput();
  try {
    return readFileSync(file);
  } catch (error) {
    throw new HutchError("usage", `Cannot read --file "${file}": ${messageOf(error)}`);
  }
}

function waitForInput(): Promise<Uint8Array> {
  if (!process.stdin.isTTY) return Bun.stdin.bytes();
  throw new HutchError(
    "usage",
    "Cannot write without a value: give VALUE, --file, or standard input",
  );
}

/** Keys on a page; what the interface takes at most. */
const PAGE_KEYS_MAX = 10_000;

/** Pages through until `--limit` is reached. */
export async function listKeys(bucket: string, options: Options): Promise<void> {
  const client = connect(options);
  let wanted = positiveNumber(options, "limit");
  let cursor: string | undefined;
  do {
    const page = await client.list(bucket, {
      prefix: textOption(options, "prefix"),
      delimiter: textOption(options, "delimiter"),
      limit: Math.min(wanted, PAGE_KEYS_MAX),
      isReverse: options["reverse"] === true,
      withValues: options["values"] === true,
      cursor,
    });
    if (page.partial) note("hutch: some partitions could not be read; the list has gaps");
    for (const prefix of page.prefixes ?? []) showPrefix(prefix, options);
    for (const listed of page.keys) showListed(listed, options);
    wanted -= page.keys.length + (page.prefixes?.length ?? 0);
    cursor = page.complete ? undefined : page.cursor;
  } while (cursor !== undefined && cursor !== "" && wanted > 0);
}

export function positiveNumber(options: Options, name: string): number {
  const value = Number(options[name]);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new HutchError(
    "bad-config",
    `Cannot use --${name} "${String(options[name])}": not a positive number`,
  );
}

function showPrefix(prefix: string, options: Options): void {
  print(options["json"] === true ? JSON.stringify({ prefix }) : styled("bold", visible(prefix)));
}

function showListed(listed: ListedKeyAnswer, options: Options): void {
  if (options["json"] === true) return print(JSON.stringify(listed));
  const key = visible(listed.key ?? `base64:${listed.keyB64 ?? ""}`);
  const value =
    listed.value ?? (listed.valueB64 === undefined ? undefined : `base64:${listed.valueB64}`);
  print(value === undefined ? key : `${key}\t${visible(value)}`);
}
