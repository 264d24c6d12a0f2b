/**
 * The ports to other nodes, sealed with the cluster's key: what a node is given instead of the plain ones. Neither the node nor the world under it
 * knows of keys.
 */
import type { PeerPorts } from "../ports/transport.ts";
import { SealedDatagrams } from "./sealed-datagrams.ts";
import { SealedTransport, type SealedTransportParts } from "./sealed-transport.ts";

export function sealPeers(
  { transport, datagrams, defineMetrics }: PeerPorts,
  parts: SealedTransportParts,
): PeerPorts {
  const sealedTransport = new SealedTransport(transport, parts);
  const sealedDatagrams = new SealedDatagrams(datagrams, parts);
  return {
    transport: sealedTransport,
    datagrams: sealedDatagrams,
    defineMetrics: (metrics) => {
      defineMetrics?.(metrics);
      sealedTransport.defineMetrics(metrics);
      sealedDatagrams.defineMetrics(metrics);
    },
  };
}
