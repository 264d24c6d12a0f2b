/** A node that is not ready yet has a port already, and nobody knows who knocks. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { freePort, startCommand, withDirectory } from "../e2e/node-process.ts";
import { sendRaw } from "./closed-node.ts";

setDefaultTimeout(20_000);

test("Q20, row 10: before a node is ready, requests without a host are refused and leave no stack in the log", async () => {
  await withDirectory(async (directory) => {
    const port = freePort();
    const own = ["--listen", `127.0.0.1:${port}`, "--peer", `127.0.0.1:${freePort()}`];
    // Nobody is there, so the node waits for ever.
    const seeds = ["--seeds", `127.0.0.1:${freePort()}`];
    const node = startCommand(["serve", ...own, ...seeds, "--data-dir", join(directory, "n1")]);
    await node.untilNoted("waiting_for_cluster");
    const url = new URL(`http://127.0.0.1:${port}`);
    for (const request of [
      "GET /metrics HTTP/1.0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
      "GET /ui HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ])
      expect(await sendRaw(url, request)).toStartWith("HTTP/1.1 503");
    await node.end("SIGTERM");
    expect(await node.untilNoted("\0")).not.toContain("http_failed");
  });
});
