/**
 * The side that lets links in: `Bun.serve` with HTTP/2 on the peer port.
 *
 * A link is one POST whose body and answer both stay open. Nothing else is served here; whatever a stranger asks for is 404 or 400, and the
 * routes of clients do not exist. A peer that vanishes is told by `request.signal` as soon as its system says so.
 */
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../ports/logger.ts";
import type { AcceptedLink, PeerAddress, RefusedLink } from "../ports/transport.ts";
import { HELLO_BYTES_MAX } from "../ports/transport.ts";
import { formatPeerAddress } from "./peer-address.ts";
import { decodeHello, HELLO_HEADER, PEER_PATH } from "./peer-http.ts";
import { StreamLink } from "./transport-link.ts";

/** Links that others may have opened to us; more are refused with 503. */
export const LINKS_MAX = 4096;
/** A connection on which nothing is asked for is closed after this; Bun takes up to twice as long. */
const HANDSHAKE_SECONDS = 5;
/** A link carries at most a petabyte; whoever asks opens the next. */
const STREAM_BYTES_MAX = 2 ** 50;

/** @param certified names that the certificate of the other side vouches for; undefined without TLS */
export type Accept = (
  hello: Uint8Array,
  from: PeerAddress,
  certified?: readonly string[],
) => AcceptedLink | RefusedLink;

/** What listens for links, with TLS or without. */
export interface LinkServer {
  accept: Accept;
  readonly port: number;
  /** Ends all links. */
  close(): Promise<void>;
}

export const NOBODY_YET: Accept = () => ({
  kind: "refused",
  status: 503,
  body: new Uint8Array(0),
});

export interface PeerServerOptions {
  /** Numeric. */
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly logger: Logger;
}

/** Bun's controller of a direct stream, as far as it is used: `write` says how much it took, or promises to take all. */
interface DirectController {
  write(bytes: Uint8Array): number | Promise<number>;
  flush(): unknown;
  close(): void;
}

/** A reader of a body. */
interface ByteSource {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
}

export class PeerServer implements LinkServer {
  accept = NOBODY_YET;
  private readonly server: Bun.Server<undefined>;
  private readonly logger: Logger;
  private readonly links = new Set<StreamLink>();

  /** Throws an error of the system when the port cannot be had. */
  constructor(options: PeerServerOptions) {
    this.logger = options.logger;
    this.server = Bun.serve({
      hostname: options.hostname,
      port: options.port,
      http2: true,
      development: false,
      reusePort: false,
      idleTimeout: HANDSHAKE_SECONDS,
      maxRequestBodySize: STREAM_BYTES_MAX,
      fetch: (request, server) => this.answer(request, server),
      error: (error) => {
        this.logger.error("peer_request_failed", { message: messageOf(error) });
        return new Response(null, { status: 500 });
      },
    });
  }

  get port(): number {
    // Only servers on Unix sockets have none.
    return this.server.port!;
  }

  async close(): Promise<void> {
    for (const link of this.links) link.close();
    await this.server.stop(true);
  }

  private answer(request: Request, server: Bun.Server<undefined>): Response {
    if (!URL.canParse(request.url)) return new Response(null, { status: 400 });
    const isLink = request.method === "POST" && new URL(request.url).pathname === PEER_PATH;
    if (!isLink) return new Response(null, { status: 404 });
    const hello = decodeHello(request.headers.get(HELLO_HEADER), HELLO_BYTES_MAX);
    // A body over HTTP/1 announces itself with one of these; ours, over HTTP/2, with none.
    const isOld = request.headers.has("transfer-encoding") || request.headers.has("content-length");
    if (hello === undefined || isOld || request.body === null) {
      return new Response(null, { status: 400 });
    }
    return this.meet(request, request.body, hello, server);
  }

  private meet(
    request: Request,
    body: ReadableStream<Uint8Array>,
    hello: Uint8Array,
    server: Bun.Server<undefined>,
  ): Response {
    if (this.links.size >= LINKS_MAX) {
      this.logger.warn("peer_links_full", { links: LINKS_MAX });
      return new Response(null, { status: 503 });
    }
    const source = server.requestIP(request);
    const from = source === null ? "" : formatPeerAddress(source.address, source.port);
    const answer = this.accept(hello, from);
    if (answer.kind === "refused") {
      return new Response(answer.body.slice(), { status: answer.status });
    }
    server.timeout(request, 0);
    return new Response(this.serve(request, body, answer));
  }

  /** Opens the link; what it sends is the answer's body. */
  private serve(
    request: Request,
    body: ReadableStream<Uint8Array>,
    answer: AcceptedLink,
  ): ReadableStream {
    const link = new StreamLink();
    const ended = Promise.withResolvers<void>();
    this.links.add(link);
    const reader = body.getReader();
    request.signal.addEventListener("abort", () => link.end("the peer has gone"));
    const end = (): void => {
      this.links.delete(link);
      // It may have ended by itself, with an error.
      reader.cancel().catch(() => undefined);
      ended.resolve();
    };
    const source = {
      type: "direct" as const,
      /** The stream is open until the promise settles. */
      pull: (controller: DirectController): Promise<void> => {
        attach(link, controller, end);
        return ended.promise;
      },
      cancel: () => link.end("the peer has gone"),
    };
    link.send(answer.hello);
    link.begin((self) => answer.open(self));
    void receiveAll(link, reader);
    return new ReadableStream(source);
  }
}

function attach(link: StreamLink, controller: DirectController, end: () => void): void {
  link.attach({
    write: (bytes, taken) => {
      const outcome = controller.write(bytes);
      controller.flush();
      if (typeof outcome === "number") taken();
      else outcome.then(taken, () => link.end("the peer has gone"));
    },
    end: () => {
      controller.close();
      end();
    },
  });
}

async function receiveAll(link: StreamLink, reader: ByteSource): Promise<void> {
  for (;;) {
    const { done, value } = await reader.read().catch(() => ENDED);
    if (done || value === undefined) return link.end("closed by the peer");
    link.received(value);
  }
}

const ENDED = { done: true, value: undefined } as const;
