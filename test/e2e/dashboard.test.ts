/**
 * The dashboard of real nodes in a real browser: it shows a node that dies, resolves siblings, and does nothing that a key tells
 * it to. One cluster and one browser for the file; what kills a node comes last.
 *
 * With `HUTCH_SCREENSHOTS=DIR` it also takes the pictures of the README: `HUTCH_SCREENSHOTS=docs/images bun test test/e2e/dashboard.test.ts`.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { put, until, untilAllUp } from "../support/cluster-eyes.ts";
import {
  browserPath,
  isBrowserRequired,
  overflowOf,
  startBrowser,
  type WatchedPage,
  watchedPage,
  WHY_SKIPPED,
} from "../ui/browser.ts";
import { takeScreenshots } from "../ui/screenshots.ts";
import { seedDashboard } from "../ui/seed.ts";
import { ClusterProcess, hutch, NodeProcess } from "./node-process.ts";

/** Whole programs start here, on a machine that may be busy. */
setDefaultTimeout(60_000);

const SCREENSHOTS = process.env["HUTCH_SCREENSHOTS"] ?? "";
const SIBLINGS_TYPE = "application/vnd.hutch.siblings+json";

test("there is a browser, or this test says why nothing of the dashboard was tested", () => {
  const why = browserPath === undefined ? WHY_SKIPPED : "";
  if (why !== "") process.stderr.write(`The dashboard was not tested: ${why}\n`);
  expect(isBrowserRequired ? why : "").toBe("");
});

