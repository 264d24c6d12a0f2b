/**
 * A real browser for tests of the dashboard: the machine's own Chromium, driven by playwright-core, which downloads none.
 *
 * Where no Chromium is, these tests cannot run. They say so, and with `HUTCH_REQUIRE_BROWSER=1` that is a failure.
 * Install it with `apt-get install chromium`, or name one with `HUTCH_CHROMIUM=/path/to/chromium`.
 */
import { existsSync } from "node:fs";
import { type Browser, type BrowserContext, type Page, chromium } from "playwright-core";

const CANDIDATES = [
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];
const ARGUMENTS = [
  "--no-sandbox",
  "--headless=new",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];
/** Nobody waits longer for what a test expects of a page. */
const WAIT_MS_MAX = 15_000;

const named = process.env["HUTCH_CHROMIUM"] ?? "";

/** The program, or `undefined` where there is none. */
export const browserPath: string | undefined = (named === "" ? CANDIDATES : [named]).find((path) =>
  existsSync(path),
);

export const isBrowserRequired = process.env["HUTCH_REQUIRE_BROWSER"] === "1";

export const WHY_SKIPPED = `there is no browser at ${named || CANDIDATES.join(", ")}; install one with "apt-get install chromium", or name it with HUTCH_CHROMIUM`;

export function startBrowser(): Promise<Browser> {
  if (browserPath === undefined) throw new Error(WHY_SKIPPED);
  return chromium.launch({ executablePath: browserPath, headless: true, args: ARGUMENTS });
}

/** A page, and all that should not have happened on it. */
export interface WatchedPage {
  readonly page: Page;
  /** Errors and warnings of the console, exceptions, dialogs, requests to other origins. */
  readonly troubles: string[];
  close(): Promise<void>;
}

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "light" | "dark";
}

/** A page of its own browser context, which may speak to `origins` only. */
export async function watchedPage(
  browser: Browser,
  origins: readonly string[],
  { width = 1280, height = 800, colorScheme = "light" }: PageOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme,
    reducedMotion: "reduce",
  });
  context.setDefaultTimeout(WAIT_MS_MAX);
  const page = await context.newPage();
  const troubles: string[] = [];
  watchRequests(context, origins, troubles);
  watchPage(page, troubles);
  return { page, troubles, close: () => context.close() };
}

function watchRequests(
  context: BrowserContext,
  origins: readonly string[],
  troubles: string[],
): void {
  context.on("request", (request) => {
    const url = request.url();
    const isOurs = origins.includes(new URL(url).origin);
    if (!isOurs && !/^(?:data|blob):/.test(url)) troubles.push(`request to ${url}`);
  });
}

/** What breaks the Content-Security-Policy is an error of the console, too. */
function watchPage(page: Page, troubles: string[]): void {
  page.on("console", (message) => {
    if (!["error", "warning"].includes(message.type())) return;
    // A key that is not there is an answer, not a fault of the page; the browser notes it all the same.
    if (message.text().includes("status of 404") && message.location().url.includes("/v1/kv"))
      return;
    troubles.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => troubles.push(`exception: ${error.stack ?? error.message}`));
  page.on("dialog", (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
}

/** By how many pixels the page is wider than what is seen of it. */
export function overflowOf(page: Page): Promise<number> {
  return page.evaluate<number>(
    "document.documentElement.scrollWidth - document.documentElement.clientWidth",
  );
}
