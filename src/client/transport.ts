/**
 * One call: attempts on one node after the other until one answers, or trying again cannot help or is not safe, or time is up.
 *
 *   attempt -> answer                                 done
 *           -> problem, retry "no"                    thrown
 *           -> problem, retry "safe..."; no answer    another node at once where one is left, else after a pause; again
 *
 * - Repeating is safe: reads change nothing, writes carry an `Idempotency-Key`, under which all attempts are one write.
 * - Pauses are full jitter: evenly in [0, cap), the cap doubling; `Retry-After` is the least that is waited before the same node is
 *   asked again. ("Exponential Backoff And Jitter", AWS architecture blog, 2015)
 * - Repetitions have a budget (`retry-budget.ts`): a cluster in trouble is not given several times its load.
 * - One deadline covers all. An attempt gets half of what is left, the last one all of it, so that a node that hangs leaves time for another.
 * - What is thrown after a write whose fate one attempt left open says so, whatever the later ones met.
 */

import { HutchError, messageOf } from "../base/errors.ts";
import { RequestError } from "./errors.ts";
import type { NodePool, PoolNode } from "./node-pool.ts";
import { type Platform, sleep } from "./platform.ts";
import { RetryBudget } from "./retry-budget.ts";
import {
  type HeaderFields,
  type WireRequest,
  addressOf,
  checkedAnswer,
  requestInit,
} from "./wire.ts";

const PAUSE_MS_MIN = 50;
const PAUSE_MS_MAX = 2000;
/** An attempt is given at least this, as long as the call has it. */
const ATTEMPT_MS_MIN = 50;
/** The node's own limit where nobody says one; a shorter one has to be told. */
const NODE_TIMEOUT_MS = 2000;
const NODE_TIMEOUT_MS_MAX = 60_000;
/** The node gives up so much earlier than we do, so that its answer says why. */
const ANSWER_MS_MAX = 100;
/** Errors of a connection that never was: nothing was sent. */
const NEVER_SENT = new Set(["ECONNREFUSED", "ConnectionRefused", "ENOTFOUND", "EAI_AGAIN"]);

export interface TransportOptions {
  readonly platform: Platform;
  readonly pool: NodePool;
  /** Attempts after the first one. */
  readonly retries: number;
  /** False: only where nobody answered, and without pauses. */
  readonly isRetryingProblems: boolean;
  /** 0: none. */
  readonly timeoutMs: number;
  /** Whether the caller chose `timeoutMs`, so that nodes are told even where it is longer than their own. */
  readonly isTimeoutTold?: boolean;
  readonly token?: string | (() => string) | undefined;
}

export interface TransportCall {
  readonly isWrite: boolean;
  /** Node ids, best first. */
  readonly owners?: readonly string[];
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

interface Running {
  readonly request: WireRequest;
  readonly call: TransportCall;
  readonly deadlineMs: number;
  readonly tried: PoolNode[];
  readonly failures: string[];
  /** An attempt of a write ended without anybody knowing what became of it. */
  isUncertain: boolean;
}

export class Transport {
  readonly #options: TransportOptions;
  readonly #budget: RetryBudget;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#budget = new RetryBudget(options.platform.nowMs());
  }

  /**
   * Sends until an answer is there, and reads it.
   *
   * @param read of the answer's body what is needed; runs within the attempt. Throws the error of a problem document
   */
  async run<Answer>(
    request: WireRequest,
    call: TransportCall,
    read: (response: Response) => Answer | Promise<Answer>,
  ): Promise<Answer> {
    const { platform, pool, timeoutMs: timeoutMsDefault } = this.#options;
    const timeoutMs = call.timeoutMs ?? timeoutMsDefault;
    const deadlineMs = timeoutMs > 0 ? platform.nowMs() + timeoutMs : Infinity;
    const running: Running = {
      request,
      call,
      deadlineMs,
      tried: [],
      failures: [],
      isUncertain: false,
    };
    call.signal?.throwIfAborted();
    this.#budget.pay();
    for (let attempt = 0; ; attempt++) {
      const node = pool.pick(call.owners ?? [], running.tried, platform.nowMs());
      try {
        return await this.#attempt(running, node, attempt, read);
      } catch (thrown) {
        await this.#afterFailure(running, node, attempt, thrown);
      }
    }
  }

