/**
 * Certificates for a cluster on one machine: an authority that lives as long as its data directory, and one certificate for each node.
 *
 *   certificate  SEQUENCE { body | algorithm | BIT STRING signature }                               X.509 v3 in DER, RFC 5280
 *   body         version 3 | serial, random | algorithm | issuer | validity | subject | public key | extensions
 *   extensions   constraints, key usage, both key identifiers; of a node also: for servers and clients, its names and addresses
 *
 * Only what RFC 5280 asks of such certificates, with one kind of key (P-256) and of signature (ECDSA with SHA-256): enough that nothing else has to
 * be installed, and not meant for more. Whoever has an authority already uses its certificates.
 */
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIPv4 } from "node:net";
import { assert } from "../base/assert.ts";
import { concatBytes, utf8 } from "../base/bytes.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
/** Clocks of other machines may be behind. */
const BACKDATED_MS = 60 * 60 * 1000;
/** What many clients take at most. */
export const NODE_DAYS = 397;
export const AUTHORITY_DAYS = 3650;

const OID = {
  ecdsaWithSha256: "06082a8648ce3d040302",
  commonName: "0603550403",
  basicConstraints: "0603551d13",
  keyUsage: "0603551d0f",
  extendedKeyUsage: "0603551d25",
  alternativeName: "0603551d11",
  subjectKey: "0603551d0e",
  authorityKey: "0603551d23",
  serverAuth: "06082b06010505070301",
  clientAuth: "06082b06010505070302",
} as const;

/** Frozen numbers of DER. */
const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  bytes: 0x04,
  text: 0x0c,
  time: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;
const KEY_SIGNS_CERTIFICATES = Uint8Array.of(1, 0x06);
const KEY_SIGNS = Uint8Array.of(7, 0x80);

/** Who signs: its name, its key, and the certificate that others are given. */
export interface Authority {
  readonly name: string;
  readonly key: KeyObject;
  readonly publicKey: KeyObject;
}

export interface Certified {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export function makeAuthority(name: string, nowMs: number): Authority & Certified {
  const { privateKey: key, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const authority = { name, key, publicKey };
  const extensions = [
    extension(
      OID.basicConstraints,
      sequence(der(TAG.boolean, [0xff]), der(TAG.integer, [0])),
      true,
    ),
    extension(OID.keyUsage, der(TAG.bits, KEY_SIGNS_CERTIFICATES), true),
  ];
  const days = AUTHORITY_DAYS;
  const wanted = { subject: name, publicKey, extensions, nowMs, days };
  return { ...authority, certificatePem: certificate(authority, wanted), keyPem: pemOfKey(key) };
}

/** @param names host names and IPv4 addresses under which it is reached; the first is its common name */
export function makeCertificate(
  authority: Authority,
  names: readonly string[],
  nowMs: number,
): Certified {
  assert(names.length > 0, "a certificate names somebody");
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const uses = sequence(oid(OID.serverAuth), oid(OID.clientAuth));
  const extensions = [
    extension(OID.basicConstraints, sequence(), true),
    extension(OID.keyUsage, der(TAG.bits, KEY_SIGNS), true),
    extension(OID.extendedKeyUsage, uses),
    extension(OID.alternativeName, sequence(...names.map(generalName))),
  ];
  const wanted = { subject: names[0]!, publicKey, extensions, nowMs, days: NODE_DAYS };
  return { certificatePem: certificate(authority, wanted), keyPem: pemOfKey(privateKey) };
}

interface Wanted {
  readonly subject: string;
  readonly publicKey: KeyObject;
  readonly extensions: readonly Uint8Array[];
  readonly nowMs: number;
  readonly days: number;
}

function certificate(authority: Authority, wanted: Wanted): string {
  const { subject, publicKey, extensions, nowMs, days } = wanted;
  const subjectKey = der(TAG.bytes, keyIdOf(publicKey));
  const authorityKey = sequence(der(0x80, keyIdOf(authority.publicKey)));
  const all = [
    ...extensions,
    extension(OID.subjectKey, subjectKey),
    extension(OID.authorityKey, authorityKey),
  ];
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const body = sequence(
    der(0xa0, der(TAG.integer, [2])),
    der(TAG.integer, serialNumber()),
    algorithm,
    nameOf(authority.name),
    sequence(timeOf(nowMs - BACKDATED_MS), timeOf(nowMs + days * DAY_MS)),
    nameOf(subject),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...all)),
  );
  const signature = sign("sha256", body, authority.key);
  const whole = sequence(body, algorithm, der(TAG.bits, concatBytes(Uint8Array.of(0), signature)));
  return pem("CERTIFICATE", whole);
}

/** Positive, and without a leading zero that DER would not have. */
function serialNumber(): Uint8Array {
  const serial = new Uint8Array(randomBytes(16));
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  return serial;
}

function keyIdOf(publicKey: KeyObject): Uint8Array {
  const bytes = publicKey.export({ type: "spki", format: "der" });
  return new Uint8Array(createHash("sha256").update(bytes).digest().subarray(0, 20));
}

function nameOf(name: string): Uint8Array {
  return sequence(der(TAG.set, sequence(oid(OID.commonName), der(TAG.text, utf8(name)))));
}

/** `YYMMDDhhmmssZ`, which means years until 2049. */
function timeOf(ms: number): Uint8Array {
  const time = new Date(ms).toISOString();
  assert(time < "2050", "a time of a certificate is before 2050");
  const digits = time.replace(/\D/g, "").slice(2, 14);
  return der(TAG.time, utf8(`${digits}Z`));
}

function generalName(name: string): Uint8Array {
  if (isIPv4(name)) return der(0x87, name.split(".").map(Number));
  return der(0x82, utf8(name));
}

function extension(id: string, content: Uint8Array, isCritical = false): Uint8Array {
  const critical = isCritical ? [der(TAG.boolean, [0xff])] : [];
  return sequence(oid(id), ...critical, der(TAG.bytes, content));
}

function oid(encoded: string): Uint8Array {
  return Uint8Array.fromHex(encoded);
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return der(TAG.sequence, concatBytes(...parts));
}

function der(tag: number, content: Uint8Array | readonly number[]): Uint8Array {
  const { length } = content;
  assert(length < 0x10000, "a length of DER here has at most two bytes");
  const lengthBytes =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Uint8Array.from([tag, ...lengthBytes, ...content]);
}

function pemOfKey(key: KeyObject): string {
  return String(key.export({ type: "pkcs8", format: "pem" }));
}

function pem(label: string, bytes: Uint8Array): string {
  const lines = bytes.toBase64().replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`;
}
