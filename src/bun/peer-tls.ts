/** Mutual TLS between nodes: what each of them shows, whom it believes, and what names a certificate vouches for. */
import { X509Certificate } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { HutchError, messageOf } from "../base/errors.ts";
import { checkCertificate } from "./certificate.ts";

/** PEM texts. */
export interface PeerTls {
  readonly cert: string;
  readonly key: string;
  /** Whom certificates of other nodes have to come from; the authorities of the machine do not count. */
  readonly ca: string;
}

/** @throws HutchError `bad-config` where a certificate and its key do not belong together, or the authorities are none */
export function checkPeerTls({ cert, key, ca }: PeerTls): void {
  checkCertificate(cert, key);
  try {
    new X509Certificate(ca);
  } catch (cause) {
    throw new HutchError("bad-config", `Cannot use peer-ca: ${messageOf(cause)}`, { cause });
  }
}

export function expiryMsOf({ cert, key }: PeerTls): number {
  return checkCertificate(cert, key).expiresAtMs;
}

export const TLS_VERSION_MIN = "TLSv1.2";

/** Host names of the certificate, and its common name where it has none. */
export function namesOf({ subject, subjectaltname }: PeerCertificate): readonly string[] {
  const alternatives = (subjectaltname ?? "").split(", ").filter((name) => name.startsWith("DNS:"));
  if (alternatives.length > 0) return alternatives.map((name) => name.slice("DNS:".length));
  const common = subject?.CN;
  return typeof common === "string" ? [common] : (common ?? []);
}
