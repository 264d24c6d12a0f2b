/** The commands of docs/security.md work as they stand there, one after the other, in an empty folder. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, withDirectory } from "./node-process.ts";

setDefaultTimeout(60_000);

const root = join(import.meta.dir, "../..");
const page = readFileSync(join(root, "docs/security.md"), "utf8");
/** Where the machine cannot make certificates. */
const COPY = `cp "${root}/test/fixtures/tls/cert-1.pem" cert.pem; cp "${root}/test/fixtures/tls/key-1.pem" key.pem; chmod 600 key.pem`;
const blocks = [...page.matchAll(/^```sh\n([^`]+)^```/gm)].map(([, block]) => block!.trim());

test("Q1, Q2: the page's set-up gives a node that lets in who has a token, and nobody else", async () => {
  expect(blocks).toHaveLength(2);
  await withDirectory(async (directory) => {
    const shim = join(directory, "hutch");
    const main = join(root, "src/cli/main.ts");
    writeFileSync(shim, `#!/bin/sh\nexec "${process.execPath}" --no-orphans "${main}" "$@"\n`);
    chmodSync(shim, 0o755);
    const [written, use] = blocks as [string, string];
    const setUp = Bun.which("openssl") === null ? written.replace(/^openssl .*$/m, COPY) : written;
    // The page's ports may be in use here.
    const environment = {
      HUTCH_LISTEN: `127.0.0.1:${freePort()}`,
      HUTCH_PEER: `127.0.0.1:${freePort()}`,
    };
    const ready =
      "until hutch health --config hutch.toml --ca cert.pem 2>/dev/null; do sleep 0.1; done";
    const script = `set -e\ntrap 'kill %1; wait' EXIT\n${setUp}\n${ready} >&2\n${use}\n`;
    const child = Bun.spawn(["bash", "-m", "-c", script], {
      cwd: directory,
      env: { ...process.env, ...environment, PATH: `${directory}:${process.env["PATH"]}` },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect(`${await child.exited} ${stderr}`).toStartWith("0 ");
    expect(stdout).toContain("hello");
    expect(stdout).toContain("users/eu/*");
    for (const file of ["tokens.json", "ops.token", "app.token", "audit.log", "key.pem"])
      expect(`${file} ${(statSync(join(directory, file)).mode & 0o077).toString(8)}`).toBe(
        `${file} 0`,
      );
  });
});
