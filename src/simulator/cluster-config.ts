/** How the nodes of a simulated cluster are set up: small, so that flushes, compactions and everything that takes its time happen within seconds. */
import type { Config, KnobKey } from "../config.ts";
import { loadConfig } from "../config/load-config.ts";
import type { NodePorts } from "../node.ts";
import type { SimClockOptions } from "../sim/clock.ts";
import type { SimWorld } from "../sim/world.ts";
import type { Tap } from "./wiretap.ts";

export type Flags = Partial<Record<KnobKey, string>>;

export interface SimClusterOptions {
  /** That found it; `SimCluster.add` brings more. */
  readonly nodes?: number;
  /** Nodes are dealt to so many racks in turn. */
  readonly racks?: number;
  readonly flags?: Flags;
  /** Offset and drift of each machine's clock; drawn from the seed where left out. */
  readonly clocks?: readonly SimClockOptions[];
  /** To have two clusters in one world: the names of its nodes and where their ports begin. */
  readonly world?: SimWorld;
  readonly prefix?: string;
  readonly basePort?: number;
  /** Peer addresses that are given as seeds instead of the nodes' own. */
  readonly seeds?: readonly string[];
  /** Of the cluster, 32 bytes: what goes on between nodes is sealed with it. */
  readonly key?: Uint8Array;
  /** Of every node, besides its machine: whom it lets in, and whom it tells what it does. */
  readonly ports?: Pick<NodePorts, "access" | "tracer">;
  /** Hears every record in a message between nodes as it arrives. */
  readonly tap?: Tap;
  /** Lines of the logs that come with an error. */
  readonly words?: number;
}

const FLAGS: Flags = {
  preset: "local",
  partitions: "16",
  diskReserveBytes: "4KiB",
  memtableBytes: "16KiB",
  walSegmentBytes: "64KiB",
  memtableAgeMs: "5s",
};

/** @param flags of this node alone */
export function configOf(
  name: string,
  index: number,
  seeds: readonly string[],
  { flags: common, racks = 1, basePort = 7101 }: SimClusterOptions,
  flags: Flags,
): Config {
  const all = {
    ...FLAGS,
    nodeId: name,
    peer: `127.0.0.1:${basePort + index}`,
    listen: `127.0.0.1:${basePort - 100 + index}`,
    seeds: seeds.join(),
    rack: `rack${(index % racks) + 1}`,
    host: name,
    ...common,
    ...flags,
  };
  return loadConfig({ environment: {}, flags: all }).config;
}

/** As an operator does when none of a node's seeds is there any more: those that are (seed 71428). */
export function withLivingSeeds(config: Config, others: readonly Config["peer"][]): Config {
  const isThere = others.some(({ port }) => config.seeds.some((seed) => seed.port === port));
  return isThere ? config : { ...config, seeds: others };
}
