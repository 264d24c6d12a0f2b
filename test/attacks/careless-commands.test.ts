/** What a person does by mistake with a token, and what a command makes that others could reach. */
import { expect, spyOn, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { serveControl } from "../../src/cli/cluster-control.ts";
import { travelsReadable } from "../../src/cli/credentials.ts";
import { writeSecretFile } from "../../src/cli/key-file.ts";
import { createToken } from "../../src/cli/token.ts";
import { hutch, withDirectory } from "../e2e/node-process.ts";

test("Q14: the socket of a cluster is its owner's alone from its first moment, also in a directory of all", async () => {
  await withDirectory(async (directory) => {
    const modes: number[] = [];
    const serve = Bun.serve.bind(Bun);
    const spy = spyOn(Bun, "serve").mockImplementation(((options: { unix: string }) => {
      const server = serve(options as never);
      modes.push(statSync(options.unix).mode & 0o777);
      return server;
    }) as never);
    const umask = process.umask(0);
    try {
      const control = serveControl(directory, () => Promise.resolve());
      modes.push(statSync(join(directory, "cluster.sock")).mode & 0o777, process.umask());
      control!.close();
    } finally {
      process.umask(umask);
      spy.mockRestore();
    }
    expect(modes).toEqual([0o600, 0o600, 0]);
  });
});

test("Q2: a token is not written over the file of digests, however its path is spelled", async () => {
  await withDirectory((directory) => {
    const path = join(directory, "tokens.json");
    const make = (file: string, out: string) => () =>
      createToken({ id: "ops", role: "admin", file, out });
    mkdirSync(join(directory, "sub"));
    expect(make(path, `${directory}/sub/../tokens.json`)).toThrow("file of tokens");
    expect(existsSync(path)).toBe(false);
    const before = '{"tokens":[]}';
    writeSecretFile(path, before);
    symlinkSync(directory, join(directory, "around"));
    symlinkSync(path, join(directory, "link"));
    for (const out of [path, `${directory}/./tokens.json`, "around/tokens.json", "link"])
      expect(make(path, out.startsWith("/") ? out : join(directory, out))).toThrow(
        expect.objectContaining({ code: "bad-config" }),
      );
    expect(readFileSync(path, "utf8")).toBe(before);
    make(path, join(directory, "ops.token"))();
    expect(readFileSync(path, "utf8")).toContain('"ops"');
    return Promise.resolve();
  });
});

test("Q23: a token leaves the machine readable over http:// to any host that is not loopback", () => {
  const urls = ["http://10.0.0.1:7001/v1", "http://n1.example/", "http://[fe80::1]:7001/"];
  for (const url of urls) expect(`${url} ${travelsReadable(url)}`).toBe(`${url} true`);
  for (const url of [
    "https://10.0.0.1:7001/",
    "http://127.0.0.1:7001/v1",
    "http://127.1:7001/",
    "http://[::1]:7001/",
    "http://0.0.0.0:7001/",
    "http://[::]:7001/",
    "http://LOCALHOST/",
    "http://n1.localhost/",
  ])
    expect(`${url} ${travelsReadable(url)}`).toBe(`${url} false`);
});

test("Q23: a command says once on standard error that its token can be read on its way, and nothing without one", async () => {
  // Nobody listens at these; the warning comes before the connection.
  const url = "http://255.255.255.255:1,http://255.255.255.255:2";
  const environment = { HUTCH_TOKEN: "hutch_x" };
  const told = await hutch(["get", "demo/a", "--url", url], { environment });
  expect(told.stderr.match(/can be read on its way/g)).toHaveLength(1);
  expect(told.stderr).not.toContain("hutch_x");
  expect((await hutch(["get", "demo/a", "--url", url])).stderr).not.toContain("on its way");
});
