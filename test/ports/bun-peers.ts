/** The real network on loopback, as the suites of the network ask for it. */
import type { LogFields, Logger } from "../../src/ports/logger.ts";
import { bindPeerPorts, type BoundPeerPorts } from "../../src/bun/transport.ts";
import type { PeerTls } from "../../src/bun/peer-tls.ts";
import type { PeerWorld } from "./peer-world.ts";

const PATIENCE_MS = 10_000;
const silent = (_event: string, _fields?: LogFields): void => undefined;
export const quietLogger: Logger = { debug: silent, info: silent, warn: silent, error: silent };

export interface BunPeers extends PeerWorld {
  bind(hostname?: string, port?: number): Promise<BoundPeerPorts>;
  closeAll(): Promise<void>;
}

/** @param tls makes links by mutual TLS */
export function bunPeers(tls?: PeerTls): BunPeers {
  const bound: BoundPeerPorts[] = [];
  const bind = async (hostname = "127.0.0.1", port = 0): Promise<BoundPeerPorts> => {
    const ports = await bindPeerPorts({ hostname, port, logger: quietLogger, tls });
    bound.push(ports);
    return ports;
  };
  const close = async (ports: BoundPeerPorts): Promise<void> => {
    ports.datagrams.close();
    await ports.transport.close();
  };
  return {
    bind,
    closeAll: async () => void (await Promise.all(bound.map(close))),
    peer: async () => {
      const ports = await bind();
      return { address: ports.address, ports };
    },
    nobody: async () => {
      const ports = await bind();
      await close(ports);
      return ports.address;
    },
    until: async (isSo) => {
      const startMs = performance.now();
      while (!isSo()) {
        if (performance.now() - startMs > PATIENCE_MS) throw new Error("Waited in vain");
        await Bun.sleep(1);
      }
    },
    settle: (promise) => promise,
    pass: (forMs) => Bun.sleep(forMs),
  };
}
