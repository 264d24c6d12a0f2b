import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  NodeProcess,
  freePort,
  hutch,
  startCommand,
  withDirectory,
  withNode,
} from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(60_000);

/** `hutch serve` with data in `directory`, where it is not expected to stay up. */
function serve(directory: string, ...args: readonly string[]) {
  const addresses = ["--listen", "--peer"].flatMap((flag) =>
    args.includes(flag) ? [] : [flag, `127.0.0.1:${freePort()}`],
  );
  return hutch(["serve", "--data-dir", join(directory, "n1"), ...addresses, ...args]);
}

describe("hutch serve", () => {
  test("row 89: a parent directory that does not exist ends with 73 and makes nothing", async () => {
    await withDirectory(async (directory) => {
      const { exitCode, stderr } = await serve(join(directory, "absent"));
      expect(exitCode).toBe(73);
      expect(stderr).toContain("absent");
      expect(readdirSync(directory)).toEqual([]);
    });
  });

  test("row 89: a directory that cannot be written ends with 73 or 77", async () => {
    // Nobody makes directories here, the superuser included.
    const { exitCode } = await serve("/proc");
    expect([73, 77]).toContain(exitCode);
  });

  test("row 94: a second process on one data directory ends with 73 and leaves the first alone", async () => {
    await withNode(async (node, dataDir) => {
      await fetch(node.key("demo", "k"), { method: "PUT", body: "v" });
      const second = await hutch([
        "serve",
        "--data-dir",
        dataDir,
        "--listen",
        `127.0.0.1:${freePort()}`,
        "--peer",
        `127.0.0.1:${freePort()}`,
      ]);
      expect(second.exitCode).toBe(73);
      expect(second.stderr).toContain("another process has it");
      expect(await (await fetch(node.key("demo", "k"))).text()).toBe("v");
    });
  });

  test("row 96: errors of the file end with 78, one line each with its path", async () => {
    await withDirectory(async (directory) => {
      const file = join(directory, "hutch.toml");
      writeFileSync(file, 'n = 0\nmemtable-byts = "1MiB"\nlisten = "127.0.0.1:70000"\n');
      const { exitCode, stderr } = await hutch(["serve", "--config", file]);
      expect(exitCode).toBe(78);
      expect(stderr).toContain(`${file}: n: 0 is outside 1 to 15\n`);
      expect(stderr).toContain(
        `${file}: memtable-byts: unknown key; did you mean memtable-bytes?\n`,
      );
      expect(stderr).toContain(`${file}: listen: port 70000`);
    });
  });

  test("row 96: W > N and port 0 end with 78 from flags too", async () => {
    await withDirectory(async (directory) => {
      expect((await serve(directory, "--w", "4")).exitCode).toBe(78);
      expect((await serve(directory, "--listen", "127.0.0.1:0")).exitCode).toBe(78);
      expect(existsSync(join(directory, "n1"))).toBe(false);
    });
  });

  test("row 97: a secret in a file that others can read ends with 78", async () => {
    await withDirectory(async (directory) => {
      const file = join(directory, "hutch.json");
      writeFileSync(file, '{"cluster-key":"0123"}');
      chmodSync(file, 0o644);
      const { exitCode, stderr } = await hutch(["serve", "--config", file]);
      expect(exitCode).toBe(78);
      expect(stderr).toContain("chmod 600");
    });
  });

  test("row 98: an unknown flag or a missing argument ends with 64 and the usage", async () => {
    const unknown = await hutch(["serve", "--memtable-byts", "1MiB"]);
    expect([unknown.exitCode, unknown.stdout]).toEqual([64, ""]);
    expect(unknown.stderr).toContain("--memtable-bytes");
    const missing = await hutch(["get"]);
    expect(missing.exitCode).toBe(64);
    expect(missing.stderr).toContain("BUCKET/KEY");
    expect((await hutch(["serve", "--listen"])).exitCode).toBe(64);
    expect((await hutch(["frobnicate"])).exitCode).toBe(64);
  });

  test("row 99: commands against a dead address end with 69 and name it", async () => {
    const url = `http://127.0.0.1:${freePort()}`;
    for (const args of [
      ["get", "demo/k"],
      ["put", "demo/k", "v"],
      ["delete", "demo/k"],
      ["list", "demo"],
    ]) {
      const { exitCode, stderr } = await hutch([...args, "--url", url]);
      expect(exitCode).toBe(69);
      expect(stderr).toContain(url);
    }
  });

  test("row 100: a port in use ends with 71 and nothing in the data directory", async () => {
    await withDirectory(async (directory) => {
      const other = Bun.listen({
        hostname: "127.0.0.1",
        port: 0,
        socket: { data: () => undefined },
      });
      const { exitCode, stderr } = await serve(directory, "--listen", `127.0.0.1:${other.port}`);
      other.stop(true);
      expect(exitCode).toBe(71);
      expect(stderr).toContain(String(other.port));
      expect(existsSync(join(directory, "n1"))).toBe(false);
    });
  });

  test("row 100: a port that another node has is in use, too", async () => {
    await withNode(async (node) => {
      await withDirectory(async (directory) => {
        const { exitCode } = await serve(directory, "--listen", node.url.replace("http://", ""));
        expect(exitCode).toBe(71);
      });
    });
  });

  test("row 101: a public address ends with 78, naming what would allow it", async () => {
    await withDirectory(async (directory) => {
      for (const host of ["0.0.0.0", "[::]"]) {
        const { exitCode, stderr } = await serve(directory, "--listen", `${host}:${freePort()}`);
        expect(exitCode).toBe(78);
        expect(stderr).toContain("insecure-bind-public");
      }
      expect(existsSync(join(directory, "n1"))).toBe(false);
    });
  });

  test("takes the file, a variable and a flag, the flag last", async () => {
    await withDirectory(async (directory) => {
      const file = join(directory, "hutch.toml");
      writeFileSync(file, 'fsync = "os"\nn = 1\ncluster = "from-file"\n');
      const environment = { HUTCH_FSYNC: "always", HUTCH_CLUSTER: "from-variable" };
      const args = ["config", "print", "--origin", "--config", file, "--cluster", "from-flag"];
      const { exitCode, stdout } = await hutch(args, { environment });
      expect(exitCode).toBe(0);
      expect(stdout).toMatch(/^n = 1 +# file .*hutch\.toml$/m);
      expect(stdout).toMatch(/^fsync = "always" +# HUTCH_FSYNC$/m);
      expect(stdout).toMatch(/^cluster = "from-flag" +# --cluster$/m);
      expect(stdout).toMatch(/^memtable-bytes = "64MiB" +# default$/m);
    });
  });

  test("reads the configuration that config print printed", async () => {
    await withDirectory(async (directory) => {
      const file = join(directory, "hutch.toml");
      const printed = await hutch(["config", "print", "--memtable-bytes", "1MiB", "--dc", "dc7"]);
      expect([printed.exitCode, printed.stdout]).toEqual([
        0,
        expect.stringContaining('dc = "dc7"'),
      ]);
      writeFileSync(file, printed.stdout);
      expect((await hutch(["config", "print", "--config", file])).stdout).toBe(printed.stdout);
    });
  });

  test("a node that was told of others waits for them, up and not ready, until a signal ends it with 0", async () => {
    await withDirectory(async (directory) => {
      const [listen, peer] = [`127.0.0.1:${freePort()}`, `127.0.0.1:${freePort()}`];
      const addresses = ["--listen", listen, "--peer", peer, "--data-dir", join(directory, "n1")];
      const seeds = ["--seeds", `${peer},127.0.0.1:${freePort()}`];
      const node = startCommand(["serve", ...addresses, ...seeds]);
      expect(await node.untilNoted("waiting_for_cluster")).toContain('"seeds":2,"answered":0');
      expect((await fetch(`http://${listen}/healthz`)).status).toBe(200);
      expect((await fetch(`http://${listen}/readyz`)).status).toBe(503);
      const refused = await fetch(`http://${listen}/v1/kv/demo/k`, { method: "PUT", body: "v" });
      expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([
        503,
        "unavailable",
      ]);
      expect(await node.end("SIGTERM")).toBe(0);
    });
  });

  test("an advertised address must be one, and a seed must be one", async () => {
    await withDirectory(async (directory) => {
      for (const flag of ["--advertise", "--seeds"]) {
        const { exitCode, stderr } = await serve(directory, flag, "127.0.0.1");
        expect([flag, exitCode]).toEqual([flag, 78]);
        expect(stderr).toContain(flag);
      }
      expect(existsSync(join(directory, "n1"))).toBe(false);
    });
  });
});

describe("row 116: a signal", () => {
  test("SIGTERM ends a quiet node with 0, and its data are there at the next start", async () => {
    await withDirectory(async (directory) => {
      const dataDir = join(directory, "n1");
      const first = await NodeProcess.start(dataDir);
      await fetch(first.key("demo", "k"), { method: "PUT", body: "v" });
      expect(await first.end("SIGTERM")).toBe(0);
      const second = await NodeProcess.start(dataDir);
      expect(await (await fetch(second.key("demo", "k"))).text()).toBe("v");
      expect(await second.end("SIGINT")).toBe(0);
    });
  });

  test("SIGTERM under load ends with 0, loses nothing acknowledged, and answers no 5xx but shutting-down", async () => {
    await withDirectory(async (directory) => {
      mkdirSync(directory, { recursive: true });
      const dataDir = join(directory, "n1");
      const node = await NodeProcess.start(dataDir);
      const acknowledged: string[] = [];
      const problems = new Set<string>();
      let isOver = false;
      const writer = async (name: string): Promise<void> => {
        for (let count = 0; !isOver; count++) {
          const key = `${name}-${count}`;
          try {
            const answer = await fetch(node.key("demo", key), { method: "PUT", body: key });
            if (answer.status === 204) acknowledged.push(key);
            else problems.add(((await answer.json()) as { code: string }).code);
          } catch {
            // The node has closed its door: this writer is done.
            return;
          }
        }
      };
      const writers = Array.from({ length: 16 }, (_, index) => writer(`w${index}`));
      while (acknowledged.length < 200) await Bun.sleep(5);
      expect(await node.end("SIGTERM")).toBe(0);
      isOver = true;
      await Promise.all(writers);
      expect([...problems].filter((code) => code !== "shutting-down")).toEqual([]);

      const again = await NodeProcess.start(dataDir);
      for (const key of acknowledged)
        expect(await (await fetch(again.key("demo", key))).text()).toBe(key);
      await again.end("SIGKILL");
    });
  });
});
