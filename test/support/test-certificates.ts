/** Certificates of an authority that the tests of one process share. */
import type { PeerTls } from "../../src/bun/peer-tls.ts";
import {
  type Authority,
  type Certified,
  makeAuthority,
  makeCertificate,
} from "../../src/cli/certificates.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

let shared: (Authority & Certified) | undefined;

export function testAuthority(): Authority & Certified {
  return (shared ??= makeAuthority("hutch tests", Date.now()));
}

/** What a node with this name shows. @param daysAgo when the certificate was made */
export function testTls(
  name: string,
  {
    authority = testAuthority(),
    daysAgo = 0,
  }: { authority?: Authority & Certified; daysAgo?: number } = {},
): PeerTls {
  const { certificatePem: cert, keyPem: key } = makeCertificate(
    authority,
    [name],
    Date.now() - daysAgo * DAY_MS,
  );
  return { cert, key, ca: testAuthority().certificatePem };
}
