import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, writeFileSync, readFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { NodeProcess, freePort, hutch, withDirectory, withNode } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(60_000);

describe("the first five minutes", () => {
  test("the lines of the contract answer as it says", async () => {
    await withNode(async ({ url }) => {
      const put = await fetch(`${url}/v1/kv/demo/hello`, { method: "PUT", body: "world" });
      expect(put.status).toBe(204);
      expect(put.headers.get("X-Acks")).toBe("n=1, ok=1, primary=1, hinted=0, durable=1");
      expect(put.headers.get("X-Node")).toBe("n1");

      const all = await fetch(`${url}/v1/kv/demo/hello`, { headers: { "X-Consistency": "ALL" } });
      expect([all.status, await all.text()]).toEqual([200, "world"]);

      const soon = `${url}/v1/kv/demo/soon`;
      await fetch(`${soon}?ttl=1`, { method: "PUT", body: "gone in a second" });
      expect((await fetch(soon)).headers.get("X-Expires-At")).not.toBeNull();
      const listed = (await (await fetch(`${url}/v1/kv/demo?prefix=h`)).json()) as {
        keys: { key: string }[];
      };
      expect(listed.keys.map(({ key }) => key)).toEqual(["hello"]);

      const gone = await fetch(`${url}/v1/kv/demo/none`);
      expect(gone.status).toBe(404);
      expect(((await gone.json()) as { code: string }).code).toBe("key-not-found");
      // An expired key may be visible for up to one second longer.
      const deadlineMs = performance.now() + 4000;
      while ((await fetch(soon)).status === 200 && performance.now() < deadlineMs)
        await Bun.sleep(50);
      expect((await fetch(soon)).status).toBe(404);
    });
  });

  test("a key from the shell: put, get, list, delete", async () => {
    await withNode(async ({ url }, dataDir) => {
      const environment = { HUTCH_URL: `http://127.0.0.1:${freePort()},${url}` };
      const run = (args: readonly string[], input?: string) =>
        hutch(args, { environment, ...(input === undefined ? {} : { input }) });
      expect((await run(["put", "demo/a", "1"])).exitCode).toBe(0);
      expect((await run(["put", "demo/b/c"], "from\0stdin")).exitCode).toBe(0);
      const file = `${dataDir}-value`;
      writeFileSync(file, "from a file");
      expect((await run(["put", "demo/../d", "--file", file, "--ttl", "60s"])).exitCode).toBe(0);
      expect(await run(["get", "demo/b/c"])).toEqual({
        exitCode: 0,
        stdout: "from\0stdin",
        stderr: "",
      });
      expect(JSON.parse((await run(["get", "demo/../d", "--json"])).stdout)).toMatchObject({
        value: "from a file",
      });
      expect((await run(["list", "demo"])).stdout).toBe("../d\na\nb/c\n");
      expect((await run(["list", "demo", "--delimiter", "/"])).stdout).toBe("../\nb/\na\n");
      expect((await run(["delete", "demo/a"])).exitCode).toBe(0);
      expect((await run(["get", "demo/a"])).exitCode).toBe(1);
      expect((await run(["get", "demo/b/c", "--consistency", "r=9"])).exitCode).toBe(78);
    });
  });

  test("siblings are shown with the line that resolves them", async () => {
    await withNode(async ({ url }) => {
      const environment = { HUTCH_URL: url };
      const properties = {
        method: "PUT",
        body: '{"blindPut":"sibling"}',
        headers: { "Content-Type": "application/json" },
      };
      await fetch(`${url}/v1/buckets/cart`, properties);
      await hutch(["put", "cart/7", "apple"], { environment });
      await hutch(["put", "cart/7", "pear"], { environment });
      const { stdout } = await hutch(["get", "cart/7"], { environment });
      expect(stdout).toContain("cart/7 has 2 concurrent values (siblings):");
      expect(stdout).toMatch(/  \S+  apple\n/);
      const context = /--context (\S+)/.exec(stdout)![1]!;
      await hutch(["put", "cart/7", "both", "--context", context], { environment });
      expect((await hutch(["get", "cart/7"], { environment })).stdout).toBe("both");
    });
  });
});

