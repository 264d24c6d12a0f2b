/** A cluster of one: the view that never changes, and the peers that are nobody. */
import type { Member, NodeId } from "../gossip/member.ts";
import { LayoutState } from "../ring/layout-state.ts";
import type { Layout } from "../ring/layout.ts";
import { ClusterView } from "./cluster-view.ts";
import { type PeerReply, PeerError, type Peers } from "./peer-messages.ts";

const HERE = { dc: "dc1", rack: "rack1", host: "host1" };

export function layoutOfOne(id: NodeId, name: string, q: number): Layout {
  const member = { id, name, zone: HERE, weight: 1, peerAddress: "" };
  return { version: 1, q, n: 1, members: [member], owners: new Uint16Array(q) };
}

/** The node serves all that there is. */
export function viewOfOne(layout: Layout): ClusterView {
  const { id, name, zone, weight, peerAddress } = layout.members[0]!;
  const record = {
    id,
    name,
    zone,
    weight,
    peerAddress,
    clientAddress: "",
    incarnation: 0,
    version: 0,
    phase: "serving",
    layoutVersion: layout.version,
    layoutHash: 0,
    bucketsHash: 0,
  } as const;
  const self: Member = { record, liveness: "alive" };
  return new ClusterView(LayoutState.first(layout), id, new Map([[id, self]]));
}

export const NO_PEERS: Peers = {
  call: (node): Promise<PeerReply> =>
    Promise.reject(new PeerError("not-sent", "unreachable", node)),
  isReachable: () => false,
  isConnectionRefused: () => true,
  latencyP95Ms: () => undefined,
  latencyMeanMs: () => 0,
};
