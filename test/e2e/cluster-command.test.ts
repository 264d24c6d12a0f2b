/** `hutch cluster` as a person runs it: what it shows, what it does when a node dies, and how it ends. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type NodeLine, put } from "../support/cluster-eyes.ts";
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

/** Room for the ports of three nodes from each of the two. */
function freePorts(): { port: number; peerPort: number } {
  const port = freePort();
  for (;;) {
    const peerPort = freePort();
    if (Math.abs(peerPort - port) > 3) return { port, peerPort };
  }
}

const SHOWN = "Ctrl-C stops it";

async function nodesAt(url: string): Promise<readonly NodeLine[]> {
  return ((await (await fetch(`${url}/v1/cluster/nodes`)).json()) as { nodes: NodeLine[] }).nodes;
}

function start(directory: string, port: number, peerPort: number, ...args: readonly string[]) {
  const ports = ["--base-port", `${port}`, "--peer-base-port", `${peerPort}`];
  return startCommand([
    "cluster",
    ...ports,
    "--data-dir",
    directory,
    "--partitions",
    "16",
    ...args,
  ]);
}

/** Runs `body` with a cluster that is up, and kills it where `body` has not ended it. */
async function withStarted(
  args: readonly string[],
  body: (
    command: ReturnType<typeof startCommand>,
    screen: string,
    url: (index: number) => string,
  ) => Promise<void>,
): Promise<void> {
  await withDirectory(async (directory) => {
    const { port, peerPort } = freePorts();
    const command = start(directory, port, peerPort, ...args);
    try {
      const screen = await command.until(SHOWN);
      await body(command, screen, (index) => `http://127.0.0.1:${port + index}`);
    } finally {
      await command.end("SIGKILL");
    }
  });
}

const pidOf = (screen: string, name: string): number =>
  Number(new RegExp(`up +${name} .* pid (\\d+)`).exec(screen)![1]);

async function isAlive(pid: number): Promise<boolean> {
  // A process that has ended and that nobody has asked about is still in the table, as a zombie.
  const { stdout } = Bun.spawnSync(["ps", "-o", "stat=", "-p", `${pid}`]);
  const state = stdout.toString().trim();
  return state !== "" && !state.startsWith("Z");
}

