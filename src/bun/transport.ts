/**
 * Links between nodes over HTTP/2, and datagrams on the same port number (docs/decisions/peer-links.md).
 *
 *   const { transport, datagrams } = await bindPeerPorts({ hostname: "127.0.0.1", port: 7947, logger });
 */
import { assert } from "../base/assert.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { Metrics } from "../base/metrics.ts";
import type { Logger } from "../ports/logger.ts";
import type { Link, LinkEvents, PeerAddress, PeerPorts, Transport } from "../ports/transport.ts";
import { HELLO_BYTES_MAX } from "../ports/transport.ts";
import { BunDatagrams } from "./datagrams.ts";
import { formatPeerAddress, numericHost, PeerAddresses } from "./peer-address.ts";
import type { Resolve } from "./peer-names.ts";
import { checkPeerTls, expiryMsOf, type PeerTls } from "./peer-tls.ts";
import { PeerConnection } from "./transport-client.ts";
import { type Accept, type LinkServer, PeerServer } from "./transport-server.ts";
import { TlsPeerServer } from "./transport-server-tls.ts";

/** How often another free port is tried when the datagrams cannot have the one that the links got. */
const FREE_PORT_ATTEMPTS = 20;

export interface PeerPortsOptions {
  /** Numeric, or `localhost`. */
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly logger: Logger;
  /** Links by mutual TLS; datagrams have none. */
  readonly tls?: PeerTls | undefined;
  /** Of the names of other nodes; the system's unless a test knows better. */
  readonly resolve?: Resolve;
}

export interface BoundPeerPorts extends PeerPorts {
  readonly transport: BunTransport;
  /** Where others reach it. */
  readonly address: PeerAddress;
}

/** Binds both or none. @throws HutchError `port-in-use`, `permission-denied`, `bad-config` */
export async function bindPeerPorts(options: PeerPortsOptions): Promise<BoundPeerPorts> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await bindOnce(options);
    } catch (thrown) {
      const isTaken = (thrown as { readonly code?: string }).code === "EADDRINUSE";
      if (options.port === 0 && isTaken && attempt < FREE_PORT_ATTEMPTS) continue;
      throw listenError(thrown, options);
    }
  }
}

async function bindOnce(options: PeerPortsOptions): Promise<BoundPeerPorts> {
  const hostname = numericHost(options.hostname);
  const transport = await BunTransport.listen({ ...options, hostname });
  const { port } = transport;
  try {
    const datagrams = await BunDatagrams.bind({ ...options, hostname, port });
    const defineMetrics = (metrics: Metrics): void => transport.defineMetrics(metrics);
    return { transport, datagrams, address: formatPeerAddress(hostname, port), defineMetrics };
  } catch (thrown) {
    await transport.close();
    throw thrown;
  }
}

export class BunTransport implements Transport {
  private readonly server: LinkServer;
  private tls: PeerTls | undefined;
  private readonly hostname: string;
  private readonly addresses: PeerAddresses;
  private readonly connections = new Set<PeerConnection>();
  private isClosed = false;

  private constructor(options: PeerPortsOptions, server: LinkServer) {
    this.hostname = options.hostname;
    this.tls = options.tls;
    this.addresses = new PeerAddresses(options.resolve);
    this.server = server;
  }

  /** Rejects with an error of the system when the port cannot be had. */
  static async listen(options: PeerPortsOptions): Promise<BunTransport> {
    const { tls } = options;
    if (tls !== undefined) checkPeerTls(tls);
    const server = tls ? await TlsPeerServer.listen({ ...options, tls }) : new PeerServer(options);
    return new BunTransport(options, server);
  }

  /** Another certificate, key or authority for connections from now on, where there is TLS. @throws HutchError `bad-config` */
  setTls(tls: PeerTls): void {
    assert(this.server instanceof TlsPeerServer, "links have TLS from the start or never");
    checkPeerTls(tls);
    this.server.setTls(tls);
    this.tls = tls;
  }

  /** Connections of others that ended in the handshake of TLS. */
  get refusedHandshakes(): number {
    return this.server instanceof TlsPeerServer ? this.server.refusedHandshakes : 0;
  }

  defineMetrics(metrics: Metrics): void {
    if (this.tls === undefined) return;
    const help = "Connections of others that ended in the handshake of TLS";
    metrics.count("hutch_peer_handshakes_refused", help, () => this.refusedHandshakes);
    let [read, expiryMs] = [this.tls, expiryMsOf(this.tls)];
    metrics.gauge(
      "hutch_peer_certificate_expiry_timestamp_seconds",
      "When the certificate for other nodes ends, Unix time",
      () => {
        const { tls } = this;
        if (tls !== read && tls !== undefined) [read, expiryMs] = [tls, expiryMsOf(tls)];
        return expiryMs / 1000;
      },
    );
  }

  get port(): number {
    return this.server.port;
  }

  async connect(
    to: PeerAddress,
    hello: Uint8Array,
    timeoutMs: number,
    open: (link: Link) => LinkEvents,
  ): Promise<Uint8Array> {
    assert(hello.length <= HELLO_BYTES_MAX, "a hello is short");
    const target = await this.addresses.find(to, timeoutMs);
    if (this.isClosed) throw new Error(`Cannot connect to "${to}": the transport is closed`);
    const localAddress = this.sourceTowards(target.isIPv6);
    const dial = { target, localAddress, hello, timeoutMs, open, tls: this.tls };
    const connection = new PeerConnection(dial, () => this.connections.delete(connection));
    this.connections.add(connection);
    return connection.opened;
  }

  onConnect(accept: Accept): void {
    this.server.accept = accept;
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const connection of this.connections) connection.end("closed");
    await this.server.close();
  }

  /** Connections come from the address that others know us by, unless we listen on all. */
  private sourceTowards(isIPv6: boolean): string | undefined {
    const { hostname } = this;
    if (hostname === "0.0.0.0" || hostname === "::") return undefined;
    return hostname.includes(":") === isIPv6 ? hostname : undefined;
  }
}

function listenError(thrown: unknown, options: PeerPortsOptions): HutchError {
  // Errors of the operating system carry its name for them.
  const systemCode = (thrown as { readonly code?: string }).code;
  const what = `Cannot listen on "${formatPeerAddress(options.hostname, options.port)}" for peers`;
  const because = { cause: thrown };
  if (systemCode === "EADDRINUSE") {
    return new HutchError("port-in-use", `${what}: another process has the port`, because);
  }
  if (systemCode === "EACCES" || systemCode === "EPERM") {
    return new HutchError("permission-denied", `${what}: not permitted`, because);
  }
  return new HutchError("bad-config", `${what}: ${messageOf(thrown)}`, because);
}
