/** A certificate with its key, checked before a listener gets them: Bun would notice only when it already has given up the old ones. */
import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { HutchError, messageOf } from "../base/errors.ts";

export interface Certificate {
  /** PEM, the own certificate first. */
  readonly cert: string;
  readonly key: string;
  readonly expiresAtMs: number;
}

/** @throws HutchError `bad-config` where they are no PEM or do not belong together */
export function checkCertificate(cert: string, key: string): Certificate {
  try {
    createSecureContext({ cert, key });
    return { cert, key, expiresAtMs: Date.parse(new X509Certificate(cert).validTo) };
  } catch (cause) {
    throw new HutchError("bad-config", `Cannot use the certificate: ${messageOf(cause)}`, {
      cause,
    });
  }
}
