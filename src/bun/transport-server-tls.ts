/**
 * The side that lets links in, with TLS: a server of `node:http2`, which shows the certificate of the other side; `Bun.serve` would check it and not
 * tell whose it is (BUN.md).
 *
 * Whoever has no certificate of the cluster's authority ends in the handshake, counted; after it everything is as in `transport-server.ts`.
 */
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../ports/logger.ts";
import { type AcceptedLink, HELLO_BYTES_MAX } from "../ports/transport.ts";
import { formatPeerAddress } from "./peer-address.ts";
import { decodeHello, HELLO_HEADER, PEER_PATH } from "./peer-http.ts";
import { namesOf, type PeerTls, TLS_VERSION_MIN } from "./peer-tls.ts";
import { StreamLink } from "./transport-link.ts";
import { type Accept, LINKS_MAX, type LinkServer, NOBODY_YET } from "./transport-server.ts";

/** A connection that has opened no link by then is closed. */
const HANDSHAKE_MS = 5000;
/** As on the side that opens links. */
const WINDOW_BYTES = 16 * 1024 * 1024;
/** A link is one stream; a second one at most asks for nothing and is refused. */
const STREAMS_MAX = 4;

export interface TlsPeerServerOptions {
  readonly hostname: string;
  readonly port: number;
  readonly logger: Logger;
  readonly tls: PeerTls;
}

export class TlsPeerServer implements LinkServer {
  accept: Accept = NOBODY_YET;
  /** Connections that ended in the handshake. */
  refusedHandshakes = 0;
  private readonly server: http2.Http2SecureServer;
  private readonly logger: Logger;
  private readonly sessions = new Set<http2.ServerHttp2Session>();
  private readonly links = new Set<StreamLink>();

  private constructor({ logger, tls }: TlsPeerServerOptions) {
    this.logger = logger;
    this.server = http2.createSecureServer({
      ...wantsOf(tls),
      handshakeTimeout: HANDSHAKE_MS,
      settings: { initialWindowSize: WINDOW_BYTES, maxConcurrentStreams: STREAMS_MAX },
    });
    this.server.maxConnections = LINKS_MAX;
    this.server.on("tlsClientError", (error) => this.refusedHandshake(error));
    this.server.on("session", (session) => this.met(session));
    this.server.on("stream", (stream, headers) => {
      // The types know no more of it than what both sides have.
      this.asked(stream as http2.ServerHttp2Stream, headers);
    });
  }

  /** Rejects with an error of the system when the port cannot be had. */
  static async listen(options: TlsPeerServerOptions): Promise<TlsPeerServer> {
    const server = new TlsPeerServer(options);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    server.server.once("error", reject);
    server.server.listen({ host: options.hostname, port: options.port, exclusive: true }, resolve);
    await promise;
    server.server.on("error", (error) => {
      options.logger.error("peer_server_failed", { message: messageOf(error) });
    });
    return server;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port; // it listens on a port
  }

  /** For connections from now on. */
  setTls(tls: PeerTls): void {
    this.server.setSecureContext(wantsOf(tls));
  }

  async close(): Promise<void> {
    this.server.close();
    for (const link of this.links) link.close();
    for (const session of this.sessions) session.destroy();
  }

  private refusedHandshake(error: Error): void {
    this.refusedHandshakes++;
    this.logger.debug("peer_handshake_refused", { reason: error.message });
  }

  private met(session: http2.ServerHttp2Session): void {
    this.sessions.add(session);
    session.setLocalWindowSize(WINDOW_BYTES);
    session.on("close", () => this.sessions.delete(session));
    session.on("error", (error) => {
      this.logger.debug("peer_session_failed", { message: error.message });
    });
    session.setTimeout(HANDSHAKE_MS, () => session.destroy());
  }

  private asked(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
    stream.on("error", () => stream.session?.destroy());
    const isLink = headers[":method"] === "POST" && headers[":path"] === PEER_PATH;
    if (!isLink) return refuse(stream, 404);
    const header = headers[HELLO_HEADER];
    const hello = decodeHello(typeof header === "string" ? header : null, HELLO_BYTES_MAX);
    if (hello === undefined) return refuse(stream, 400);
    // The session is there as long as the stream is, and its socket is the one that it was made on.
    const socket = stream.session!.socket as TLSSocket;
    const certified = namesOf(socket.getPeerCertificate());
    const from = formatPeerAddress(socket.remoteAddress ?? "", socket.remotePort ?? 0);
    const answer = this.accept(hello, from, certified);
    if (answer.kind === "refused") return refuse(stream, answer.status, answer.body);
    this.serve(stream, answer, certified);
  }

  private serve(
    stream: http2.ServerHttp2Stream,
    answer: AcceptedLink,
    certified: readonly string[],
  ): void {
    const session = stream.session!; // as above
    session.setTimeout(0);
    const link = new StreamLink();
    link.certified = certified;
    this.links.add(link);
    stream.on("data", (chunk: Uint8Array) => link.received(chunk));
    stream.on("end", () => link.end("closed by the peer"));
    stream.on("close", () => link.end("the peer has gone"));
    session.on("close", () => link.end("the peer has gone"));
    stream.respond({ ":status": 200 });
    link.send(answer.hello);
    link.begin((self) => answer.open(self));
    link.attach({
      write: (bytes, taken) => void stream.write(bytes, taken),
      end: () => {
        this.links.delete(link);
        stream.end(() => session.destroy());
      },
    });
  }
}

function wantsOf(tls: PeerTls) {
  const minVersion = TLS_VERSION_MIN;
  return { ...tls, requestCert: true, rejectUnauthorized: true, minVersion } as const;
}

function refuse(stream: http2.ServerHttp2Stream, status: number, body?: Uint8Array): void {
  stream.respond({ ":status": status });
  stream.end(body);
}
