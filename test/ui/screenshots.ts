/** The pictures of the README (`dashboard-*.png`), taken of a cluster that has data, load, a conflict and a dead node. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import type { ClusterProcess } from "../e2e/node-process.ts";
import { watchedPage } from "./browser.ts";
import { browseShop } from "./seed.ts";

/** Names of pictures and what they show. */
const SHOTS = [
  ["overview", "#/"],
  ["ring", "#/ring"],
  ["keys", "#/keys/shop?prefix=carts%2F&key=carts%2Fada"],
  ["explain", "#/keys/shop?prefix=users%2F&key=users%2Fgrace"],
] as const;
const SCHEMES = ["light", "dark"] as const;
/** Curves need a while to be curves; what is on the chart is the last minute. */
const LOAD_MS = 62_000;
const TAKING_MS = 12_000;

export async function takeScreenshots(
  browser: Browser,
  cluster: ClusterProcess,
  directory: string,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const url = cluster.url(0);
  const pages = await Promise.all(
    SCHEMES.map((colorScheme) => watchedPage(browser, [url], { colorScheme })),
  );
  await Promise.all(pages.map(({ page }) => page.goto(`${url}/ui`)));
  const load = browseShop(cluster, LOAD_MS + TAKING_MS);
  await Bun.sleep(LOAD_MS);
  for (const [index, { page, close }] of pages.entries()) {
    for (const [name, hash] of SHOTS)
      await shoot(page, hash, join(directory, `dashboard-${name}-${SCHEMES[index]}.png`));
    await close();
  }
  await load;
}

async function shoot(page: Page, hash: string, path: string): Promise<void> {
  await page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
  await page.locator("main h1").first().waitFor();
  await page.locator("[aria-busy=true]").waitFor({ state: "detached" });
  if (path.includes("explain"))
    await page.evaluate(`document.querySelector(".key-explain").scrollIntoView({ block: "end" })`);
  await Bun.sleep(800);
  await page.screenshot({ path });
}
