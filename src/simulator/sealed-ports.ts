/**
 * Peer ports of a simulated machine: with a key they are sealed as those of a real node are, by the same code and the same cipher, on the machine's own
 * clock and chance. The tap is on the node's side and hears what was opened.
 */
import { bunCipher } from "../bun/cipher.ts";
import { KeyRing } from "../cluster/key-ring.ts";
import { sealPeers } from "../cluster/sealed-peers.ts";
import type { PeerAddress, PeerPorts } from "../ports/transport.ts";
import type { SimNode } from "../sim/world.ts";
import type { SimClusterOptions } from "./cluster-config.ts";
import { type OnMessage, tapped } from "./wiretap.ts";

export function peerPortsOf(
  machine: SimNode,
  address: PeerAddress,
  { key, tap = () => {} }: Pick<SimClusterOptions, "key" | "tap">,
  onMessage: OnMessage,
): PeerPorts {
  const plain = machine.peerPorts(address);
  const ports = key === undefined ? plain : sealed(plain, machine, address, key);
  return tapped(ports, tap, onMessage);
}

function sealed(
  plain: PeerPorts,
  { clock, random, logger }: SimNode,
  address: PeerAddress,
  key: Uint8Array,
): PeerPorts {
  return sealPeers(plain, {
    cipher: bunCipher,
    ring: new KeyRing(bunCipher, [key]),
    clock,
    random,
    logger,
    clusterName: "hutch",
    addresses: [address],
  });
}
