/**
 * The side that opens links: one `node:http2` session, with one stream, for each.
 *
 * A session of its own makes ends simple: whatever happens to stream, session or socket ends the link, and ending the link destroys all
 * three. The other node never has to drain anything of us.
 */
import * as http2 from "node:http2";
import * as net from "node:net";
import * as tls from "node:tls";
import type { Link, LinkEvents, PeerAddress } from "../ports/transport.ts";
import { HELLO_BYTES_MAX, LinkRefusedError } from "../ports/transport.ts";
import { formatPeerAddress, type HostAndPort } from "./peer-address.ts";
import { encodeHello, HELLO_HEADER, PEER_PATH } from "./peer-http.ts";
import { namesOf, type PeerTls, TLS_VERSION_MIN } from "./peer-tls.ts";
import { StreamLink } from "./transport-link.ts";

/** Of a stream and of its connection. They must be equal: the runtime renews the window of a stream only by that of the connection. */
const WINDOW_BYTES = 16 * 1024 * 1024;
/** Of a refusal; what is longer is cut. */
const REFUSAL_BYTES_MAX = 64 * 1024;

export interface Dial {
  readonly target: HostAndPort;
  /** Where the connection comes from; undefined leaves it to the system. */
  readonly localAddress: string | undefined;
  readonly hello: Uint8Array;
  readonly timeoutMs: number;
  readonly tls: PeerTls | undefined;
  readonly open: (link: Link) => LinkEvents;
}

/** An attempt to open a link, and the connection under it. */
export class PeerConnection {
  /** Settles with the hello of the other side. */
  readonly opened: Promise<Uint8Array>;
  private readonly address: PeerAddress;
  private readonly dial: Dial;
  private readonly link = new StreamLink((hello) => this.welcomed(hello));
  private readonly session: http2.ClientHttp2Session;
  private readonly stream: http2.ClientHttp2Stream;
  private readonly timer: ReturnType<typeof setTimeout>;
  private readonly outcome = Promise.withResolvers<Uint8Array>();
  private readonly onEnded: () => void;
  private isEnded = false;
  /** The operating system's name for what ended the connection, `ECONNREFUSED`. */
  private systemCode: string | undefined;

  /** @param onEnded called once, with the end of the link or of the attempt to open it */
  constructor(dial: Dial, onEnded: () => void) {
    this.dial = dial;
    this.onEnded = onEnded;
    this.opened = this.outcome.promise;
    this.address = formatPeerAddress(dial.target.host, dial.target.port);
    this.session = connectSession(dial, this.address, (code) => (this.systemCode = code));
    this.stream = this.session.request(
      { ":method": "POST", ":path": PEER_PATH, [HELLO_HEADER]: encodeHello(dial.hello) },
      { endStream: false },
    );
    this.timer = setTimeout(
      () => this.end(`no answer within ${dial.timeoutMs} ms`),
      dial.timeoutMs,
    );
    this.listen();
  }

  end(reason: string): void {
    if (this.isEnded) return;
    this.isEnded = true;
    clearTimeout(this.timer);
    this.session.destroy();
    this.link.end(reason);
    // Does nothing when it was open.
    this.outcome.reject(this.failure(reason));
    this.onEnded();
  }

  /** Who is told that a connection was refused knows that no process is there (R25). */
  private failure(reason: string): Error {
    const { address, systemCode } = this;
    if (systemCode === undefined) return new Error(`Cannot connect to "${address}": ${reason}`);
    const error = new Error(`Cannot connect to "${address}": ${systemCode}`);
    return Object.assign(error, { code: systemCode });
  }

  private listen(): void {
    const { session, stream } = this;
    session.on("connect", () => session.setLocalWindowSize(WINDOW_BYTES));
    session.on("error", (error) => this.end(error.message));
    session.on("close", () => this.end("the connection is closed"));
    session.on("goaway", () => this.end("the peer goes away"));
    stream.on("error", (error) => this.end(error.message));
    stream.on("aborted", () => this.end("reset by the peer"));
    stream.on("close", () => this.end("closed by the peer"));
    stream.on("response", (headers) => this.answered(headers));
  }

  private answered(headers: http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader): void {
    const status = headers[":status"] ?? 0;
    if (status !== 200) return this.refused(status);
    const { stream, link } = this;
    stream.on("data", (chunk: Uint8Array) => link.received(chunk));
    stream.on("end", () => this.end("closed by the peer"));
  }

  private welcomed(hello: Uint8Array): void {
    if (hello.length > HELLO_BYTES_MAX) return this.end("the hello is too long");
    clearTimeout(this.timer);
    const { stream, link } = this;
    if (this.dial.tls !== undefined) link.certified = certifiedBy(this.session);
    link.begin(this.dial.open);
    this.outcome.resolve(hello);
    link.attach({
      write: (bytes, taken) => void stream.write(bytes, taken),
      end: () => this.end("closed"),
    });
  }

  private refused(status: number): void {
    const chunks: Uint8Array[] = [];
    let byteCount = 0;
    const refuse = (): void => {
      const body = Buffer.concat(chunks).subarray(0, REFUSAL_BYTES_MAX);
      this.outcome.reject(new LinkRefusedError(status, new Uint8Array(body)));
      this.end("refused");
    };
    this.stream.on("data", (chunk: Uint8Array) => {
      chunks.push(chunk);
      byteCount += chunk.length;
      if (byteCount >= REFUSAL_BYTES_MAX) refuse();
    });
    this.stream.on("end", refuse);
  }
}

function connectSession(
  dial: Dial,
  address: PeerAddress,
  onFailure: (systemCode: string | undefined) => void,
): http2.ClientHttp2Session {
  return http2.connect(`${dial.tls === undefined ? "http" : "https"}://${address}`, {
    settings: { enablePush: false, initialWindowSize: WINDOW_BYTES },
    createConnection: () => {
      const { target, localAddress } = dial;
      const where = {
        host: target.host,
        port: target.port,
        noDelay: true,
        ...(localAddress === undefined ? {} : { localAddress }),
      };
      const socket = dial.tls === undefined ? net.connect(where) : connectTls(where, dial.tls);
      // Before the session hears of it: that one tells its streams only that they are over.
      socket.on("error", (error: NodeJS.ErrnoException) => onFailure(error.code));
      return socket;
    },
  });
}

/** The name that has to be in the certificate is that of the node, which its hello tells: addresses have no part in it. */
function connectTls(where: net.TcpNetConnectOpts, files: PeerTls): tls.TLSSocket {
  return tls.connect({
    ...where,
    ...files,
    minVersion: TLS_VERSION_MIN,
    ALPNProtocols: ["h2"],
    rejectUnauthorized: true,
    checkServerIdentity: () => undefined,
  });
}

function certifiedBy(session: http2.ClientHttp2Session): readonly string[] {
  // The session was made on the socket of `connectTls`.
  return namesOf((session.socket as tls.TLSSocket).getPeerCertificate());
}
