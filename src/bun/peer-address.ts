/** `host:port` of peers: numeric, `localhost`, or a name (`peer-names.ts`). No datagram waits for a resolver; a new connection does. */
import { isIP } from "node:net";
import { messageOf } from "../base/errors.ts";
import type { PeerAddress } from "../ports/transport.ts";
import { isHostName, PeerNames, type Resolve } from "./peer-names.ts";

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
  readonly isIPv6: boolean;
}

/** Undefined when `address` is neither numeric nor `localhost`. */
export function parsePeerAddress(address: PeerAddress): HostAndPort | undefined {
  const parts = split(address);
  return parts && numeric(numericHost(parts.host), parts.port, parts.isBracketed);
}

interface Parts {
  readonly host: string;
  readonly port: number;
  readonly isBracketed: boolean;
}

function split(address: PeerAddress): Parts | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(address);
  if (match === null) return undefined;
  const port = Number(match[3]);
  if (port < 1 || port > 65_535) return undefined;
  const isBracketed = match[1] !== undefined;
  return { host: match[1] ?? match[2]!, port, isBracketed };
}

function numeric(host: string, port: number, isBracketed: boolean): HostAndPort | undefined {
  const version = isIP(host);
  if (version === 0 || isBracketed !== (version === 6)) return undefined;
  return { host, port, isIPv6: version === 6 };
}

/** `localhost` is the IPv4 one on all nodes, whatever a machine's resolver prefers. */
export function numericHost(host: string): string {
  return host === "localhost" ? "127.0.0.1" : host;
}

export function formatPeerAddress(host: string, port: number): PeerAddress {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** A name and its port. */
interface NameAndPort {
  readonly name: string;
  readonly port: number;
}

/** Remembers what it has parsed: the same few hundred addresses come again with every message. */
export class PeerAddresses {
  private readonly parsed = new Map<PeerAddress, HostAndPort | NameAndPort>();
  private readonly names: PeerNames;

  constructor(resolve?: Resolve) {
    this.names = new PeerNames(resolve);
  }

  /** At once; `undefined` for what is no address, and for a name whose numbers have not come yet. */
  parse(address: PeerAddress): HostAndPort | undefined {
    const target = this.read(address);
    if (target === undefined || "host" in target) return target;
    const host = this.names.known(target.name);
    return host === undefined ? undefined : located(host, target.port);
  }

  /** Asks the resolver where it has to. Rejects within `timeoutMs`, with the reason. */
  async find(address: PeerAddress, timeoutMs: number): Promise<HostAndPort> {
    const target = this.read(address);
    if (target === undefined)
      throw new Error(`Cannot connect to "${address}": neither a numeric address nor a name`);
    if ("host" in target) return target;
    try {
      return located(await within(this.names.find(target.name), timeoutMs), target.port);
    } catch (thrown) {
      throw new Error(`Cannot connect to "${address}": ${messageOf(thrown)}`, { cause: thrown });
    }
  }

  private read(address: PeerAddress): HostAndPort | NameAndPort | undefined {
    const known = this.parsed.get(address);
    if (known !== undefined) return known;
    const target = parsePeerAddress(address) ?? parseName(address);
    // All are forgotten at the limit; those in use are back with their next message.
    if (this.parsed.size >= ADDRESSES_MAX) this.parsed.clear();
    if (target !== undefined) this.parsed.set(address, target);
    return target;
  }
}

function parseName(address: PeerAddress): NameAndPort | undefined {
  const parts = split(address);
  if (parts === undefined || parts.isBracketed || !isHostName(parts.host)) return undefined;
  return { name: parts.host, port: parts.port };
}

const located = (host: string, port: number): HostAndPort => ({
  host,
  port,
  isIPv6: isIP(host) === 6,
});

async function within<Value>(promise: Promise<Value>, timeoutMs: number): Promise<Value> {
  const late = Promise.withResolvers<never>();
  const refuse = (): void => late.reject(new Error(`no name server within ${timeoutMs} ms`));
  const timer = setTimeout(refuse, timeoutMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

const ADDRESSES_MAX = 4096;
