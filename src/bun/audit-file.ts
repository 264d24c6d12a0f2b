/**
 * The audit log: a line of JSON for each act, appended and never changed, readable by its owner only.
 *
 * A line is handed to the system before the act is answered; it is not synced. Where the disk is full the line is still in the log, which says
 * that it could not be kept. Rotation: move the file away and send SIGHUP.
 *
 * A file that was there before is used only where others have no right to it, as with tokens and keys: it says who administers, and who may change it
 * could hide an act. A link is refused, as it could lead the lines into any file of the node's user.
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { HutchError, messageOf } from "../base/errors.ts";
import type { LogFields, Logger } from "../ports/logger.ts";

const OWNER_ONLY = 0o600;
const OTHERS_MODE = 0o077;
/** Without O_NONBLOCK a pipe that nobody reads would hold the start up. */
const FLAGS =
  constants.O_WRONLY |
  constants.O_APPEND |
  constants.O_CREAT |
  constants.O_NOFOLLOW |
  constants.O_NONBLOCK;

export class AuditFile {
  readonly #path: string;
  readonly #logger: Logger;
  #file: number;

  /** @throws HutchError `bad-config` */
  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
    this.#file = opened(path);
  }

  write(event: string, fields: LogFields): void {
    const line = JSON.stringify({ time: new Date().toISOString(), event, ...fields });
    try {
      writeSync(this.#file, `${line}\n`);
    } catch (error) {
      this.#logger.error("audit_log_failed", { file: this.#path, reason: messageOf(error) });
    }
  }

  /** After somebody has moved the file away. @throws HutchError `bad-config`, and goes on with the old one */
  reopen(): void {
    const file = opened(this.#path);
    closeSync(this.#file);
    this.#file = file;
  }
}

function opened(path: string): number {
  let file: number;
  try {
    file = openSync(path, FLAGS, OWNER_ONLY);
  } catch (cause) {
    const isLink = (cause as { readonly code?: unknown }).code === "ELOOP";
    const why = isLink ? "it is a symbolic link" : messageOf(cause);
    throw new HutchError("bad-config", `Cannot append to "${path}": ${why}`, { cause });
  }
  const stat = fstatSync(file);
  const mode = stat.mode & 0o777;
  if (stat.isFile() && (mode & OTHERS_MODE) === 0) return file;
  closeSync(file);
  const why = stat.isFile()
    ? `others than its owner have rights to it (mode ${mode.toString(8)}); want 600: chmod 600 ${path}`
    : "it is no file";
  throw new HutchError("bad-config", `Cannot append to "${path}": ${why}`);
}
