/**
 * What stands between the client port and strangers: tokens, certificate, audit log, as the configuration names them.
 *
 * All three are read again on SIGHUP. What cannot be used then is refused and said, and the old one stays: a typing error in a file must not lock
 * everybody out, and must not let anybody in.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { HutchError, messageOf } from "../base/errors.ts";
import type { Metrics } from "../base/metrics.ts";
import { AuditFile } from "../bun/audit-file.ts";
import { type Certificate, checkCertificate } from "../bun/certificate.ts";
import { BunClock } from "../bun/clock.ts";
import type { HttpServer } from "../bun/http-server.ts";
import type { Config } from "../config.ts";
import { formatAddress } from "../config/knob-kinds.ts";
import { isLoopback, openPorts } from "../config/relations.ts";
import { Access } from "../http/access.ts";
import { parseTokenFile } from "../http/token-file.ts";
import { TokenTable } from "../http/token-table.ts";
import type { NodePorts } from "../node.ts";
import type { Logger } from "../ports/logger.ts";
import { readSecretFile } from "./key-file.ts";

/** A node that is open to everybody says so again and again (Q1). */
const PUBLIC_WARNING_MS = 60_000;
const DAY_MS = 24 * 60 * 60 * 1000;
/** A certificate that ends so soon is warned of, every day. */
const EXPIRY_WARNING_MS = 14 * DAY_MS;

export class ClientSecurity {
  readonly #config: Config;
  readonly #logger: Logger;
  readonly #access: Access | undefined;
  readonly #auditFile: AuditFile | undefined;
  #certificate: Certificate | undefined;

  /** @throws HutchError `bad-config` where a file cannot be used */
  constructor(config: Config, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    const { authTokens, auditLog } = config;
    if (authTokens !== "")
      this.#access = new Access({
        table: readTokens(authTokens),
        digest: (text) => createHash("sha256").update(text).digest(),
        clock: new BunClock(),
      });
    this.#certificate = this.#readCertificate();
    if (auditLog !== "") this.#auditFile = new AuditFile(auditLog, logger);
  }

  get certificate(): Certificate | undefined {
    return this.#certificate;
  }

  /** What the node needs of it. */
  get ports(): Pick<NodePorts, "access" | "auditSink" | "defineMetrics"> {
    const access = this.#access;
    const auditFile = this.#auditFile;
    return {
      ...(access && { access }),
      ...(auditFile && { auditSink: (event, fields) => auditFile.write(event, fields) }),
      ...(this.#certificate && { defineMetrics: (metrics) => this.#defineMetrics(metrics) }),
    };
  }

  /** Hears SIGHUP where there is something to read again, and warns of what the operator should know for as long as the process runs. */
  watch(server: HttpServer, onFailure: (error: HutchError) => void): void {
    this.#warnIfPublic();
    if (this.#certificate !== undefined) {
      this.#warnOfExpiry();
      setInterval(() => this.#warnOfExpiry(), DAY_MS).unref();
    }
    if (this.#access ?? this.#certificate ?? this.#auditFile)
      process.on("SIGHUP", () => this.#reload(server, onFailure));
  }

  #readCertificate(): Certificate | undefined {
    const { tlsCert, tlsKey } = this.#config;
    if (tlsCert === "") return undefined;
    return checkCertificate(textOf(tlsCert), readSecretFile(tlsKey));
  }

  #reload(server: HttpServer, onFailure: (error: HutchError) => void): void {
    const { authTokens } = this.#config;
    this.#again("tokens", () => {
      if (this.#access === undefined) return undefined;
      const table = readTokens(authTokens);
      this.#access.replace(table);
      return table.size;
    });
    this.#again("audit_log", () => this.#auditFile && (this.#auditFile.reopen(), 1));
    const certificate = this.#again("certificate", () => this.#readCertificate());
    if (certificate === undefined || isSame(certificate, this.#certificate)) return;
    this.#certificate = certificate;
    try {
      server.useCertificate(certificate);
    } catch (error) {
      // The old listener is gone and the new one could not be: the node can be reached by nobody.
      if (error instanceof HutchError) onFailure(error);
      else throw error;
    }
  }

  /** Runs `read`, and says how it went; `undefined` where there is nothing or it failed. */
  #again<Result>(what: string, read: () => Result | undefined): Result | undefined {
    try {
      const result = read();
      if (result !== undefined) this.#logger.info(`${what}_reloaded`);
      return result;
    } catch (error) {
      this.#logger.error(`${what}_kept`, { reason: messageOf(error) });
      return undefined;
    }
  }

  #defineMetrics(metrics: Metrics): void {
    metrics.gauge(
      "hutch_tls_certificate_expiry_timestamp_seconds",
      "When the certificate for clients ends, in seconds since 1970",
      () => (this.#certificate?.expiresAtMs ?? 0) / 1000,
    );
  }

  #warnOfExpiry(): void {
    const leftMs = (this.#certificate?.expiresAtMs ?? Infinity) - Date.now();
    if (leftMs > EXPIRY_WARNING_MS) return;
    const days = Math.floor(leftMs / DAY_MS);
    this.#logger.warn("tls_certificate_expires", { file: this.#config.tlsCert, days });
  }

  #warnIfPublic(): void {
    const { listen, tlsCert, authTokens } = this.#config;
    if (authTokens !== "" && tlsCert === "" && !isLoopback(listen.host))
      this.#logger.warn("tokens_travel_readable", { address: formatAddress(listen) });
    const open = openPorts(this.#config).map((key) => formatAddress(this.#config[key]));
    if (open.length === 0) return;
    const warn = () => this.#logger.warn("open_to_everybody", { addresses: open.join(", ") });
    warn();
    setInterval(warn, PUBLIC_WARNING_MS).unref();
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new HutchError("bad-config", `Cannot read "${path}": ${messageOf(cause)}`, { cause });
  }
}

function isSame(a: Certificate, b: Certificate | undefined): boolean {
  return a.cert === b?.cert && a.key === b.key;
}

/** @throws HutchError `bad-config`, with the file's name */
export function readTokens(path: string): TokenTable {
  return new TokenTable(readTokenEntries(path));
}

/** @throws HutchError `bad-config`, with the file's name */
export function readTokenEntries(path: string): ReturnType<typeof parseTokenFile> {
  const text = readSecretFile(path);
  try {
    return parseTokenFile(text);
  } catch (error) {
    throw new HutchError("bad-config", `${path}: ${messageOf(error)}`, { cause: error });
  }
}
