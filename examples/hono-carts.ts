/**
 * Shopping carts over HTTP: a Hono application whose state is in hutch.
 *
 *   bun examples/hono-carts.ts        on port 3000, with nodes at 127.0.0.1:7001 to 7003 (`bun run cluster`)
 *   curl -X POST localhost:3000/carts/7/items -d apple
 *   curl localhost:3000/carts/7
 *
 * Two additions at the same time on two sides of a partition become siblings; the union of both is what is read next. The session's
 * token goes to the browser as a cookie, so that everybody sees their own additions at once, whichever node answers.
 */

import { Hono } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import { z } from "zod";
import { HutchClient, HutchError, json } from "hutch/client";

const Cart = z.object({ items: z.array(z.string()) });
type Cart = z.infer<typeof Cart>;

const union = (siblings: readonly { readonly value: Cart | undefined }[]): Cart => ({
  items: [...new Set(siblings.flatMap(({ value }) => value?.items ?? []))].sort(),
});

export function cartsApp(hutch: HutchClient): Hono {
  const app = new Hono();
  const cartsOf = (session: HutchClient) =>
    session.bucket("cart", { codec: json(Cart), resolve: union });

  app.get("/carts/:id", async (c) => {
    const session = hutch.withSession(getCookie(c, "hutch"));
    const cart = await cartsOf(session).get(c.req.param("id"));
    setCookie(c, "hutch", session.sessionToken, { httpOnly: true, sameSite: "Lax" });
    return c.json(cart ?? { items: [] });
  });

  app.post("/carts/:id/items", async (c) => {
    const session = hutch.withSession(getCookie(c, "hutch"));
    const item = await c.req.text();
    const { value } = await cartsOf(session).update(c.req.param("id"), (cart) => ({
      items: [...(cart?.items ?? []), item],
    }));
    setCookie(c, "hutch", session.sessionToken, { httpOnly: true, sameSite: "Lax" });
    return c.json(value, 201);
  });

  app.onError((error, c) => {
    if (!(error instanceof HutchError)) throw error;
    const isPassing = error.retry !== "no";
    return c.json({ error: error.code, retry: error.retry }, isPassing ? 503 : 500);
  });
  return app;
}

if (import.meta.main) {
  const urls = (process.env["HUTCH_URL"] ?? "http://127.0.0.1:7001,http://127.0.0.1:7002").split(
    ",",
  );
  Bun.serve({ port: 3000, fetch: cartsApp(new HutchClient({ urls })).fetch });
}
