/** The simulated network, as the suites of the network ask for it. */
import { SimWorld } from "../../src/sim/world.ts";
import type { PeerWorld } from "./peer-world.ts";

const PATIENCE_MS = 10_000;

export function simPeers(seed: number): PeerWorld {
  const world = new SimWorld(seed);
  let made = 0;
  const nextAddress = (): string => `10.0.0.${++made}:7947`;
  return {
    peer: async () => {
      const address = nextAddress();
      return { address, ports: world.node(address).peerPorts(address) };
    },
    nobody: async () => nextAddress(),
    until: async (isSo) => {
      for (let waitedMs = 0; !isSo() && waitedMs < PATIENCE_MS; waitedMs++) world.run(1);
      if (!isSo()) throw new Error(`Waited ${PATIENCE_MS} virtual ms in vain`);
    },
    settle: async (promise) => world.runUntil(promise),
    pass: async (forMs) => world.run(forMs),
  };
}
