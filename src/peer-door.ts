/**
 * Where other nodes come in: open before there is a cluster, because a cluster is formed through it, and before the store is, because its id is in
 * the store's files.
 *
 *   a knock is answered by the porch at any time       everything else by the cluster node, once it is there
 */
import { messageOf, HutchError } from "./base/errors.ts";
import { hex } from "./base/bytes.ts";
import type { Metrics } from "./base/metrics.ts";
import type { Admin } from "./cluster/admin.ts";
import { ClusterNode, type ClusterNodeOptions } from "./cluster/cluster-node.ts";
import type { CoordinatorOptions } from "./cluster/coordinator.ts";
import { aliveSince } from "./cluster/absence.ts";
import { definePeerTimes } from "./cluster/cluster-metrics.ts";
import {
  type FormedCluster,
  type KnockerOptions,
  Porch,
  formCluster,
  lifeOf,
} from "./cluster/formation.ts";
import type { PeerIdentity } from "./cluster/peer-client.ts";
import type { PeerReply, PeerRequest } from "./cluster/peer-messages.ts";
import { PeerServer } from "./cluster/peer-server.ts";
import { answerTraced } from "./cluster/peer-trace.ts";
import type { Config } from "./config.ts";
import { formatAddress } from "./config/knob-kinds.ts";
import { type NodeId, REFUTATIONS } from "./gossip/member.ts";
import type { NodePorts } from "./node.ts";
import type { PeerPorts } from "./ports/transport.ts";
import { assignLayout } from "./ring/assignment.ts";
import { LayoutState } from "./ring/layout-state.ts";
import type { LayoutMember } from "./ring/layout.ts";
import { lastAliveMs } from "./storage/alive-mark.ts";
import type { DataDirectory } from "./storage/data-directory.ts";

const NO_CLUSTER = new Uint8Array(16);

/** Where peers reach the node. */
export function peerAddressOf(config: Config): string {
  return config.advertise === "" ? formatAddress(config.peer) : config.advertise;
}

/** Where clients reach it. */
function clientAddressOf({ advertiseClient, listen }: Config): string {
  return advertiseClient === "" ? formatAddress(listen) : advertiseClient;
}

export class PeerDoor {
  readonly #config: Config;
  readonly #ports: NodePorts;
  readonly #peers: PeerPorts;
  readonly #directory: DataDirectory;
  readonly #self: LayoutMember;
  readonly #porch: Porch;
  readonly #server: PeerServer;
  #cluster: ClusterNode | undefined;

