/**
 * What `hutch cluster --secure` makes, once, beside the data, and gives to its nodes:
 *
 *   security/  cluster.keys                          gossip and links are sealed with it
 *              ca.pem  ca-key.pem                    signs the certificates of the nodes
 *              n1.pem  n1-key.pem  ...               for clients (tls-cert) and for links (peer-cert); renewed before they expire
 *              tokens.json                           digests of the tokens
 *              admin.token  app.token  metrics.token may do everything, read and write keys, read /metrics
 *
 * Files with secrets are readable by their owner only. What is there stays: clients keep what they were given.
 */
import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BunRandom } from "../bun/random.ts";
import { showTokenFile, type TokenEntry } from "../http/token-file.ts";
import { SEAL_KEY_BYTES } from "../ports/cipher.ts";
import { type Authority, makeAuthority, makeCertificate } from "./certificates.ts";
import { readSecretFile, writeKeyFile, writeSecretFile } from "./key-file.ts";
import { newToken } from "./token.ts";

const DIRECTORY = "security";
const AUTHORITY_NAME = "hutch cluster authority";
/** A certificate with less time than this is made anew at the next start. */
const RENEW_BEFORE_MS = 30 * 24 * 60 * 60 * 1000;

const TOKENS = {
  admin: ["admin"],
  app: ["read", "write"],
  metrics: ["metrics"],
} as const satisfies Record<string, TokenEntry["roles"]>;
type TokenName = keyof typeof TOKENS;

export interface ClusterSecurity {
  /** Arguments of `hutch serve` for this node. */
  argsFor(id: string): readonly string[];
  /** Of the authority; for `--cacert` of curl and `HUTCH_CA`. */
  readonly caPath: string;
  tokenPath(name: TokenName): string;
}

/** Makes what is missing. @throws HutchError `bad-config` where the files cannot be written or are not ours alone */
export function secureCluster(dataDir: string, nowMs: number): ClusterSecurity {
  const directory = join(dataDir, DIRECTORY);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const at = (name: string): string => join(directory, name);
  if (!existsSync(at("cluster.keys")))
    writeKeyFile(at("cluster.keys"), [new BunRandom().bytes(SEAL_KEY_BYTES)]);
  if (!existsSync(at("tokens.json"))) makeTokens(at);
  const authority = authorityIn(at, nowMs);
  return {
    argsFor: (id) => {
      certify(at, authority, id, nowMs);
      const files = {
        "cluster-key-file": "cluster.keys",
        "auth-tokens": "tokens.json",
        "tls-cert": `${id}.pem`,
        "tls-key": `${id}-key.pem`,
        "peer-cert": `${id}.pem`,
        "peer-key": `${id}-key.pem`,
        "peer-ca": "ca.pem",
      };
      return Object.entries(files).flatMap(([knob, name]) => [`--${knob}`, at(name)]);
    },
    caPath: at("ca.pem"),
    tokenPath: (name) => at(`${name}.token`),
  };
}

/** The digests last: a start that was cut short makes all of them again. */
function makeTokens(at: (name: string) => string): void {
  const entries = Object.entries(TOKENS).map(([id, roles]) => {
    const { token, sha256 } = newToken();
    writeSecretFile(at(`${id}.token`), `${token}\n`);
    return { id, sha256, roles: [...roles] };
  });
  writeSecretFile(at("tokens.json"), showTokenFile(entries));
}

/** The certificate last, as above. */
function authorityIn(at: (name: string) => string, nowMs: number): Authority {
  if (!existsSync(at("ca.pem"))) {
    const made = makeAuthority(AUTHORITY_NAME, nowMs);
    writeSecretFile(at("ca-key.pem"), made.keyPem);
    writeFileSync(at("ca.pem"), made.certificatePem);
    return made;
  }
  const key = createPrivateKey(readSecretFile(at("ca-key.pem")));
  return { name: AUTHORITY_NAME, key, publicKey: createPublicKey(key) };
}

function certify(
  at: (name: string) => string,
  authority: Authority,
  id: string,
  nowMs: number,
): void {
  const path = at(`${id}.pem`);
  if (existsSync(path) && leftMs(path, nowMs) > RENEW_BEFORE_MS) return;
  const made = makeCertificate(authority, [id, "localhost", "127.0.0.1"], nowMs);
  writeSecretFile(at(`${id}-key.pem`), made.keyPem);
  writeFileSync(path, made.certificatePem);
}

function leftMs(path: string, nowMs: number): number {
  return Date.parse(new X509Certificate(readFileSync(path)).validTo) - nowMs;
}
