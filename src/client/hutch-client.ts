/**
 * The client of applications.
 *
 *   const client = new HutchClient({ urls: ["http://127.0.0.1:7001", "http://127.0.0.1:7002"] });
 *   const carts = client.bucket<Cart>("cart");
 *   await carts.put("7", { items: ["apple"] });
 *
 * One client for a process: it holds what is known of the nodes. Nothing of it has to be closed; it keeps no timer and no connection
 * of its own. Without dependencies, and with what browsers, Workers, Deno, Node 20 and Bun have in common.
 */

import { Bucket, type BucketOptions } from "./bucket.ts";
import { Calls } from "./calls.ts";
import { json } from "./codecs.ts";
import { RequestError } from "./errors.ts";
import { NodePool } from "./node-pool.ts";
import type { Platform } from "./platform.ts";
import { readJson } from "./readings.ts";
import { RingView } from "./ring-view.ts";
import { SESSION_LANES, Session } from "./session.ts";
import { Transport } from "./transport.ts";
import type { CallOptions, ConsistencyLevel } from "./types.ts";
import { webPlatform } from "./web-platform.ts";
import type { Send } from "./wire.ts";

const TIMEOUT_MS_DEFAULT = 10_000;
const RETRIES_DEFAULT = 3;

export interface HutchClientOptions {
  /** Base addresses such as `http://127.0.0.1:7001`, at least one: of nodes, or of what balances load before them. */
  readonly urls: readonly string[];
  /** Of the `Authorization` header; a function is asked for each attempt. */
  readonly token?: string | (() => string) | undefined;
  /** Default: the global one. */
  readonly fetch?: Send | undefined;
  /** For a whole call with all its attempts; 0: for as long as it takes. Default: 10 s. */
  readonly timeoutMs?: number | undefined;
  /** Attempts after the first one. Default: 3; 0: every call is sent once. */
  readonly retries?: number | undefined;
  /** Of calls and handles that say none. Default: what the bucket says, else QUORUM. */
  readonly consistency?: ConsistencyLevel | undefined;
  /** `true`: reads its own writes and never goes back. A token or "new": the same with one token that can be handed on. */
  readonly session?: boolean | string | undefined;
  /** `owner`: straight to a node that owns the key. `any`: to each node in turn. Default: `owner` where several addresses are given. */
  readonly routing?: "owner" | "any" | undefined;
  /** Time and chance, for tests. */
  readonly platform?: Partial<Platform> | undefined;
}

export class HutchClient {
  readonly #calls: Calls;

  constructor(options: HutchClientOptions, calls: Calls = callsOf(options)) {
    this.#calls = calls;
  }

  /** A handle on a bucket whose values are JSON, taken on trust to be of this type. */
  bucket<Value = unknown>(
    name: string,
    options?: Omit<BucketOptions<Value>, "codec">,
  ): Bucket<Value>;
  /** A handle on a bucket whose values go through a codec. */
  bucket<Value, Input>(name: string, options: BucketOptions<Value, Input>): Bucket<Value, Input>;
  bucket(
    name: string,
    options: Partial<BucketOptions<unknown, unknown>> = {},
  ): Bucket<unknown, unknown> {
    return new Bucket(name, this.#calls, { codec: json(), ...options });
  }

  /** The same client in a session of its own, whose token can be handed on. `token` is one that was, "" or none for a new session. */
  withSession(token = ""): HutchClient {
    return new HutchClient({ urls: [] }, this.#calls.withSession(new Session(token, 1)));
  }

  /** To go on with this session elsewhere; "" where there is none, or where it has no single token (`session: true`). */
  get sessionToken(): string {
    return this.#calls.sessionToken;
  }

  /** Any other JSON answer of a node, such as `/v1/cluster`. */
  json(path: string, options: CallOptions = {}): Promise<unknown> {
    return this.#calls.any({ method: "GET", path }, false, options, readJson);
  }
}

function callsOf(options: HutchClientOptions): Calls {
  const { urls, timeoutMs = TIMEOUT_MS_DEFAULT, retries = RETRIES_DEFAULT, token } = options;
  checkOptions(options);
  const platform: Platform = {
    ...webPlatform,
    ...(options.fetch === undefined ? {} : { send: options.fetch }),
    ...options.platform,
  };
  // Many clients that start at once do not all begin with the first address.
  const pool = new NodePool(urls, "spread", Math.floor(platform.random() * urls.length));
  const transport = new Transport({
    platform,
    pool,
    retries,
    isRetryingProblems: true,
    timeoutMs,
    isTimeoutTold: options.timeoutMs !== undefined,
    token,
  });
  const { routing = urls.length > 1 ? "owner" : "any" } = options;
  return new Calls({
    platform,
    transport,
    ring: routing === "owner" ? ringOf(urls[0]!, pool, platform, transport) : undefined,
    session: sessionOf(options.session),
    consistency: options.consistency,
    timeoutMs,
    isRetrying: retries > 0,
  });
}

function ringOf(url: string, pool: NodePool, platform: Platform, transport: Transport): RingView {
  return new RingView({
    pool,
    platform,
    protocol: new URL(url).protocol,
    readJson: (path) => transport.run({ method: "GET", path }, { isWrite: false }, readJson),
  });
}

function sessionOf(session: boolean | string | undefined): Session | undefined {
  if (typeof session === "string") return new Session(session, 1);
  return session === true ? new Session("", SESSION_LANES) : undefined;
}

function checkOptions({ urls, timeoutMs = 0, retries = 0 }: HutchClientOptions): void {
  const wrong = urls.find((url) => !URL.canParse(url) || !/^https?:\/\//.test(url));
  if (urls.length === 0 || wrong !== undefined)
    throw new RequestError(
      "bad-config",
      `Cannot make a client: urls ${JSON.stringify(urls)}: want at least one, all http:// or https://`,
    );
  if (!(timeoutMs >= 0) || !Number.isInteger(retries) || retries < 0)
    throw new RequestError(
      "bad-config",
      `Cannot make a client: timeoutMs ${timeoutMs}, retries ${retries}: want numbers from 0`,
    );
}
