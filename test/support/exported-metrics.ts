/** A real node with everything switched on that has metrics: TLS, a cluster key, traces. For the documentation, and for what is checked against it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Metrics } from "../../src/base/metrics.ts";
import { OtlpTracer } from "../../src/bun/otlp-tracer.ts";
import { createBunPorts } from "../../src/cli/bun-ports.ts";
import { makeAuthority, makeCertificate } from "../../src/cli/certificates.ts";
import { ClientSecurity } from "../../src/cli/client-security.ts";
import { writeKeyFile } from "../../src/cli/key-file.ts";
import { bindPeers } from "../../src/cli/peer-ports.ts";
import type { Config } from "../../src/config.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import { startNode } from "../../src/node.ts";
import { silentLogger as logger } from "../../src/ports/logger.ts";
import { freePort } from "../e2e/node-process.ts";

/** Calls `use` with the metrics of the node while it runs. */
export async function withExportedMetrics<T>(
  use: (metrics: Metrics) => T | Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "hutch-metrics-"));
  try {
    return await withNode(configIn(directory), use);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function configIn(directory: string): Config {
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text, { mode: 0o600 });
    return join(directory, name);
  };
  const authority = makeAuthority("test", Date.now());
  const { certificatePem, keyPem } = makeCertificate(authority, ["localhost"], Date.now());
  const clusterKeyFile = join(directory, "cluster.key");
  writeKeyFile(clusterKeyFile, [crypto.getRandomValues(new Uint8Array(32))]);
  mkdirSync(join(directory, "data"));
  const cert = file("cert.pem", certificatePem);
  const key = file("key.pem", keyPem);
  const flags = {
    tlsCert: cert,
    tlsKey: key,
    peerCert: cert,
    peerKey: key,
    peerCa: file("ca.pem", authority.certificatePem),
    clusterKeyFile,
    dataDir: join(directory, "data"),
    peer: `127.0.0.1:${freePort()}`,
  };
  return loadConfig({ environment: {}, flags: flags as never }).config;
}

async function withNode<T>(config: Config, use: (metrics: Metrics) => T | Promise<T>): Promise<T> {
  const peers = await bindPeers(config, logger);
  const security = new ClientSecurity(config, logger);
  const resource = { version: "0", nodeId: config.nodeId, cluster: config.cluster };
  const tracer = new OtlpTracer({ url: "http://127.0.0.1:9/", ratio: 0, resource, logger });
  let metrics = new Metrics();
  const node = await startNode(config, () => ({
    ...createBunPorts({ dataDir: config.dataDir, logger, peers, tracer }),
    ...security.ports,
    defineMetrics: (all) => {
      metrics = all;
      security.ports.defineMetrics?.(all);
    },
  }));
  try {
    return await use(metrics);
  } finally {
    await node.drain();
    await node.close();
    await tracer.stop();
  }
}