  /** Returns where another attempt may follow, after the pause that it wants; else throws what the caller is told. */
  async #afterFailure(
    running: Running,
    node: PoolNode,
    attempt: number,
    thrown: unknown,
  ): Promise<void> {
    const { platform, pool, retries, isRetryingProblems } = this.#options;
    const { call, tried } = running;
    // The caller's own reason, as it is.
    if (call.signal?.aborted) throw thrown;
    const error = asRequestError(thrown, running, node.url);
    const nowMs = platform.nowMs();
    if (error.status === 0) pool.failed(node, nowMs);
    if (error.code === "shutting-down") pool.failed(node, nowMs);
    if (!tried.includes(node)) tried.push(node);
    const isRetried = error.retry !== "no" && (isRetryingProblems || error.status === 0);
    if (!isRetried || attempt >= retries) throw finalError(running, error);
    const pauseMs = isRetryingProblems ? this.#pauseMs(running, attempt, error) : 0;
    if (nowMs + pauseMs >= running.deadlineMs) throw finalError(running, error);
    if (isRetryingProblems && !this.#isAffordable(running, error)) throw finalError(running, error);
    if (error.retry === "safe-with-idempotency-key") running.isUncertain = call.isWrite;
    if (pauseMs > 0) await sleep(platform, pauseMs, call.signal);
  }

  /** Going from a node that is silent to one that is not in doubt is bounded by the bad marks, and a dead node must not cost answers. */
  #isAffordable({ tried }: Running, error: RequestError): boolean {
    const { platform, pool } = this.#options;
    const nowMs = platform.nowMs();
    return (error.status === 0 && pool.hasFresh(tried, nowMs)) || this.#budget.take(nowMs);
  }

  #pauseMs({ tried }: Running, attempt: number, error: RequestError): number {
    const { platform, pool } = this.#options;
    const isElsewhere = pool.hasFresh(tried, platform.nowMs());
    // Nobody answered and somebody else is there: waiting would help nobody.
    if (isElsewhere && error.status === 0) return 0;
    const jitterMs = platform.random() * Math.min(PAUSE_MS_MIN * 2 ** attempt, PAUSE_MS_MAX);
    return isElsewhere ? jitterMs : Math.max(jitterMs, error.retryAfterMs);
  }

  async #attempt<Answer>(
    running: Running,
    node: PoolNode,
    attempt: number,
    read: (response: Response) => Answer | Promise<Answer>,
  ): Promise<Answer> {
    const { platform, pool } = this.#options;
    const { request, call, deadlineMs } = running;
    const budgetMs = this.#budgetMs(deadlineMs, attempt);
    const exchange = async (signal: AbortSignal | undefined): Promise<Answer> => {
      const init = requestInit(request, this.#headers(call, budgetMs), signal);
      const response = checkedAnswer(
        await platform.send(addressOf(node.url, request), init),
        node.url,
      );
      pool.answered(node, response.headers.get("X-Node"));
      return read(response);
    };
    if (budgetMs === Infinity && call.signal === undefined) return exchange(undefined);
    return within(platform, budgetMs, call.signal, exchange, () => timeoutError(running, budgetMs));
  }

  #budgetMs(deadlineMs: number, attempt: number): number {
    const leftMs = deadlineMs - this.#options.platform.nowMs();
    if (deadlineMs === Infinity || attempt >= this.#options.retries) return Math.max(leftMs, 1);
    return Math.max(leftMs / 2, Math.min(leftMs, ATTEMPT_MS_MIN), 1);
  }

  #headers(call: TransportCall, budgetMs: number): HeaderFields {
    const { token, isTimeoutTold = false } = this.#options;
    const bearer = typeof token === "function" ? token() : token;
    // A read that says nothing special may be answered from what the node keeps ready.
    const isChosen = call.timeoutMs === undefined ? isTimeoutTold : true;
    const isTold = budgetMs < NODE_TIMEOUT_MS || (isChosen && budgetMs !== Infinity);
    return {
      Authorization: bearer === undefined || bearer === "" ? undefined : `Bearer ${bearer}`,
      "X-Timeout": isTold ? nodeTimeout(budgetMs) : undefined,
    };
  }
}

