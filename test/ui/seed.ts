/** Data that look like somebody's, for pictures of the dashboard: carts, users, sessions, one conflict. */
import { expect } from "bun:test";
import type { ClusterProcess } from "../e2e/node-process.ts";
import { put } from "../support/cluster-eyes.ts";

const NAMES = ["ada", "barbara", "edsger", "frances", "grace", "john", "leslie", "margaret"];

async function stored(answer: Promise<Response>): Promise<string> {
  const { status, headers } = await answer;
  expect(status).toBe(204);
  return headers.get("x-causal-context")!;
}

const json = { "Content-Type": "application/json" };

export async function seedDashboard(cluster: ClusterProcess): Promise<void> {
  const at = (key: string): string => cluster.key(0, "shop", key);
  for (const [index, name] of NAMES.entries()) {
    const user = { name, city: "Ulm", orders: index };
    await stored(put(at(`users/${name}`), JSON.stringify(user), json));
    await stored(put(at(`carts/${name}`), JSON.stringify({ items: ["tea"] }), json));
    await stored(put(at(`sessions/${name}`), "open", { "X-TTL": `${20 + index}m` }));
  }
  const before = { items: [{ sku: "tea", count: 1 }] };
  const context = await stored(put(at("carts/ada"), JSON.stringify(before), json));
  const left = {
    items: [
      { sku: "tea", count: 1 },
      { sku: "honey", count: 2 },
    ],
  };
  const right = { items: [{ sku: "tea", count: 3 }] };
  for (const value of [left, right])
    await stored(
      put(at("carts/ada"), JSON.stringify(value), {
        ...json,
        "X-Causal-Context": context,
        "X-Meta-Device": value === left ? "phone" : "laptop",
      }),
    );
}

/** Reads and writes, more and less of them in turn, so that there are curves and hot keys to see. */
export async function browseShop(cluster: ClusterProcess, durationMs: number): Promise<void> {
  const startMs = performance.now();
  for (let i = 0; performance.now() - startMs < durationMs; i++) {
    const name = NAMES[Math.floor(Math.random() ** 2 * NAMES.length)]!;
    const reads = ["users", "users", "carts", "sessions"].map((kind) =>
      fetch(cluster.key(0, "shop", `${kind}/${name}`)).then((answer) => answer.arrayBuffer()),
    );
    await Promise.all(reads);
    if (i % 2 === 0) await put(cluster.key(0, "shop", `sessions/${name}`), `seen ${i}`);
    await Bun.sleep(12 + 6 * Math.sin((performance.now() - startMs) / 6000));
  }
}
