/**
 * What the client has seen so far, carried in `X-Session`: it reads its own writes and never goes back, on any node.
 *
 * Each answer's token says what the request's token said plus what this answer showed. Two requests that start from one token end
 * with two that know nothing of each other, and only a node could merge them. So whoever shares a token takes turns:
 *
 *   one lane    one token for all: it can be handed on (a cookie, the next process), and one request is under way at a time
 *   many lanes  a token for each group of keys: what a session promises is a promise for each key, and a key is always in the same
 *               lane; requests for keys of different lanes go side by side
 *
 * Nothing is ever forgotten for want of room: the lanes are fixed, and a token holds 64 keys exactly and the rest by its floor.
 */

/** Power of two. 16 requests at a time find a lane taken once in 17 times. */
export const SESSION_LANES = 256;
const NEW_SESSION = "new";

export class Session {
  readonly #tokens: string[];
  readonly #ends: (Promise<unknown> | undefined)[];

  constructor(token: string, laneCount: number) {
    this.#tokens = new Array<string>(laneCount).fill(token === "" ? NEW_SESSION : token);
    this.#ends = new Array<undefined>(laneCount).fill(undefined);
  }

  /** The token to hand on; "" where there are many. */
  get token(): string {
    return this.#tokens.length === 1 ? this.#tokens[0]! : "";
  }

  /**
   * Runs `call` when its lane is free.
   *
   * @param call gets the token, and says what the answer's was by `keep`
   */
  async run<Answer>(
    place: string,
    signal: AbortSignal | undefined,
    call: (token: string, keep: (token: string) => void) => Promise<Answer>,
  ): Promise<Answer> {
    const lane = hashOf(place) & (this.#tokens.length - 1);
    const { promise: end, resolve: leave } = newEnd();
    const before = this.#ends[lane];
    this.#ends[lane] = before === undefined ? end : before.then(() => end);
    const own = this.#ends[lane];
    try {
      if (before !== undefined) await untilAborted(before, signal);
      return await call(this.#tokens[lane]!, (token) => void (this.#tokens[lane] = token));
    } finally {
      leave();
      if (this.#ends[lane] === own) this.#ends[lane] = undefined;
    }
  }
}

function newEnd(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

async function untilAborted(end: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return void (await end);
  signal.throwIfAborted();
  let onAbort!: () => void;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
  });
  try {
    await Promise.race([end, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** FNV-1a over UTF-16 units: only spreads keys over lanes. */
function hashOf(place: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < place.length; i++) hash = Math.imul(hash ^ place.charCodeAt(i), 0x01000193);
  return hash ^ (hash >>> 16);
}
