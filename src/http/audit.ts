/**
 * Who did what, and who was not let in (FAULTS.md Q21, Q22): one line each, in the log and where the operator wants them kept.
 *
 * A line has the token's id, never the token; the route, never a key or a value. Whoever knocks without a token could fill a disk: of refusals
 * at most `REFUSALS_PER_SECOND` are written, and the next one says how many were not.
 */
import { HutchError } from "../base/errors.ts";
import type { Clock } from "../ports/clock.ts";
import type { LogFields, Logger } from "../ports/logger.ts";
import type { Exchange } from "./exchange.ts";
import { Meter } from "./grant.ts";
import { PROBLEM_KINDS, restCodeOf } from "./problem.ts";
import type { Handler, Route } from "./route.ts";

const REFUSALS_PER_SECOND = 10;
const PATH_CHARACTERS = 256;
/** Who did it where nobody has to say who he is. */
const ANYBODY = "anybody";

/** Keeps a line besides the log. */
export type AuditSink = (event: string, fields: LogFields) => void;

export class Audit {
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #sink: AuditSink;
  readonly #refusals = new Meter(REFUSALS_PER_SECOND);
  #unwritten = 0;

  constructor(logger: Logger, clock: Clock, sink: AuditSink = () => undefined) {
    this.#logger = logger;
    this.#clock = clock;
    this.#sink = sink;
  }

  /** `handle`, with a line about each request that it answered. */
  around(handle: Handler): Handler {
    return async (exchange, context) => {
      try {
        const response = await handle(exchange, context);
        this.#acted(exchange, response.status);
        return response;
      } catch (thrown) {
        this.#acted(exchange, PROBLEM_KINDS[restCodeOf(thrown)].status);
        throw thrown;
      }
    };
  }

  /** Whatever was thrown; only what kept somebody out is written. */
  refused(exchange: Exchange, route: string, thrown: unknown): void {
    if (!(thrown instanceof HutchError)) return;
    if (thrown.code !== "unauthenticated" && thrown.code !== "forbidden") return;
    if (this.#refusals.take(this.#clock.monoMs()) > 0) {
      this.#unwritten++;
      return;
    }
    const fields = {
      code: thrown.code,
      who: exchange.grant?.id ?? ANYBODY,
      from: exchange.clientAddress,
      route,
      requestId: exchange.id,
      ...(this.#unwritten > 0 ? { unwritten: this.#unwritten } : {}),
    };
    this.#unwritten = 0;
    this.#logger.warn("access_refused", fields);
    this.#sink("access_refused", fields);
  }

  #acted(exchange: Exchange, status: number): void {
    const fields = {
      who: exchange.grant?.id ?? ANYBODY,
      from: exchange.clientAddress,
      act: `${exchange.request.method} ${exchange.path.slice(0, PATH_CHARACTERS)}`,
      status,
      requestId: exchange.id,
    };
    this.#logger.info("admin_act", fields);
    this.#sink("admin_act", fields);
  }
}

/** Acts of administration: what only an admin may do and what does more than show. */
export function isAct({ role, method }: Route): boolean {
  return role === "admin" && method !== "GET";
}
