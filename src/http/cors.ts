/**
 * Pages of other origins, where the operator allows them (Fetch standard, "CORS protocol"): the browser's question before a request is answered,
 * and every answer says that the page may read it. Without such origins none of this runs.
 *
 * No cookies are used, so credentials are never allowed: a page has to bring its token itself.
 */
const METHODS = "GET, HEAD, PUT, POST, PATCH, DELETE";
/** Browsers may keep what they were told for this long. */
const KEPT_SECONDS = 600;

export class Cors {
  readonly #origins: ReadonlySet<string>;

  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
  }

  /** The answer to `request`, which `answer` makes, as a page of an allowed origin may read it. */
  around(
    request: Request,
    answer: () => Response | Promise<Response>,
  ): Response | Promise<Response> {
    const origin = request.headers.get("origin");
    if (origin === null || !this.#origins.has(origin)) return answer();
    if (request.method === "OPTIONS") return mayAsk(request, origin);
    const response = answer();
    return response instanceof Promise
      ? response.then((settled) => readable(settled, origin))
      : readable(response, origin);
  }
}

function mayAsk(request: Request, origin: string): Response {
  const wanted = request.headers.get("access-control-request-headers");
  return new Response(null, {
    status: 204,
    headers: {
      "Access-Control-Allow-Origin": origin,
      "Access-Control-Allow-Methods": METHODS,
      // Any header may be sent: what a header does is decided where it is read.
      ...(wanted === null ? {} : { "Access-Control-Allow-Headers": wanted }),
      "Access-Control-Max-Age": String(KEPT_SECONDS),
      Vary: "Origin, Access-Control-Request-Headers",
    },
  });
}

function readable(response: Response, origin: string): Response {
  const { headers } = response;
  const names = [...headers.keys()];
  headers.set("Access-Control-Allow-Origin", origin);
  headers.set("Access-Control-Expose-Headers", names.join(", "));
  headers.append("Vary", "Origin");
  return response;
}
