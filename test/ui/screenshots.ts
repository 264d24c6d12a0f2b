/** The pictures of the README (docs/images/dashboard-*.png), taken of a cluster that has data, a conflict and a dead node. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { watchedPage } from "./browser.ts";

/** Names of pictures and what they show. */
const SHOTS = [
  ["overview", ""],
  ["ring", "#/ring"],
  ["keys", "#/keys/shop?prefix=carts%2F&key=carts%2Fada"],
] as const;
/** Curves need a while to be curves. */
const SETTLE_MS = 4000;

export async function takeScreenshots(
  browser: Browser,
  url: string,
  directory: string,
): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const schemes = ["light", "dark"] as const;
  const pages = await Promise.all(
    schemes.map((colorScheme) => watchedPage(browser, [url], { colorScheme })),
  );
  await Promise.all(pages.map(({ page }) => page.goto(`${url}/ui`)));
  await Bun.sleep(SETTLE_MS);
  for (const [index, { page, close }] of pages.entries()) {
    for (const [name, hash] of SHOTS) {
      await page.evaluate(`location.hash = ${JSON.stringify(hash === "" ? "#/" : hash)}`);
      await page.waitForTimeout(600);
      await page.screenshot({ path: join(directory, `dashboard-${name}-${schemes[index]}.png`) });
    }
    await close();
  }
}
