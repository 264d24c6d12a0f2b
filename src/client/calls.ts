/** How a handle's requests reach the cluster: the level, the owners of the key and the session are added, the transport does the rest. */

import type { Platform } from "./platform.ts";
import type { RingView } from "./ring-view.ts";
import type { Session } from "./session.ts";
import type { Transport, TransportCall } from "./transport.ts";
import type { CallOptions, ConsistencyLevel } from "./types.ts";
import type { WireRequest } from "./wire.ts";

export interface CallsOptions {
  readonly platform: Platform;
  readonly transport: Transport;
  /** `undefined`: any node. */
  readonly ring: RingView | undefined;
  readonly session: Session | undefined;
  readonly consistency: ConsistencyLevel | undefined;
  readonly timeoutMs: number;
  /** False where a write is sent once: it then needs no key that makes it repeatable. */
  readonly isRetrying: boolean;
}

export type Read<Answer> = (response: Response) => Promise<Answer>;

export class Calls {
  readonly #options: CallsOptions;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** The same nodes and options, with another session. */
  withSession(session: Session): Calls {
    return new Calls({ ...this.#options, session });
  }

  get sessionToken(): string {
    return this.#options.session?.token ?? "";
  }

  get platform(): Platform {
    return this.#options.platform;
  }

  /** What makes a write repeatable; "" where it is not repeated. */
  idempotencyKey(given: string | undefined): string {
    if (given !== undefined) return given;
    return this.#options.isRetrying ? this.#options.platform.newIdempotencyKey() : "";
  }

  /** A request for one key. */
  key<Answer>(
    bucket: string,
    key: string,
    request: WireRequest,
    options: CallOptions,
    read: Read<Answer>,
  ): Promise<Answer> {
    const { ring, session, transport } = this.#options;
    const isWrite = request.method === "PUT" || request.method === "DELETE";
    const call: TransportCall = {
      isWrite,
      owners: ring === undefined ? [] : ring.ownersOf(bucket, key, isWrite),
      timeoutMs: options.timeoutMs,
      signal: options.signal,
    };
    const levelled = this.#levelled(request, options);
    if (session === undefined) return transport.run(levelled, call, read);
    return this.#inSession(session, `${bucket}/${key}`, levelled, call, read);
  }

  /** A request that is not about one key. */
  any<Answer>(
    request: WireRequest,
    isWrite: boolean,
    options: CallOptions,
    read: Read<Answer>,
  ): Promise<Answer> {
    const call: TransportCall = { isWrite, timeoutMs: options.timeoutMs, signal: options.signal };
    return this.#options.transport.run(this.#levelled(request, options), call, read);
  }

  #levelled(
    request: WireRequest,
    { consistency = this.#options.consistency }: CallOptions,
  ): WireRequest {
    if (consistency === undefined) return request;
    return { ...request, headers: { ...request.headers, "X-Consistency": consistency } };
  }

  /** Waiting for the lane counts as time of the call. */
  #inSession<Answer>(
    session: Session,
    place: string,
    request: WireRequest,
    call: TransportCall,
    read: Read<Answer>,
  ): Promise<Answer> {
    const { platform, transport, timeoutMs: timeoutMsDefault } = this.#options;
    const timeoutMs = call.timeoutMs ?? timeoutMsDefault;
    const startMs = platform.nowMs();
    return session.run(place, call.signal, (token, keep) => {
      const leftMs = timeoutMs - (platform.nowMs() - startMs);
      const timed = timeoutMs === 0 ? call : { ...call, timeoutMs: Math.max(leftMs, 1) };
      const headers = { ...request.headers, "X-Session": token };
      return transport.run({ ...request, headers }, timed, (response) => {
        const next = response.headers.get("X-Session");
        if (next !== null) keep(next);
        return read(response);
      });
    });
  }
}