describe.skipIf(browserPath === undefined)("the dashboard in a browser", () => {
  let directory: string;
  let cluster: ClusterProcess;
  let browser: Browser;
  let watched: WatchedPage;
  let page: Page;

  /** To a view; a change of the address without a new page. */
  const go = async (hash: string): Promise<void> => {
    await page.goto(`${cluster.url(0)}/ui${hash}`);
  };
  const keyOf = (bucket: string, key: string): string =>
    `#/keys/${bucket}?key=${encodeURIComponent(key)}`;
  const panel = () => page.getByRole("region", { name: "Key", exact: true });
  const contextOf = (answer: Response): string => answer.headers.get("x-causal-context")!;

  /** Two writers that know the same and not each other. */
  async function makeConflict(key: string, left: string, right: string): Promise<void> {
    const url = cluster.key(0, "demo", key);
    const first = { "X-Causal-Context": contextOf(await put(url, "before")) };
    expect((await put(url, left, first)).status).toBe(204);
    expect((await put(url, right, first)).status).toBe(204);
  }

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "hutch-dashboard-"));
    [cluster, browser] = await Promise.all([
      ClusterProcess.start(3, directory, { args: ["--partitions", "64"] }),
      startBrowser(),
    ]);
    await untilAllUp(cluster);
    watched = await watchedPage(browser, [cluster.url(0)]);
    page = watched.page;
  });

  afterAll(async () => {
    await browser?.close();
    await cluster?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  test("it opens at /ui and shows every node up", async () => {
    await go("");
    for (const id of ["n1", "n2", "n3"])
      await page.getByText(id, { exact: true }).first().waitFor();
    expect(await page.title()).toContain("hutch");
  });

  test("a conflict is shown side by side and resolved with a click", async () => {
    await makeConflict("cart", "apples\nbread", "apples\nmilk");
    await go(keyOf("demo", "cart"));
    await panel().getByText("2 siblings.").waitFor();
    const left = panel().getByRole("article", { name: "Sibling A" });
    expect(await left.getByLabel("Value of sibling A", { exact: true }).innerText()).toBe(
      "apples\nmilk",
    );
    expect(await panel().getByLabel("Lines that differ").innerText()).toContain("+ bread");

    await panel().getByRole("button", { name: "Keep A", exact: true }).click();
    await panel().getByText("Resolved: ").waitFor();
    expect(await panel().getByLabel("Value", { exact: true }).innerText()).toBe("apples\nmilk");
    const read = await fetch(cluster.key(1, "demo", "cart"));
    expect([read.status, await read.text()]).toEqual([200, "apples\nmilk"]);
  });

  test("siblings are merged in an editor, and a value that came meanwhile stays beside the result", async () => {
    await makeConflict("list", "a\nb", "a\nc");
    await go(keyOf("demo", "list"));
    await panel().getByRole("button", { name: "Keep all, merged in an editor" }).click();
    const value = panel().getByLabel("Value", { exact: true }).last();
    expect(await value.inputValue()).toBe("a\nc\nb");

    const before = contextOf(await fetch(cluster.key(0, "demo", "list")));
    const other = { "X-Causal-Context": before };
    expect((await put(cluster.key(0, "demo", "list"), "elsewhere", other)).status).toBe(204);
    await panel().getByRole("button", { name: "Save" }).click();
    await panel().getByText("2 siblings.").waitFor();
    const read = await fetch(cluster.key(2, "demo", "list"), {
      headers: { Accept: SIBLINGS_TYPE },
    });
    const { siblings } = (await read.json()) as { siblings: { value: string }[] };
    expect(siblings.map((each) => each.value).sort()).toEqual(["a\nc\nb", "elsewhere"]);
  });

  test("a value is edited with its type and metadata kept, and deleted after a question", async () => {
    const url = cluster.key(0, "demo", "note");
    await put(url, '{"n":1}', {
      "Content-Type": "application/json",
      "X-Meta-Owner": Buffer.from("Zoë").toString("latin1"),
    });
    await go(keyOf("demo", "note"));
    await panel().getByRole("button", { name: "Edit" }).click();
    await panel().getByLabel("Value", { exact: true }).last().fill('{"n":2}');
    await panel().getByRole("button", { name: "Save" }).click();
    await panel().getByText("Saved: ").waitFor();
    const read = await fetch(url);
    expect([await read.text(), read.headers.get("content-type")]).toEqual([
      '{"n":2}',
      "application/json",
    ]);
    await panel().getByText("Zoë").waitFor();

    await panel().getByRole("button", { name: "Delete" }).click();
    const question = page.getByRole("dialog");
    await question.getByText("Delete demo/note?").waitFor();
    await page.keyboard.press("Escape");
    await question.waitFor({ state: "detached" });
    expect((await fetch(url)).status).toBe(200);
    await panel().getByRole("button", { name: "Delete" }).click();
    await question.getByRole("button", { name: "Delete" }).click();
    await panel().getByText("This key is deleted or has expired.").waitFor();
    expect((await fetch(url)).status).toBe(404);
  });

  test("Q18: a key, value and metadata that are markup are text and do nothing", async () => {
    const markup =
      "<img src=x onerror=\"window.wasRun=1;alert('x')\"><script>window.wasRun=2</script>";
    const url = cluster.key(0, "evil", encodeURIComponent(markup));
    const headers = { "Content-Type": "text/html", "X-Meta-Note": markup };
    expect((await put(url, markup, headers)).status).toBe(204);
    await go("#/keys/evil?by=");
    await page.getByRole("list", { name: "Keys" }).getByText(markup).click();
    await panel().getByRole("heading", { name: markup }).waitFor();
    expect(await panel().getByLabel("Value", { exact: true }).innerText()).toBe(markup);
    expect(await panel().getByText(markup).count()).toBe(3);
    await go("#/keys/<img src=x onerror=window.wasRun=3>?prefix=<b>");
    await page.getByRole("alert").first().waitFor();
    expect(await page.evaluate<unknown>("window.wasRun")).toBeUndefined();
    expect(await page.locator("#app img[src=x], #app script").count()).toBe(0);
  });

  test("keys that are not UTF-8, or that a URL cannot carry, open like any other", async () => {
    const bytes = Buffer.from([0xff, 0x00, 0x61]).toString("base64url");
    await put(`${cluster.url(0)}/v1/kv64/odd/${bytes}`, "from bytes");
    await put(
      `${cluster.url(0)}/v1/kv64/odd/${Buffer.from("a/../b").toString("base64url")}`,
      "dots",
    );
    await go("#/keys/odd?by=");
    for (const [name, value] of [
      ["\\xff\\x00a", "from bytes"],
      ["a/../b", "dots"],
    ] as const) {
      await page.getByRole("list", { name: "Keys" }).getByText(name).click();
      await panel().getByLabel("Value", { exact: true }).getByText(value).waitFor();
    }
  });

  test("the keyboard alone: / searches, arrows walk, Enter opens, Esc goes back", async () => {
    await Promise.all(
      ["ka", "kb", "kc"].map((key) => put(cluster.key(0, "walk", key), `of ${key}`)),
    );
    await go("#/keys/walk");
    await page.getByRole("list", { name: "Keys" }).waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("k");
    await page.waitForURL(/prefix=k/);
    await page.getByRole("button", { name: /^kc/ }).waitFor();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    await panel().getByText("of kb").waitFor();
    expect(await focused(page)).toBe("walk/kb");
    await page.keyboard.press("Escape");
    await panel().waitFor({ state: "detached" });
    expect(await focused(page)).toContain("kb");
  });

  test("a long list is a page after the other, never more than 100 rows", async () => {
    const ops = Array.from({ length: 250 }, (_, i) => ({
      op: "put",
      bucket: "many",
      key: `key-${String(i).padStart(4, "0")}`,
      value: "x",
    }));
    // On a busy machine an operation may run out of time.
    await until(
      "250 keys are written",
      async () => {
        const answer = await fetch(`${cluster.url(0)}/v1/batch`, {
          method: "POST",
          body: JSON.stringify({ ops }),
        });
        return ((await answer.json()) as { results: { status: number }[] }).results;
      },
      (results) => results.every(({ status }) => status === 204),
    );
    await go("#/keys/many?by=");
    const rows = page.getByRole("list", { name: "Keys" }).getByRole("listitem");
    await page.getByRole("button", { name: /^key-0099/ }).waitFor();
    expect(await rows.count()).toBe(100);
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByRole("button", { name: /^key-0100/ }).waitFor();
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByRole("button", { name: /^key-0249/ }).waitFor();
    expect(await rows.count()).toBe(50);
    await page.getByRole("button", { name: "Previous" }).click();
    await page.getByRole("button", { name: /^key-0100/ }).waitFor();
  });

  test("row 57, Q18: a form on a page of another site changes nothing", async () => {
    const target = `${cluster.url(0)}/v1/kv/forged`;
    const foreign = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () =>
        new Response(
          `<form method="post" enctype="text/plain" action="${target}"><input name="a" value="b"><button>go</button></form>`,
          { headers: { "Content-Type": "text/html" } },
        ),
    });
    const other = await watchedPage(browser, [foreign.url.origin, cluster.url(0)]);
    try {
      await other.page.goto(foreign.url.href);
      const [answer] = await Promise.all([
        other.page.waitForResponse(target),
        other.page.getByRole("button").click(),
      ]);
      expect(answer.status()).toBe(403);
    } finally {
      await other.close();
      await foreign.stop(true);
    }
    const list = (await (await fetch(target)).json()) as { keys: unknown[] };
    expect(list.keys).toEqual([]);
  });

  test("on 360 pixels nothing is wider than the page, and axe finds nothing, light and dark", async () => {
    await makeConflict("narrow", "one\n".repeat(3), `long ${"word ".repeat(60)}`);
    const axe = readFileSync(AXE_PATH, "utf8");
    for (const [colorScheme, width] of [
      ["light", 360],
      ["dark", 1280],
    ] as const) {
      const narrow = await watchedPage(browser, [cluster.url(0)], { width, colorScheme });
      await narrow.page.goto(`${cluster.url(0)}/ui`);
      await narrow.page.evaluate(axe);
      const views = await narrow.page.evaluate<string[]>(HREFS);
      for (const hash of [...views, keyOf("demo", "narrow")]) {
        await narrow.page.evaluate(`location.hash = ${JSON.stringify(hash)}`);
        await narrow.page.locator("main h1").first().waitFor();
        await narrow.page.locator("[aria-busy=true]").waitFor({ state: "detached" });
        expect([hash, await overflowOf(narrow.page)]).toEqual([hash, 0]);
        expect([hash, await narrow.page.evaluate(AXE)]).toEqual([hash, []]);
      }
      expect(narrow.troubles).toEqual([]);
      await narrow.close();
    }
  });

  test("a node that is killed is shown down on the ring within seconds, without a reload", async () => {
    await put(cluster.key(0, "demo", "held"), "by all");
    await go("#/ring");
    await page.evaluate("window.isSamePage = true");
    const outlined = page.locator(".ring .is-down-arc").first();
    await page.locator(".ring path").first().waitFor();
    expect(await outlined.count()).toBe(0);
    await cluster.kill(2, "SIGKILL");
    const killedMs = performance.now();
    await outlined.waitFor();
    await page.getByText("down", { exact: true }).first().waitFor();
    expect(performance.now() - killedMs).toBeLessThan(10_000);

    await page.evaluate("location.hash = '#/'");
    await page.getByRole("heading", { name: "n3 is down" }).waitFor();
    await page.evaluate(`location.hash = ${JSON.stringify(keyOf("demo", "held"))}`);
    await panel().getByText("n3 does not answer.").waitFor();
    await panel()
      .getByRole("img", { name: /n3 no answer/ })
      .waitFor();
    expect(await page.evaluate<unknown>("window.isSamePage")).toBe(true);
  });

  test("nothing went wrong on the way: no error, no dialog, no broken policy, no request elsewhere", () => {
    expect(watched.troubles).toEqual([]);
  });

  test.skipIf(SCREENSHOTS === "")(
    "the pictures of the README are taken, of a cluster with a dead node",
    async () => {
      await seedDashboard(cluster);
      await takeScreenshots(browser, cluster, SCREENSHOTS);
    },
    120_000,
  );

  test("a node that dies under its own page says so there, keeps what was seen, and names the others", async () => {
    const own = await watchedPage(browser, [cluster.url(1)]);
    await own.page.goto(`${cluster.url(1)}/ui`);
    await own.page.getByText("n1", { exact: true }).first().waitFor();
    await cluster.kill(1, "SIGKILL");
    const alarm = own.page.getByRole("alert");
    await alarm.getByText("n2 does not answer.").waitFor();
    expect(await alarm.getByRole("link", { name: "Look at n1" }).getAttribute("href")).toBe(
      `${cluster.url(0)}/ui`,
    );
    await own.page.getByText("n1", { exact: true }).first().waitFor();
    await own.close();
  });

  test("a node that wants tokens asks for one, once, and then shows what it has", async () => {
    const file = join(directory, "tokens.json");
    const made = await hutch([
      "token",
      "create",
      "--file",
      file,
      "--id",
      "ops",
      "--role",
      "read,write,metrics,admin",
    ]);
    const token = made.stdout.trim();
    const node = await NodeProcess.start(join(directory, "guarded"), {
      args: ["--auth-tokens", file],
    });
    const own = await watchedPage(browser, [node.url]);
    try {
      const headers = { Authorization: `Bearer ${token}` };
      expect((await put(node.key("demo", "secret"), "seen", headers)).status).toBe(204);
      await own.page.goto(`${node.url}/ui${keyOf("demo", "secret")}`);
      await own.page.getByLabel("Token").fill(token);
      await own.page.keyboard.press("Enter");
      await own.page.getByLabel("Value", { exact: true }).getByText("seen").waitFor();
      await own.page.locator(".pulse.is-live").waitFor();
      expect(await own.page.getByRole("dialog").count()).toBe(0);
      expect(await own.page.evaluate<string>("document.cookie + localStorage.length")).toBe("0");
      expect(own.troubles.filter((each) => !each.includes("401"))).toEqual([]);
    } finally {
      await own.close();
      await node.end("SIGKILL");
    }
  });
});

const focused = (page: Page): Promise<string> =>
  page.evaluate<string>("document.activeElement.textContent");

/** Scripts for the page, as text: tests know no document. */
const AXE_PATH = new URL(import.meta.resolve("axe-core/axe.min.js")).pathname;
const HREFS =
  "[...document.querySelectorAll('header nav a')].map((link) => link.getAttribute('href'))";
const AXE = `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
  violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html }) => html.slice(0, 120)).join(" | ")))`;