  constructor(config: Config, ports: NodePorts, peers: PeerPorts, directory: DataDirectory) {
    this.#config = config;
    this.#ports = ports;
    this.#peers = peers;
    this.#directory = directory;
    this.#self = {
      id: hex(directory.identity.nodeId),
      name: config.nodeId,
      zone: { dc: config.dc, rack: config.rack, host: config.host },
      weight: config.weight,
      peerAddress: peerAddressOf(config),
    };
    const { disk, clock, logger, scheduleFlush } = ports;
    const beforeMs = lastAliveMs(disk) ?? 0;
    const startedMs = clock.wallMs();
    this.#porch = new Porch(this.#self, () => ({ beforeMs, startedMs, nowMs: clock.wallMs() }));
    this.#server = new PeerServer({
      transport: peers.transport,
      clock,
      logger,
      handler: {
        handle: (request, from, budgetMs) =>
          answerTraced(ports.tracer, request, from, (traced) =>
            this.#handle(traced, from, budgetMs),
          ),
      },
      identity: () => this.#identity(),
      isDuplicate: (node, incarnation) => this.#cluster?.isDuplicate(node, incarnation) ?? false,
      nameOf: (node) => this.#cluster?.nameOf(node),
      onInbound: () => this.#cluster?.check(),
      ...(scheduleFlush && { scheduleFlush }),
    });
  }

  #identity(): PeerIdentity {
    const { clusterId, nodeId, isFormed, generation } = this.#directory.identity;
    const id = hex(nodeId);
    return {
      clusterId: isFormed ? clusterId : NO_CLUSTER,
      clusterName: this.#config.cluster,
      nodeId: id,
      incarnation: this.#cluster?.view.incarnationOf(id) ?? generation * REFUTATIONS,
    };
  }

  #handle(request: PeerRequest, from: NodeId, budgetMs: number): PeerReply | Promise<PeerReply> {
    if (request.kind === "knock") return this.#porch.answer(request);
    if (this.#cluster !== undefined) return this.#cluster.handle(request, from, budgetMs);
    throw new HutchError("unavailable", "Cannot answer yet: the node is starting", {
      retry: "safe",
    });
  }

  /** For a fresh node: what it belongs to from now on. `undefined` for one that knows. */
  async findCluster(): Promise<FormedCluster | undefined> {
    if (this.#directory.identity.isFormed) return undefined;
    const formed = await this.#form();
    const { clusterId, clusterSecret, layouts } = formed;
    this.#directory.form({ clusterId, clusterSecret, q: layouts.newest.q });
    return formed;
  }

  /** How long the one of the other members that answers and was alive longest was so since then; 0 where nobody answers. */
  async othersAliveSince(sinceMs: number, layouts: LayoutState): Promise<number> {
    const others = [...layouts.members.values()].filter(({ id }) => id !== this.#self.id);
    const lives = await Promise.all(
      others.map(({ peerAddress }) => lifeOf(this.#knocker(), peerAddress)),
    );
    const spans = lives.map((life) => (life === undefined ? 0 : aliveSince(sinceMs, life)));
    return Math.max(0, ...spans);
  }

  /** For a node that stopped between taking its cluster's id and its layouts, and for a node alone. */
  async findLayouts(): Promise<LayoutState> {
    const { identity } = this.#directory;
    const { seeds, n } = this.#config;
    if (seeds.length === 0)
      return LayoutState.first(
        assignLayout({ version: 1, q: identity.q, n, members: [this.#self] }),
      );
    const { clusterId, layouts } = await this.#form();
    if (hex(clusterId) !== hex(identity.clusterId))
      throw new HutchError(
        "data-refused",
        "Cannot join: the seeds are of another cluster than the data directory",
      );
    return layouts;
  }

  #form(): Promise<FormedCluster> {
    const { q, clusterId, clusterSecret } = this.#directory.identity;
    return formCluster(
      {
        ...this.#knocker(),
        seeds: this.#config.seeds.map(formatAddress),
        q,
        n: this.#config.n,
        clusterId,
        clusterSecret,
      },
      this.#porch,
    );
  }

  #knocker(): KnockerOptions {
    const { clock, logger } = this.#ports;
    return {
      transport: this.#peers.transport,
      clock,
      logger,
      identity: () => this.#identity(),
      self: this.#self,
      replaces: this.#config.replace,
    };
  }

  /** The layouts are on disk: this node is one of the cluster's from now on, and tells whoever knocks. */
  enter(
    options: CoordinatorOptions & Pick<ClusterNodeOptions, "store">,
    layouts: LayoutState,
    endings: {
      readonly onFailure: (error: HutchError) => void;
      readonly onGone: () => void;
    },
    admin: () => Admin,
  ): ClusterNode {
    const { random, scheduleFlush, tracer } = this.#ports;
    const { clusterId, clusterSecret, generation } = this.#directory.identity;
    this.#cluster = new ClusterNode({
      ...this.#config,
      ...options,
      random,
      ports: this.#peers,
      layouts,
      seeds: this.#config.seeds.map(formatAddress),
      self: this.#self,
      replaces: this.#config.replace,
      areJoinsApplied: this.#config.joins === "apply",
      clientAddress: clientAddressOf(this.#config),
      generation,
      previousGeneration: this.#directory.previousGeneration,
      identity: () => this.#identity(),
      ...(scheduleFlush && { scheduleFlush }),
      ...(tracer && { tracer }),
      renewIncarnation: () => {
        this.#directory.renewIncarnation();
        return this.#directory.identity.incarnation;
      },
      knock: (message) => this.#porch.answer(message),
      status: () => admin().statusReply(),
      dropInboundLinks: () => this.#server.dropAllLinks(),
      ...endings,
    });
    const cluster = this.#cluster;
    this.#porch.open(() => ({ clusterId, clusterSecret, layouts: cluster.layouts.state() }));
    return this.#cluster;
  }

  defineMetrics(metrics: Metrics): void {
    const { counters } = this.#server;
    definePeerTimes(
      metrics,
      "hutch_peer_server",
      "Time to answer a request of another node: read (its copy), merge (as an owner), hint (as a fallback), coordinate (a whole write), and others",
      this.#server.times,
    );
    const define = (name: string, help: string, read: () => number): void =>
      metrics.count(`hutch_peer_server_${name}`, `Asked by other nodes: ${help}`, read);
    define("requests", "requests", () => counters.requests);
    define("refused_links", "links of strangers, refused", () => counters.refusedLinks);
    define("bad_frames", "what is no message", () => counters.badFrames);
    define("expired", "requests that nobody waits for", () => counters.expired);
    define("overloaded", "requests refused as too many", () => counters.overloaded);
    const { datagrams } = this.#peers;
    const gossip = "Datagrams of gossip";
    metrics.count("hutch_gossip_datagrams_sent", `${gossip} sent`, () => datagrams.counters.sent);
    metrics.count(
      "hutch_gossip_datagrams_received",
      `${gossip} received`,
      () => datagrams.counters.received,
    );
    metrics.count(
      "hutch_gossip_datagrams_failed",
      `${gossip} that the system did not take`,
      () => datagrams.counters.failed,
    );
    this.#peers.defineMetrics?.(metrics);
  }

  close(): void {
    this.#server.close();
    this.#peers.datagrams.close();
    this.#peers.transport.close().catch((thrown: unknown) => {
      this.#ports.logger.warn("transport_close_failed", { reason: messageOf(thrown) });
    });
  }
}
