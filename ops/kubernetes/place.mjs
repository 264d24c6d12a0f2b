/**
 * What a pod has to find out before its node starts: where it is. Run by the init container with the Bun inside the executable.
 *
 * The zone is a label of the Kubernetes node, which a pod can only ask the API for. Secrets are mounted readable by a group, and a node takes only
 * what nobody else can read: they are copied into memory.
 */
import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const {
  NODE_NAME = "",
  POD_NAME = "",
  API = "https://kubernetes.default.svc",
  ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount",
  SECRETS = "/secrets",
  TARGET = "/run/hutch",
} = process.env;
const ANSWER_MS = 10_000;

async function labelsOfNode() {
  const token = readFileSync(join(ACCOUNT, "token"), "utf8").trim();
  const response = await fetch(`${API}/api/v1/nodes/${encodeURIComponent(NODE_NAME)}`, {
    headers: { Authorization: `Bearer ${token}` },
    tls: { ca: readFileSync(join(ACCOUNT, "ca.crt"), "utf8") },
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (!response.ok) throw new Error(`Cannot read the node ${NODE_NAME}: ${response.status}`);
  return (await response.json()).metadata.labels ?? {};
}

/** What a knob takes: 63 letters, digits, dots, dashes, underscores. */
const word = (text) => text.replaceAll(/[^A-Za-z0-9._-]/g, "-").slice(0, 63);

const labels = await labelsOfNode();
const knobs = {
  "node-id": word(POD_NAME),
  dc: word(labels["topology.kubernetes.io/region"] ?? "dc1"),
  rack: word(labels["topology.kubernetes.io/zone"] ?? "rack1"),
  host: word(NODE_NAME),
};
mkdirSync(TARGET, { recursive: true });
for (const name of readdirSync(SECRETS).filter((each) => !each.startsWith("."))) {
  const copy = join(TARGET, name);
  writeFileSync(copy, readFileSync(join(SECRETS, name)), { mode: 0o600 });
  chmodSync(copy, 0o600);
}
const lines = Object.entries(knobs).map(([name, value]) => `${name} = "${value}"\n`);
writeFileSync(join(TARGET, "hutch.toml"), lines.join(""));
process.stdout.write(lines.join(""));
