/** What `hutch cluster` starts: the nodes with their addresses, places and arguments, from the options alone. */

import { join } from "node:path";
import { HutchError } from "../base/errors.ts";
import type { ClusterSecurity } from "./cluster-security.ts";
import { CLUSTER_KNOBS, knobArguments } from "./knob-options.ts";

export type ClusterOptions = Readonly<Record<string, string | boolean | undefined>>;

/** More would be no use on one machine, and no more seeds are taken. */
export const LOCAL_NODES_MAX = 64;
const PORT_MAX = 65_535;
const HOST = "127.0.0.1";

interface Credentials {
  /** May do everything. */
  readonly tokenFile: string;
  /** May read and write keys. */
  readonly appTokenFile: string;
  readonly ca: string;
}

export interface NodePlan {
  /** `n1`, `n2`, ... */
  readonly id: string;
  readonly listen: string;
  readonly peer: string;
  readonly rack: string;
  readonly dataDir: string;
  /** Where clients reach it. */
  readonly url: string;
  /** Files of what clients show there, and of whom they believe; undefined where nobody asks. */
  readonly credentials: Credentials | undefined;
  /** Whether clients are asked who they are. */
  readonly wantsToken: boolean;
  /** Of `hutch serve`. */
  readonly args: readonly string[];
}

/**
 * All nodes, each with the same racks, ports and data whenever the options are the same.
 *
 * @param defaults knobs for every node where neither an option nor the environment sets them
 * @param security what every node shows and wants to be shown; undefined for a cluster that is open
 * @throws HutchError `bad-config`
 */
export function planCluster(
  options: ClusterOptions,
  defaults: Readonly<Record<string, string>>,
  security?: ClusterSecurity,
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
  const scheme = security || typeof options["tlsCert"] === "string" ? "https" : "http";
  const credentials = security && {
    tokenFile: security.tokenPath("admin"),
    appTokenFile: security.tokenPath("app"),
    ca: security.caPath,
  };
  const wantsToken = security !== undefined || namesTokens(options);
  return listens.map((listen, index) => {
    const id = `n${index + 1}`;
    const place = { listen, peer: peers[index]!, rack: `rack${(index % rackCount) + 1}` };
    const dataDir = join(String(options["dataDir"]), id);
    const own = Object.entries(place).flatMap(([name, value]) => [`--${name}`, value]);
    own.push("--data-dir", dataDir, ...(security?.argsFor(id) ?? []));
    const args = ["--node-id", id, ...own, ...common];
    const url = `${scheme}://${listen}`;
    return { id, ...place, dataDir, url, credentials, wantsToken, args };
  });
}

function namesTokens({ authTokens }: ClusterOptions): boolean {
  return typeof authTokens === "string" && authTokens !== "";
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
