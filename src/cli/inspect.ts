/** `hutch inspect wal|sstable|manifest FILE`: what is in a file of a data directory, and whether it is sound. */

import { statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { HutchError, messageOf } from "../base/errors.ts";
import "../bun/native-kernels.ts";
import { BunDisk } from "../bun/disk.ts";
import { EXIT } from "./exit-codes.ts";
import { inspectLog } from "./inspect-log.ts";
import { inspectTable } from "./inspect-table.ts";
import { print } from "./terminal.ts";

const INSPECTORS = {
  wal: (disk: BunDisk, name: string) => inspectLog(disk, name, "wal"),
  manifest: (disk: BunDisk, name: string) => inspectLog(disk, name, "manifest"),
  sstable: inspectTable,
} as const;

export function inspectFile(
  kind: keyof typeof INSPECTORS,
  file: string,
  options: Readonly<Record<string, unknown>>,
): void {
  const path = resolve(file);
  try {
    // Before the disk is opened: that would make a directory that is not there.
    statSync(path);
  } catch (error) {
    throw new HutchError("usage", `Cannot inspect "${file}": ${messageOf(error)}`);
  }
  const lines = INSPECTORS[kind](new BunDisk(dirname(path)), basename(path));
  const isSound = !lines.some(saysDamaged);
  if (options["json"] === true) print(JSON.stringify({ kind, file, isSound, lines }, null, 2));
  else lines.forEach((line) => print(line));
  if (!isSound) process.exitCode = EXIT.io;
}

/** Keys stand in quotes, and a key may say what it likes. */
function saysDamaged(line: string): boolean {
  return /damaged:/i.test(line.replaceAll(/"(?:[^"\\]|\\.)*"/g, ""));
}
