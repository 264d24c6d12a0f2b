/**
 * A counter of visits as a worker on the edge (the module shape of Cloudflare Workers, which other hosts share): the nodes' addresses and
 * the token come from its environment, and a client for each request keeps nothing between requests.
 */

import { HutchClient, type Send } from "hutch/client";

export interface Environment {
  /** Addresses separated by commas. */
  readonly HUTCH_URL: string;
  readonly HUTCH_TOKEN?: string;
  /** Another way to reach the nodes, such as a binding to a private network. */
  readonly nodes?: { readonly fetch: Send };
}

/** Concurrent counts of one number: the greatest is nearest to the truth. Exact counting wants a key for each counter. */
const greatest = (siblings: readonly { readonly value: number | undefined }[]): number =>
  Math.max(...siblings.map(({ value = 0 }) => value));

// A worker is its default export.
export default {
  async fetch(request: Request, environment: Environment): Promise<Response> {
    const { nodes } = environment;
    const hutch = new HutchClient({
      urls: environment.HUTCH_URL.split(","),
      token: environment.HUTCH_TOKEN,
      timeoutMs: 2000,
      ...(nodes && { fetch: (url, init) => nodes.fetch(url, init) }),
    });
    const visits = hutch.bucket<number>("visits", { resolve: greatest });
    const { pathname } = new URL(request.url);
    const { value } = await visits.update(pathname, (count = 0) => count + 1, {
      signal: request.signal,
    });
    return new Response(`${pathname} was visited ${value} times\n`);
  },
};
