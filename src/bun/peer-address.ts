/** `host:port` of peers: numeric, or `localhost`. Names are resolved before they get here, so nothing on the way to a peer waits for a resolver. */
import { isIP } from "node:net";
import type { PeerAddress } from "../ports/transport.ts";

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
  readonly isIPv6: boolean;
}

/** Undefined when `address` is neither numeric nor `localhost`. */
export function parsePeerAddress(address: PeerAddress): HostAndPort | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  const host = numericHost(match?.[1] ?? match?.[2] ?? "");
  const port = Number(match?.[3] ?? 0);
  const version = isIP(host);
  if (version === 0 || (match?.[1] !== undefined) !== (version === 6)) return undefined;
  if (port < 1 || port > 65_535) return undefined;
  return { host, port, isIPv6: version === 6 };
}

/** `localhost` is the IPv4 one on all nodes, whatever a machine's resolver prefers. */
export function numericHost(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}

export function formatPeerAddress(host: string, port: number): PeerAddress {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Remembers what it has parsed: the same few hundred addresses come again with every message. */
export class PeerAddresses {
  private readonly parsed = new Map<PeerAddress, HostAndPort | undefined>();

  parse(address: PeerAddress): HostAndPort | undefined {
    const known = this.parsed.get(address);
    if (known !== undefined) return known;
    const parsed = parsePeerAddress(address);
    // All are forgotten at the limit; those in use are back with their next message.
    if (this.parsed.size >= ADDRESSES_MAX) this.parsed.clear();
    if (parsed !== undefined) this.parsed.set(address, parsed);
    return parsed;
  }
}

const ADDRESSES_MAX = 4096;
