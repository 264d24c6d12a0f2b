/**
 * A network namespace for every node and a router between them; everything is inside namespaces, so the machine's own network sees nothing of it.
 *
 *        n1                    hub (the run itself is in here)                  n2
 *   eth0 10.89.1.2 ---- veth1 10.89.1.1   forwards   veth2 10.89.2.1 ---- eth0 10.89.2.2
 *                                 |
 *                            relay0 (TUN)   a link with delays goes through here, by a routing rule
 *
 *   cuts, loss        nftables, in the hub's forward chain: one set of pairs for each kind
 *   few bits          `tc htb` on the way to the receiver, for packets of the sender only
 *   late, doubled     a relay in user space that gets the packets of that link from the router (`packet-relay.ts`): kernels for small machines
 *                     come without `netem`
 *
 * A router and not a bridge, because routing rules can single out one direction of one link while packets flow.
 */
import { assert } from "../../src/base/assert.ts";
import type { LinkShape } from "../support/link-shape.ts";
import { attempt, run } from "./command.ts";
import type { CutMode, Network } from "./network.ts";
import { LOSS_CHANCE } from "./plan.ts";
import { PacketRelay, RELAY_DEVICE } from "./packet-relay.ts";

const CLIENT_PORT = 7001;
const PEER_PORT = 7101;
const RELAY_TABLE = 100;
const UNLIMITED = "10gbit";
/** The first octets of all addresses; only these namespaces know them. */
const PREFIX = "10.89";

const RULES = `
table ip nemesis {
  set held { type ipv4_addr . ipv4_addr; }
  set broken { type ipv4_addr . ipv4_addr; }
  set lossy { type ipv4_addr . ipv4_addr; }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ip saddr . ip daddr @broken meta l4proto tcp reject with tcp reset
    ip saddr . ip daddr @broken drop
    ip saddr . ip daddr @held drop
    meta l4proto udp ip saddr . ip daddr @lossy numgen random mod 100 < ${LOSS_CHANCE * 100} drop
  }
}`;

export const hubOf = (prefix: string): string => `${prefix}-hub`;
const nodeOf = (prefix: string, index: number): string => `${prefix}-n${index + 1}`;
const addressOf = (index: number): string => `${PREFIX}.${index + 1}.2`;
const routerOf = (index: number): string => `${PREFIX}.${index + 1}.1`;
const vethOf = (index: number): string => `veth${index + 1}`;
const pairOf = (from: number, to: number): string => `${addressOf(from)} . ${addressOf(to)}`;

/** Only the network is another one: mounts are those of everybody, so that disks can be mounted and unmounted while nodes run. */
export function entering(namespace: string, command: readonly string[]): readonly string[] {
  return ["nsenter", `--net=/run/netns/${namespace}`, ...command];
}

/** Makes the namespaces of a run with `count` nodes; whoever is to use them starts inside the hub. */
export async function makeNamespaces(prefix: string, count: number): Promise<void> {
  const hub = hubOf(prefix);
  await run(["ip", "netns", "add", hub]);
  await run(["ip", "-n", hub, "link", "set", "lo", "up"]);
  // Packets that come back from the relay have the addresses of nodes.
  const settings = [
    "1 > /proc/sys/net/ipv4/ip_forward",
    "0 > /proc/sys/net/ipv4/conf/all/rp_filter",
    "0 > /proc/sys/net/ipv4/conf/default/rp_filter",
  ];
  for (const setting of settings) await run(entering(hub, ["sh", "-c", `echo ${setting}`]));
  for (let index = 0; index < count; index++) await addNode(prefix, index);
  await run(entering(hub, ["nft", "-f", "-"]), RULES);
}

async function addNode(prefix: string, index: number): Promise<void> {
  const hub = hubOf(prefix);
  const node = nodeOf(prefix, index);
  const veth = vethOf(index);
  await run(["ip", "netns", "add", node]);
  await run(["ip", "-n", node, "link", "set", "lo", "up"]);
  const ends = ["type", "veth", "peer", "name", "eth0", "netns", node];
  await run(["ip", "-n", hub, "link", "add", veth, ...ends]);
  await run(["ip", "-n", hub, "addr", "add", `${routerOf(index)}/24`, "dev", veth]);
  await run(["ip", "-n", hub, "link", "set", veth, "up"]);
  await run(["ip", "-n", node, "addr", "add", `${addressOf(index)}/24`, "dev", "eth0"]);
  await run(["ip", "-n", node, "link", "set", "eth0", "up"]);
  await run(["ip", "-n", node, "route", "add", "default", "via", routerOf(index)]);
}

export interface NamespaceOptions {
  /** Links can be late, doubled, reordered. */
  readonly hasRelay: boolean;
  /** Links can have few bits. */
  readonly hasLimits: boolean;
}

export class NamespaceNetwork implements Network {
  private readonly prefix: string;
  private readonly count: number;
  private readonly relay: PacketRelay | undefined;
  private readonly shapes = new Map<string, LinkShape>();

