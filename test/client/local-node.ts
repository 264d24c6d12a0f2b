/** A whole node in this process, on a directory of its own, reached without a socket. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Send } from "../../src/client/index.ts";
import { createBunPorts, loadConfig, silentLogger, startNode } from "../../src/index.ts";

export const NODE_URL = "http://localhost:7001";

export interface LocalNode {
  readonly send: Send;
  /** `method path` of each request so far. */
  readonly lines: string[];
  close(): Promise<void>;
}

export async function startLocalNode(): Promise<LocalNode> {
  const dataDir = mkdtempSync(join(tmpdir(), "hutch-client-"));
  const { config } = loadConfig({ environment: {}, flags: { fsync: "os" } as never });
  const node = await startNode(config, () => createBunPorts({ dataDir, logger: silentLogger }));
  const lines: string[] = [];
  return {
    lines,
    send: async (url, init) => {
      lines.push(`${init.method} ${new URL(url).pathname}`);
      return node.app.fetch(new Request(url, init));
    },
    async close() {
      await node.drain();
      await node.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Concurrent writes of keys in it stay siblings. */
export async function makeSiblingBucket(send: Send, bucket: string): Promise<void> {
  const answer = await send(`${NODE_URL}/v1/buckets/${bucket}`, {
    method: "PUT",
    body: '{"blindPut":"sibling"}',
    headers: { "Content-Type": "application/json" },
  });
  if (!answer.ok) throw new Error(await answer.text());
}