function nodeTimeout(budgetMs: number): string {
  const ownMs = Math.max(Math.floor(budgetMs - Math.min(ANSWER_MS_MAX, budgetMs / 10)), 1);
  return `${Math.min(ownMs, NODE_TIMEOUT_MS_MAX)}ms`;
}

/** Also ends where `exchange` does not listen to its signal. */
function within<Answer>(
  platform: Platform,
  budgetMs: number,
  signal: AbortSignal | undefined,
  exchange: (signal: AbortSignal) => Promise<Answer>,
  timeoutErrorOf: () => RequestError,
): Promise<Answer> {
  const controller = new AbortController();
  return new Promise((resolve, reject) => {
    const end = (): void => {
      cancel();
      signal?.removeEventListener("abort", onAbort);
    };
    const giveUp = (reason: unknown): void => {
      end();
      reject(reason);
      controller.abort(reason);
    };
    const onAbort = (): void => giveUp(signal!.reason);
    const cancel =
      budgetMs === Infinity
        ? () => undefined
        : platform.alarm(budgetMs, () => giveUp(timeoutErrorOf()));
    signal?.addEventListener("abort", onAbort, { once: true });
    exchange(controller.signal).then(
      (answer) => {
        end();
        resolve(answer);
      },
      (thrown) => {
        end();
        reject(thrown);
      },
    );
  });
}

function timeoutError({ request, call }: Running, budgetMs: number): RequestError {
  const detail = `Cannot ${request.method} ${request.path}: no answer within ${Math.round(budgetMs)} ms`;
  return call.isWrite
    ? new RequestError("write-indeterminate", detail, { retry: "safe-with-idempotency-key" })
    : new RequestError("read-timeout", detail, { retry: "safe" });
}

/** What a failed attempt comes to. A broken connection is told with all the addresses that were tried. */
function asRequestError(thrown: unknown, running: Running, url: string): RequestError {
  if (thrown instanceof RequestError) return thrown;
  if (thrown instanceof HutchError)
    return new RequestError(thrown.code, thrown.message, { status: -1, cause: thrown });
  const failure = `${url} (${reasonOf(thrown)})`;
  if (!running.failures.includes(failure)) running.failures.push(failure);
  const isSafe = !running.call.isWrite || (!running.isUncertain && wasNeverSent(thrown));
  return new RequestError(
    "node-unreachable",
    `Cannot reach a node: no answer from ${running.failures.join(", ")}`,
    { retry: isSafe ? "safe" : "safe-with-idempotency-key", cause: thrown },
  );
}

/** Node says "fetch failed" and keeps what happened in the cause. */
function reasonOf(thrown: unknown): string {
  const { cause } = thrown as { cause?: unknown };
  return cause instanceof Error && cause.message !== "" ? cause.message : messageOf(thrown);
}

function wasNeverSent(thrown: unknown): boolean {
  const { code, cause } = thrown as { code?: unknown; cause?: { code?: unknown } };
  return NEVER_SENT.has(String(code)) || NEVER_SENT.has(String(cause?.code));
}

function finalError({ isUncertain, request }: Running, error: RequestError): RequestError {
  if (!isUncertain || error.retry === "safe-with-idempotency-key") return error;
  return new RequestError(
    "write-indeterminate",
    `Cannot tell whether ${request.method} ${request.path} was done: an earlier attempt was not answered, the last one was: ${error.message}`,
    {
      status: error.status,
      requestId: error.requestId,
      retry: "safe-with-idempotency-key",
      cause: error,
    },
  );
}
