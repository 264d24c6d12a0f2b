import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeAuthority, makeCertificate } from "../../src/cli/certificates.ts";

const nowMs = Date.now();
const authority = makeAuthority("hutch test authority", nowMs);
const node = makeCertificate(authority, ["n1", "localhost", "127.0.0.1"], nowMs);

test("Q4: a node's certificate comes from its authority and from no other", () => {
  const certificate = new X509Certificate(node.certificatePem);
  const ca = new X509Certificate(authority.certificatePem);
  expect(certificate.verify(ca.publicKey)).toBe(true);
  expect(certificate.checkIssued(ca)).toBe(true);
  expect([ca.ca, certificate.ca]).toEqual([true, false]);
  const other = new X509Certificate(makeAuthority("other", nowMs).certificatePem);
  expect(certificate.verify(other.publicKey)).toBe(false);
});

test("Q4: a certificate names its node and its addresses, and holds from now on for a year", () => {
  const certificate = new X509Certificate(node.certificatePem);
  expect(certificate.subject).toBe("CN=n1");
  expect(certificate.subjectAltName).toBe("DNS:n1, DNS:localhost, IP Address:127.0.0.1");
  expect([certificate.checkHost("n1"), certificate.checkHost("n2")]).toEqual(["n1", undefined]);
  expect(Date.parse(certificate.validFrom)).toBeLessThan(nowMs);
  expect(Date.parse(certificate.validTo)).toBeGreaterThan(nowMs + 396 * 24 * 3600 * 1000);
});

test.if(Bun.which("openssl") !== null)("openssl finds nothing wrong with them", () => {
  const directory = mkdtempSync(join(tmpdir(), "hutch-certificates-"));
  try {
    writeFileSync(join(directory, "ca.pem"), authority.certificatePem);
    writeFileSync(join(directory, "n1.pem"), node.certificatePem);
    for (const purpose of ["sslserver", "sslclient"]) {
      const args = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "n1.pem"];
      const { exitCode, stdout } = Bun.spawnSync(["openssl", ...args], { cwd: directory });
      expect([String(stdout), exitCode]).toEqual(["n1.pem: OK\n", 0]);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});
