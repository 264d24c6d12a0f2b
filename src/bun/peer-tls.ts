/** Mutual TLS between nodes: what each of them shows, whom it believes, and what names a certificate vouches for. */
import type { PeerCertificate } from "node:tls";

/** PEM texts. */
export interface PeerTls {
  readonly cert: string;
  readonly key: string;
  /** Whom certificates of other nodes have to come from; the authorities of the machine do not count. */
  readonly ca: string;
}

export const TLS_VERSION_MIN = "TLSv1.2";

/** Host names of the certificate, and its common name where it has none. */
export function namesOf({ subject, subjectaltname }: PeerCertificate): readonly string[] {
  const alternatives = (subjectaltname ?? "").split(", ").filter((name) => name.startsWith("DNS:"));
  if (alternatives.length > 0) return alternatives.map((name) => name.slice("DNS:".length));
  const common = subject?.CN;
  return typeof common === "string" ? [common] : (common ?? []);
}