  /** @param relay without one, links have neither delays nor copies */
  private constructor(prefix: string, count: number, relay: PacketRelay | undefined) {
    this.prefix = prefix;
    this.count = count;
    this.relay = relay;
  }

  /** Called inside the hub of `makeNamespaces`. */
  static async open(
    prefix: string,
    count: number,
    { hasRelay, hasLimits }: NamespaceOptions,
  ): Promise<NamespaceNetwork> {
    const relay = hasRelay ? PacketRelay.open() : undefined;
    const network = new NamespaceNetwork(prefix, count, relay);
    if (hasRelay) {
      await run(["ip", "link", "set", RELAY_DEVICE, "up"]);
      await run(["ip", "route", "add", "default", "dev", RELAY_DEVICE, "table", `${RELAY_TABLE}`]);
    }
    for (let index = 0; hasLimits && index < count; index++) await network.classify(index);
    return network;
  }

  argsOf(index: number): readonly string[] {
    const seeds = Array.from(
      { length: this.count },
      (_, each) => `${addressOf(each)}:${PEER_PORT}`,
    );
    const address = addressOf(index);
    const places = ["--listen", `${address}:${CLIENT_PORT}`, "--peer", `${address}:${PEER_PORT}`];
    return [...places, "--seeds", seeds.join(","), "--insecure-bind-public"];
  }

  urlOf(index: number): string {
    return `http://${addressOf(index)}:${CLIENT_PORT}`;
  }

  commandOf(index: number, command: readonly string[]): readonly string[] {
    return entering(nodeOf(this.prefix, index), command);
  }

  async cut(from: number, to: number, mode: CutMode): Promise<void> {
    const set = mode === "reset" ? "broken" : "held";
    await run(["nft", "add", "element", "ip", "nemesis", set, `{ ${pairOf(from, to)} }`]);
  }

  async heal(): Promise<void> {
    await run(["nft", "-f", "-"], "flush set ip nemesis held; flush set ip nemesis broken");
  }

  async shape(from: number, to: number, shape: LinkShape | undefined): Promise<void> {
    const name = `${from}>${to}`;
    const before = this.shapes.get(name);
    if (shape === undefined) this.shapes.delete(name);
    else this.shapes.set(name, shape);
    await this.limit(from, to, before?.bitsPerSecond ?? 0, shape?.bitsPerSecond ?? 0);
    await this.lose(from, to, before?.lossChance ?? 0, shape?.lossChance ?? 0);
    await this.relayLink(from, to, shape);
  }

  /** A class for each sender, without a limit at first, on the way to `to`. */
  private async classify(to: number): Promise<void> {
    const dev = vethOf(to);
    await run(["tc", "qdisc", "add", "dev", dev, "root", "handle", "1:", "htb"]);
    for (let from = 0; from < this.count; from++) {
      if (from === to) continue;
      await this.setRate("add", from, to, UNLIMITED);
      const match = ["u32", "match", "ip", "src", `${addressOf(from)}/32`, "flowid"];
      const filter = ["tc", "filter", "add", "dev", dev, "parent", "1:", "protocol", "ip"];
      await run([...filter, ...match, `1:1${from}`]);
    }
  }

  private async setRate(verb: string, from: number, to: number, rate: string): Promise<void> {
    const place = ["dev", vethOf(to), "parent", "1:", "classid", `1:1${from}`];
    await run(["tc", "class", verb, ...place, "htb", "rate", rate, "quantum", "60000"]);
  }

  private async limit(from: number, to: number, before: number, bits: number): Promise<void> {
    if (before === bits) return;
    await this.setRate("change", from, to, bits === 0 ? UNLIMITED : `${bits}bit`);
  }

  /** There is one rule for loss. */
  private async lose(from: number, to: number, before: number, chance: number): Promise<void> {
    if (before === chance) return;
    assert(chance === 0 || chance === LOSS_CHANCE, `links lose nothing or ${LOSS_CHANCE}`);
    const verb = chance === 0 ? "delete" : "add";
    await run(["nft", verb, "element", "ip", "nemesis", "lossy", `{ ${pairOf(from, to)} }`]);
  }

  /** The router does what it can by itself; what is late or doubled takes the way through user space. */
  private async relayLink(from: number, to: number, shape: LinkShape | undefined): Promise<void> {
    if (this.relay === undefined) return;
    const { bitsPerSecond: _, lossChance: __, ...rest } = shape ?? {};
    const isBad = Object.values(rest).some((value) => value > 0);
    this.relay.shape(from, to, isBad ? rest : undefined);
    const rule = ["iif", vethOf(from), "to", addressOf(to), "lookup", `${RELAY_TABLE}`];
    // Twice the same rule would have to be taken away twice.
    await attempt(["ip", "rule", "del", ...rule]);
    if (isBad) await run(["ip", "rule", "add", ...rule]);
  }

  async close(): Promise<void> {
    this.relay?.close();
  }
}