describe("import and export", () => {
  test("an import that was interrupted goes on where it was, bad lines are told by number", async () => {
    await withNode(async ({ url }, dataDir) => {
      const environment = { HUTCH_URL: url };
      const file = `${dataDir}.ndjson`;
      const lines = Array.from({ length: 2500 }, (_, index) =>
        JSON.stringify({ key: `k${index}`, value: `${index}` }),
      );
      lines[1699] = "not json";
      writeFileSync(file, lines.join("\n"));
      const first = await hutch(["import", "demo", file], { environment });
      expect([first.exitCode, first.stderr]).toEqual([
        78,
        expect.stringContaining("line 1700: bad-json"),
      ]);
      expect(first.stderr).toContain("imported 2499, failed 1");
      expect(existsSync(`${file}.hutch-progress`)).toBe(false);

      const from = await hutch(["import", "other", file, "--from-line", "2001"], { environment });
      expect([from.exitCode, from.stderr]).toEqual([
        0,
        expect.stringContaining("imported 500, failed 0"),
      ]);
    });
  });

  test("an import survives a restart of the node in its middle", async () => {
    await withDirectory(async (directory) => {
      const port = freePort();
      const dataDir = join(directory, "n1");
      const file = join(directory, "rows.csv");
      const rows = Array.from(
        { length: 20_000 },
        (_, index) => `k${String(index).padStart(5, "0")},"value, ${index}"`,
      );
      writeFileSync(file, `key,value\n${rows.join("\n")}\n`);
      const first = await NodeProcess.start(dataDir, { port });
      const importing = hutch(["import", "demo", file], { environment: { HUTCH_URL: first.url } });
      while (!existsSync(`${file}.hutch-progress`)) await Bun.sleep(1);
      await first.end("SIGKILL");
      const second = await NodeProcess.start(dataDir, { port });
      try {
        const { exitCode, stderr } = await importing;
        expect([exitCode, stderr]).toEqual([
          0,
          expect.stringContaining("imported 20000, failed 0"),
        ]);
        expect(stderr).toContain("trying again");
        const exported = join(directory, "out.csv");
        const environment = { HUTCH_URL: second.url };
        expect((await hutch(["export", "demo", exported], { environment })).exitCode).toBe(0);
        const columns = readFileSync(exported, "utf8").trimEnd().split("\r\n");
        expect(columns).toHaveLength(20_001);
        expect(columns[1]).toStartWith('k00000,,"value, 0",,');
      } finally {
        await second.end("SIGKILL");
      }
    });
  });

  test("an export goes on behind the last whole line of its file, and a merge of it changes nothing", async () => {
    await withNode(async ({ url }, dataDir) => {
      const environment = { HUTCH_URL: url };
      const source = `${dataDir}.in`;
      writeFileSync(
        source,
        Array.from({ length: 50 }, (_, index) => `{"key":"k${index}","value":"v"}`).join("\n"),
      );
      await hutch(["import", "demo", source], { environment });
      const whole = `${dataDir}.ndjson`;
      const broken = `${dataDir}.part.ndjson`;
      await hutch(["export", "demo", whole], { environment });
      const content = readFileSync(whole, "utf8");
      writeFileSync(broken, content.slice(0, content.length / 2));
      expect((await hutch(["export", "demo", broken], { environment })).exitCode).toBe(0);
      expect(readFileSync(broken, "utf8")).toBe(content);

      await hutch(["import", "copy", whole], { environment });
      await hutch(["import", "copy", whole], { environment });
      const again = `${dataDir}.again.ndjson`;
      await hutch(["export", "copy", again], { environment });
      expect(readFileSync(again, "utf8")).toBe(content);
    });
  });
});

describe("the data directory", () => {
  test("C15: a node whose disk fails under it ends with 74", async () => {
    await withNode(async (node, dataDir) => {
      await fetch(node.key("demo", "k"), { method: "PUT", body: "v" });
      rmSync(dataDir, { recursive: true });
      await fetch(`${node.url}/v1/admin/flush`, { method: "POST" }).catch(() => undefined);
      expect(await node.child.exited).toBe(74);
      expect(await node.log()).toContain("node_failed");
    });
  });

  test("its files can be inspected, and damage shows in the exit code", async () => {
    await withDirectory(async (directory) => {
      const dataDir = join(directory, "n1");
      const node = await NodeProcess.start(dataDir);
      await fetch(node.key("demo", "k"), { method: "PUT", body: "v" });
      await node.end("SIGTERM");
      const wal = [...new Bun.Glob("*.wal").scanSync(dataDir)].sort().at(-1)!;
      const sound = await hutch(["inspect", "wal", join(dataDir, wal)]);
      expect([sound.exitCode, sound.stdout]).toEqual([0, expect.stringContaining("all sound")]);
      const bytes = readFileSync(join(dataDir, wal));
      bytes[3]! ^= 1;
      const damaged = join(directory, wal);
      writeFileSync(damaged, bytes);
      const found = await hutch(["inspect", "wal", damaged]);
      expect([found.exitCode, found.stdout]).toEqual([74, expect.stringContaining("DAMAGED")]);
      const repaired = await hutch(["repair", "--data-dir", dataDir]);
      expect([repaired.exitCode, repaired.stdout]).toEqual([
        0,
        expect.stringContaining("nothing that was acknowledged is missing"),
      ]);
      const again = await NodeProcess.start(dataDir);
      expect(await (await fetch(again.key("demo", "k"))).text()).toBe("v");
      await again.end("SIGKILL");
    });
  });
});
