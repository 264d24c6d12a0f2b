/** `GET /v1/admin/live`: what the node tells once a second, for as long as somebody listens. */
import { requireType } from "./accept.ts";
import { baseHeaders } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import type { Route } from "./route.ts";

const EVENT_STREAM = "text/event-stream";
/** A frame comes every second; a connection that takes none for so long is gone. */
const SILENCE_SECONDS = 60;

/** Hot keys are of all buckets, so nobody listens whose token is good for some only. */
const RULE = { role: "read", checksScopes: false } as const;

function getLive(exchange: Exchange): Response {
  requireType(exchange.header("accept"), [EVENT_STREAM]);
  const headers = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    // Said to proxies that would gather the events first.
    "X-Accel-Buffering": "no",
    ...baseHeaders(exchange),
  };
  if (exchange.request.method === "HEAD") return new Response(null, { headers });
  const { access, live } = exchange.services;
  const stream = live.open(access?.standing(exchange.request, RULE), exchange.grant?.id);
  exchange.allowSilence(SILENCE_SECONDS);
  return new Response(stream, { headers });
}

export const liveRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/v1/admin/live",
    ...RULE,
    summary: "Nodes, rates, latency, repair and hot keys, once a second, as server-sent events",
    answers: { 200: "events of the kind `sample`" },
    problems: ["not-acceptable", "overloaded", "shutting-down"],
    handle: getLive,
  },
];
