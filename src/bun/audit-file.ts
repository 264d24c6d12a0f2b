/**
 * The audit log: a line of JSON for each act, appended and never changed, readable by its owner only.
 *
 * A line is handed to the system before the act is answered; it is not synced. Where the disk is full the line is still in the log, which says
 * that it could not be kept. Rotation: move the file away and send SIGHUP.
 */
import { closeSync, openSync, writeSync } from "node:fs";
import { HutchError, messageOf } from "../base/errors.ts";
import type { LogFields, Logger } from "../ports/logger.ts";

const OWNER_ONLY = 0o600;

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
  try {
    return openSync(path, "a", OWNER_ONLY);
  } catch (cause) {
    throw new HutchError("bad-config", `Cannot append to "${path}": ${messageOf(cause)}`, {
      cause,
    });
  }
}
