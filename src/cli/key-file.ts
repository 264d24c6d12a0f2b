/**
 * The file with the cluster's keys: read only where nobody but its owner can, replaced in one step, so that a node that reads it sees the old or the
 * new keys and never half of them.
 */
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { HutchError, messageOf } from "../base/errors.ts";
import { formatKeyFile, parseKeyFile } from "../cluster/key-ring.ts";

const PRIVATE_MODE = 0o600;
const OTHERS_MODE = 0o077;

/** The text of a file that holds a secret. @throws HutchError `bad-config` where others may read it, or nobody can */
export function readSecretFile(path: string): string {
  try {
    const mode = statSync(path).mode & 0o777;
    if ((mode & OTHERS_MODE) !== 0)
      throw new HutchError(
        "bad-config",
        `Cannot use "${path}": others than its owner may read it (mode ${mode.toString(8)}); want 600: chmod 600 ${path}`,
      );
    return readFileSync(path, "utf8");
  } catch (cause) {
    if (cause instanceof HutchError) throw cause;
    throw new HutchError("bad-config", `Cannot read "${path}": ${messageOf(cause)}`, { cause });
  }
}

/** The text of a file that everybody may read. @throws HutchError `bad-config` */
export function readTextFile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new HutchError("bad-config", `Cannot read "${path}": ${messageOf(cause)}`, { cause });
  }
}

/** In the order of the file; the first seals. @throws HutchError `bad-config` */
export function readKeyFile(path: string): Uint8Array[] {
  return parseKeyFile(readSecretFile(path));
}

export function writeKeyFile(path: string, secrets: readonly Uint8Array[]): void {
  writeSecretFile(path, formatKeyFile(secrets));
}

/** Readable by its owner alone from its first moment: always into a file that was not there, which no other process can have opened or linked. */
export function writeSecretFile(path: string, text: string): void {
  const beside = `${path}.new`;
  try {
    // What a start that was cut short has left, or what somebody has laid there.
    rmSync(beside, { force: true });
    writeFileSync(beside, text, { mode: PRIVATE_MODE, flag: "wx" });
    renameSync(beside, path);
  } catch (cause) {
    throw new HutchError("bad-config", `Cannot write "${path}": ${messageOf(cause)}`, { cause });
  }
}
