/**
 * `hutch keys`: the file with the cluster's keys, made and changed. Nodes read it again on SIGHUP.
 *
 *   rotation    install on every node's file, SIGHUP all · use, SIGHUP all · remove, SIGHUP all
 *
 * A key is named by its eight digits, which are no secret; what is secret is in files and on standard input only, never in arguments or output.
 */
import { existsSync, readFileSync } from "node:fs";
import { HutchError } from "../base/errors.ts";
import { bunCipher } from "../bun/cipher.ts";
import { BunRandom } from "../bun/random.ts";
import { deriveKey, KEYS_MAX, parseKeyFile } from "../cluster/key-ring.ts";
import { SEAL_KEY_BYTES } from "../ports/cipher.ts";
import { readKeyFile, writeKeyFile } from "./key-file.ts";
import { note, print } from "./terminal.ts";

export interface KeyOptions {
  readonly file: string;
  readonly json?: boolean;
}

const NEXT = "send SIGHUP to every node whose file has changed, then go on with the next step";

/** A file with one new key; one that is there stays. */
export function newKeys({ file }: KeyOptions): void {
  if (existsSync(file))
    throw new HutchError("bad-config", `Cannot make "${file}": it is there already; want install`);
  const secret = newSecret();
  writeKeyFile(file, [secret]);
  print(`key ${nameOf(secret)} in ${file}: give every node this file and cluster-key-file`);
}

export function listKeys({ file, json = false }: KeyOptions): void {
  const names = readKeyFile(file).map(nameOf);
  if (json)
    return print(JSON.stringify(names.map((name, index) => ({ name, seals: index === 0 }))));
  for (const [index, name] of names.entries()) print(`${name}  ${index === 0 ? "seals" : "opens"}`);
}

/** Adds a new key, or those of another file (`-`: of standard input), which open from then on. */
export function installKey(from: string | undefined, { file }: KeyOptions): void {
  const secrets = readKeyFile(file);
  const known = new Set(secrets.map(nameOf));
  const given = from === undefined ? [newSecret()] : keysFrom(from);
  const added = given.filter((secret) => !known.has(nameOf(secret)));
  if (added.length === 0) return print(`nothing to install: ${file} has them all`);
  if (secrets.length + added.length > KEYS_MAX)
    throw new HutchError(
      "bad-config",
      `Cannot install a key: "${file}" would have more than ${KEYS_MAX}; want one removed`,
    );
  writeKeyFile(file, [...secrets, ...added]);
  print(`installed ${added.map(nameOf).join(", ")}`);
  note(NEXT);
}

/** Makes a key that is installed on all nodes the one that seals. */
export function useKey(name: string, { file }: KeyOptions): void {
  const secrets = readKeyFile(file);
  const chosen = find(secrets, name, file);
  writeKeyFile(file, [chosen, ...secrets.filter((secret) => secret !== chosen)]);
  print(`${name} seals`);
  note(NEXT);
}

/** Takes out a key that no node seals with any more. */
export function removeKey(name: string, { file }: KeyOptions): void {
  const secrets = readKeyFile(file);
  const chosen = find(secrets, name, file);
  if (chosen === secrets[0])
    throw new HutchError(
      "bad-config",
      `Cannot remove ${name}: it seals; want another one used first`,
    );
  writeKeyFile(
    file,
    secrets.filter((secret) => secret !== chosen),
  );
  print(`removed ${name}`);
  note(NEXT);
}

function keysFrom(from: string): Uint8Array[] {
  return from === "-" ? parseKeyFile(readFileSync(0, "utf8")) : readKeyFile(from);
}

function newSecret(): Uint8Array {
  return new BunRandom().bytes(SEAL_KEY_BYTES);
}

function nameOf(secret: Uint8Array): string {
  return deriveKey(bunCipher, secret).name;
}

function find(secrets: readonly Uint8Array[], name: string, file: string): Uint8Array {
  const found = secrets.find((secret) => nameOf(secret) === name);
  if (found !== undefined) return found;
  const names = secrets.map(nameOf).join(", ");
  throw new HutchError("bad-config", `Cannot find key "${name}" in "${file}": it has ${names}`);
}
