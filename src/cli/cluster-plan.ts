/** What `hutch cluster` starts: the nodes with their addresses, places and arguments, from the options alone. */

import { join } from "node:path";
import { HutchError } from "../base/errors.ts";
import { CLUSTER_KNOBS, knobArguments } from "./knob-options.ts";

export type ClusterOptions = Readonly<Record<string, string | boolean | undefined>>;

/** More would be no use on one machine, and no more seeds are taken. */
export const LOCAL_NODES_MAX = 64;
const PORT_MAX = 65_535;
const HOST = "127.0.0.1";

export interface NodePlan {
  /** `n1`, `n2`, ... */
  readonly id: string;
  readonly listen: string;
  readonly peer: string;
  readonly rack: string;
  readonly dataDir: string;
  /** Of `hutch serve`. */
  readonly args: readonly string[];
}

/**
 * All nodes, each with the same racks, ports and data whenever the options are the same.
 *
 * @param defaults knobs for every node where neither an option nor the environment sets them
 * @throws HutchError `bad-config`
 */
export function planCluster(
  options: ClusterOptions,
  defaults: Readonly<Record<string, string>>,
): readonly NodePlan[] {
  const count = wholeNumber(options, "nodes", LOCAL_NODES_MAX);
  const rackCount = wholeNumber(options, "racks", LOCAL_NODES_MAX);
  const listens = addressesFrom(options, "basePort", count);
  const peers = addressesFrom(options, "peerBasePort", count);
  const shared = listens.find((address) => peers.includes(address));
  if (shared !== undefined)
    throw new HutchError(
      "bad-config",
      `--peer-base-port: ${shared} would be for clients and for nodes; ${count} nodes need ${count} ports of each kind`,
    );
  const common = [
    // A node alone has nobody to look for.
    ...(count === 1 ? [] : ["--seeds", peers.join(",")]),
    ...(typeof options["config"] === "string" ? ["--config", options["config"]] : []),
    ...Object.entries(defaults).flatMap(([name, value]) => [`--${name}`, value]),
    ...knobArguments(options, CLUSTER_KNOBS),
  ];
  return listens.map((listen, index) => {
    const id = `n${index + 1}`;
    const place = { listen, peer: peers[index]!, rack: `rack${(index % rackCount) + 1}` };
    const dataDir = join(String(options["dataDir"]), id);
    const own = Object.entries(place).flatMap(([name, value]) => [`--${name}`, value]);
    const args = ["--node-id", id, ...own, "--data-dir", dataDir, ...common];
    return { id, ...place, dataDir, args };
  });
}

function addressesFrom(options: ClusterOptions, name: string, count: number): string[] {
  const first = wholeNumber(options, name, PORT_MAX - count + 1);
  return Array.from({ length: count }, (_, index) => `${HOST}:${first + index}`);
}

function wholeNumber(options: ClusterOptions, name: string, max: number): number {
  const value = Number(options[name]);
  if (Number.isSafeInteger(value) && value > 0 && value <= max) return value;
  const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new HutchError(
    "bad-config",
    `--${flag}: "${String(options[name])}" is outside 1 to ${max}`,
  );
}