describe("hutch cluster", () => {
  test("shows three nodes and what to try, stops all cleanly, keeps their data, and forgets them with --fresh", async () => {
    await withDirectory(async (directory) => {
      const { port, peerPort } = freePorts();
      const first = start(directory, port, peerPort);
      const screen = await first.until(SHOWN);
      for (const line of [
        "a cluster of 3 nodes is running",
        `curl -X PUT localhost:${port}/v1/kv/demo/hello -d 'world'`,
        `curl localhost:${port + 1}/v1/kv/demo/hello`,
        `curl -i localhost:${port + 2}/v1/kv/demo/hello -H 'X-Consistency: ALL'`,
      ])
        expect(screen).toContain(line);
      for (const index of [0, 1, 2])
        expect(screen).toMatch(
          new RegExp(`up +n${index + 1} +http://127.0.0.1:${port + index} .* rack${index + 1} `),
        );
      const url = `http://127.0.0.1:${port}/v1/kv/demo/hello`;
      expect((await fetch(url, { method: "PUT", body: "world" })).status).toBe(204);
      expect(await first.end("SIGINT")).toBe(0);
      for (const name of ["n1", "n2", "n3"]) expect(await isAlive(pidOf(screen, name))).toBe(false);

      const second = start(directory, port, peerPort);
      await second.until(SHOWN);
      expect(await (await fetch(url)).text()).toBe("world");
      expect(await second.end("SIGTERM")).toBe(0);

      const third = start(directory, port, peerPort, "--fresh");
      await third.until(SHOWN);
      expect((await fetch(url)).status).toBe(404);
      expect(await third.end("SIGHUP")).toBe(0);
    });
  });

  test("Ctrl-C leaves clean data: no node takes a new incarnation at the next start", async () => {
    await withDirectory(async (directory) => {
      const { port, peerPort } = freePorts();
      const incarnations: string[] = [];
      for (const turn of [1, 2]) {
        const command = start(directory, port, peerPort);
        await command.until(SHOWN);
        const url = `http://127.0.0.1:${port + turn}`;
        expect((await put(`${url}/v1/kv/demo/turn-${turn}`, "v")).status).toBe(204);
        incarnations.push(
          (await nodesAt(url)).map(({ id, incarnation }) => `${id} ${incarnation}`).join(", "),
        );
        expect(await command.end("SIGINT")).toBe(0);
      }
      expect(incarnations).toEqual(["n1 1, n2 1, n3 1", "n1 1, n2 1, n3 1"]);
    });
  });

  test("--nodes 5 --racks 3: the owners of every partition are in three racks", async () => {
    await withStarted(["--nodes", "5", "--racks", "3"], async (command, screen, url) => {
      expect(screen).toContain("a cluster of 5 nodes is running");
      const nodes = await nodesAt(url(4));
      const rackOf = new Map(nodes.map(({ id, zone }) => [id, zone.rack]));
      expect([...rackOf.values()].sort()).toEqual(["rack1", "rack1", "rack2", "rack2", "rack3"]);
      const ring = await fetch(`${url(4)}/v1/cluster/ring`);
      const { partitions } = (await ring.json()) as { partitions: { owners: string[] }[] };
      expect(partitions.length).toBe(16);
      for (const { owners } of partitions)
        expect(new Set(owners.map((owner) => rackOf.get(owner))).size).toBe(3);
      expect(await command.end("SIGINT")).toBe(0);
    });
  });

  test("a node that dies is reported and the others go on, one that was paused stops too", async () => {
    await withStarted(["--nodes", "3"], async (command, screen, url) => {
      process.kill(pidOf(screen, "n2"), "SIGKILL");
      expect(await command.untilNoted("n2 was ended")).toContain(
        "hutch: node n2 was ended by SIGKILL; the others go on",
      );
      expect((await fetch(`${url(0)}/healthz`)).status).toBe(200);
      process.kill(pidOf(screen, "n3"), "SIGSTOP");
      // What was asked to end ended well; what died before has been told.
      expect(await command.end("SIGINT")).toBe(0);
      expect(await isAlive(pidOf(screen, "n3"))).toBe(false);
    });
  });

  test("--restart starts a dead node again on its data; the logs say whose they are", async () => {
    await withStarted(["--restart"], async (command, screen, url) => {
      process.kill(pidOf(screen, "n3"), "SIGKILL");
      expect(await command.untilNoted("ready again")).toContain("node n3 is ready again");
      expect((await fetch(`${url(2)}/readyz`)).status).toBe(200);
      expect(await command.end("SIGINT")).toBe(0);
      expect(await command.untilNoted("node n3 has stopped")).toMatch(/^n3 \| \{.*node_stopped/m);
    });
  });

  test("the last node that dies by itself ends the whole with 74, and its end is told", async () => {
    await withStarted(["--nodes", "1"], async (command, screen) => {
      process.kill(pidOf(screen, "n1"), "SIGKILL");
      expect(await command.exited).toBe(74);
      expect(await command.untilNoted("no node is left")).toContain("n1 was ended by SIGKILL");
    });
  });

  test("no node outlives the command, not even when that is killed", async () => {
    await withStarted(["--nodes", "2"], async (command, screen) => {
      await command.end("SIGKILL");
      const deadlineMs = performance.now() + 5000;
      for (const name of ["n1", "n2"])
        while (await isAlive(pidOf(screen, name))) {
          expect(performance.now()).toBeLessThan(deadlineMs);
          await Bun.sleep(20);
        }
    });
  });

  test("row 100: a port in use ends all with 71 and says which", async () => {
    await withDirectory(async (directory) => {
      const { port, peerPort } = freePorts();
      const busy = Bun.listen({
        hostname: "127.0.0.1",
        port: port + 1,
        socket: { data: () => undefined },
      });
      const refused = start(directory, port, peerPort, "--nodes", "3");
      expect(await refused.exited).toBe(71);
      busy.stop(true);
      const noted = await refused.untilNoted("never said");
      expect(noted).toMatch(new RegExp(`^n2 \\| .*127\\.0\\.0\\.1:${port + 1}`, "m"));
      expect(noted).toContain(`hutch: node n2 (127.0.0.1:${port + 1}, `);
      expect(noted).toContain("stopping the others");
    });
  });

  test("--fresh never deletes the data of a node that runs, nor those of its neighbours then", async () => {
    await withNode(async (node, dataDir) => {
      await fetch(node.key("demo", "k"), { method: "PUT", body: "v" });
      const directory = join(dataDir, "..");
      await (await NodeProcess.start(join(directory, "n2"))).end("SIGTERM");
      const { port, peerPort } = freePorts();
      const other = start(directory, port, peerPort, "--nodes", "2");
      expect(await other.exited).toBe(73);
      expect(existsSync(join(directory, "n2"))).toBe(true);
      const fresh = start(directory, port, peerPort, "--nodes", "2", "--fresh");
      expect(await fresh.exited).toBe(73);
      expect(existsSync(join(directory, "n2"))).toBe(true);
      expect(await (await fetch(node.key("demo", "k"))).text()).toBe("v");
    });
  });

  test("row 98: impossible numbers end with 78 before anything is made", async () => {
    await withDirectory(async (directory) => {
      const dataDir = join(directory, "data");
      for (const args of [
        ["--nodes", "65"],
        ["--nodes", "0"],
        ["--racks", "x"],
        ["--base-port", "65534"],
        ["--base-port", "7001", "--peer-base-port", "7003"],
      ]) {
        const { exitCode, stderr } = await hutch(["cluster", "--data-dir", dataDir, ...args]);
        expect([args, exitCode]).toEqual([args, 78]);
        expect(stderr).toMatch(/--(nodes|racks|base-port|peer-base-port): /);
      }
      expect(existsSync(dataDir)).toBe(false);
    });
  });
});
