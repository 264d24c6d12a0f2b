/** `hutch cluster --secure` as somebody meets it: what is printed works, who has nothing to show gets nothing, and keys change under load. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bunPeers } from "../ports/bun-peers.ts";
import { Heard, bytesOf } from "../ports/peer-world.ts";
import { testTls } from "../support/test-certificates.ts";
import { freePort, hutch, startCommand } from "./node-process.ts";

const directory = mkdtempSync(join(tmpdir(), "hutch-secure-"));
const security = join(directory, "security");
const secret = (name: string): string => readFileSync(join(security, name), "utf8").trim();
let cluster: ReturnType<typeof startCommand>;
let screen: string;
let base: number;
let peerBase: number;

/** So many free ports in a row. */
function freePorts(): number {
  return freePort() & ~7;
}

beforeAll(async () => {
  [base, peerBase] = [freePorts(), freePorts()];
  while (Math.abs(base - peerBase) < 8) peerBase = freePorts();
  const ports = ["--base-port", String(base), "--peer-base-port", String(peerBase)];
  cluster = startCommand(["cluster", "--secure", "--data-dir", directory, ...ports]);
  screen = await cluster.until("Ctrl-C stops it");
}, 40_000);

afterAll(async () => {
  await cluster.end("SIGTERM");
  rmSync(directory, { recursive: true });
}, 20_000);

/** Runs one line in a shell that has the variables of the printed line. */
const environment = (): Record<string, string> => ({
  HUTCH_URL: `https://localhost:${base}`,
  HUTCH_CA: join(security, "ca.pem"),
  HUTCH_TOKEN: secret("admin.token"),
});

function ask(path: string, token?: string): Promise<Response> {
  return fetch(`https://localhost:${base + 1}${path}`, {
    headers: token === undefined ? {} : { Authorization: `Bearer ${token}` },
    tls: { ca: secret("ca.pem") },
  });
}

async function metric(name: string): Promise<number> {
  const text = await (await ask("/metrics", secret("metrics.token"))).text();
  return Number(
    text
      .split("\n")
      .find((line) => line.startsWith(name))
      ?.split(" ")[1] ?? Number.NaN,
  );
}

test("what --secure prints works, and secrets are their owner's alone", async () => {
  const { stderr } = await hutch(["put", "demo/hello", "world"], { environment: environment() });
  expect(stderr).not.toContain("Cannot");
  const line = screen.split("\n").find((text) => text.includes("curl --cacert"))!;
  const { stdout } = Bun.spawnSync(["sh", "-c", line.replace("curl ", "curl -s ")]);
  expect(stdout.toString()).toBe("world");
  for (const name of ["cluster.keys", "ca-key.pem", "n1-key.pem", "admin.token", "tokens.json"])
    expect([name, statSync(join(security, name)).mode & 0o777]).toEqual([name, 0o600]);
  expect((await ask("/v1/kv/demo/hello")).status).toBe(401);
});

test.skipIf(process.platform !== "linux")(
  "Q23: no command line of the cluster shows a secret, nor does the one that it prints for curl",
  () => {
    const pids = [...screen.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
    const lines = [cluster.pid, ...pids].map((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
    expect(lines.length).toBe(4);
    const key = secret("cluster.keys").split("\n").at(-1)!;
    for (const line of lines)
      for (const hidden of [secret("admin.token"), secret("app.token"), key, "PRIVATE KEY"])
        expect(line).not.toContain(hidden);
    expect(screen).not.toMatch(/curl.*\$\(cat/);
  },
);

test("row 59: who has no certificate of the authority, or no key, opens no link and gets no datagram answered", async () => {
  const refusedBefore = await metric("hutch_peer_handshakes_refused_total");
  const worlds = [bunPeers(testTls("n2")), bunPeers()];
  for (const world of worlds) {
    const { transport } = await world.bind();
    const to = `127.0.0.1:${peerBase + 1}`;
    const outcome = transport.connect(to, bytesOf("hello"), 2000, new Heard().open);
    expect(
      await outcome.then(
        () => "open",
        () => "refused",
      ),
    ).toBe("refused");
  }
  expect(await metric("hutch_peer_handshakes_refused_total")).toBeGreaterThan(refusedBefore);
  // With a certificate and without the key: refused by name.
  const [cert, key, ca] = ["n1.pem", "n1-key.pem", "ca.pem"].map(secret);
  const insider = bunPeers({ cert: cert!, key: key!, ca: ca! });
  const { transport, datagrams } = await insider.bind();
  const to = `127.0.0.1:${peerBase + 1}`;
  const refusal = transport.connect(to, bytesOf("hello"), 2000, new Heard().open);
  expect(await refusal.catch((thrown) => thrown)).toMatchObject({ status: 401 });
  // Q8: nothing comes back to somebody who sends what is not sealed, however much of it.
  const plainBefore = await metric('hutch_gossip_datagrams_refused_total{reason="plain"}');
  let answers = 0;
  datagrams.onReceive(() => answers++);
  for (let i = 0; i < 40; i++) datagrams.send(to, new Uint8Array(i * 30).fill(i));
  while ((await metric('hutch_gossip_datagrams_refused_total{reason="plain"}')) < plainBefore + 30)
    await Bun.sleep(20);
  expect(answers).toBe(0);
  await Promise.all([...worlds, insider].map((world) => world.closeAll()));
}, 20_000);

test("Q7: keys are changed under load, and no member is lost meanwhile", async () => {
  const file = join(security, "cluster.keys");
  const pids = [...screen.matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  const unknown = 'hutch_gossip_datagrams_refused_total{reason="unknown-key"}';
  const unknownBefore = await metric(unknown);
  let isOver = false;
  const [failed, states] = [[] as number[], new Set<string>()];
  const load = (async () => {
    for (let i = 0; !isOver; i++) {
      const headers = { Authorization: `Bearer ${secret("app.token")}`, "X-Consistency": "ALL" };
      const url = `https://localhost:${base + (i % 3)}/v1/kv/demo/k${i % 50}`;
      const init = { method: "PUT", headers, body: `${i}`, tls: { ca: secret("ca.pem") } };
      const { status } = await fetch(url, init);
      if (status >= 400) failed.push(status);
      const answer = await ask("/v1/cluster/nodes", secret("admin.token"));
      const { nodes } = (await answer.json()) as { nodes: { state: string }[] };
      for (const node of nodes) states.add(node.state);
    }
  })();
  const keys = async (...args: string[]): Promise<string> => {
    const { stdout, exitCode } = await hutch(["keys", ...args, "--file", file]);
    expect([args, exitCode]).toEqual([args, 0]);
    return stdout;
  };
  const tell = async (): Promise<void> => {
    // One after the other, as a person would.
    for (const pid of pids) {
      process.kill(pid, "SIGHUP");
      await Bun.sleep(150);
    }
  };
  const [old] = JSON.parse(await keys("list", "--json")) as { name: string }[];
  await keys("install");
  const fresh = JSON.parse(await keys("list", "--json"))[1].name;
  await tell();
  await keys("use", fresh);
  await tell();
  await keys("remove", old!.name);
  await tell();
  await Bun.sleep(1500);
  isOver = true;
  await load;
  expect([...states]).toEqual(["up"]);
  expect(failed).toEqual([]);
  expect(await metric(unknown)).toBe(unknownBefore);
}, 30_000);

test("Q7: a key file that others may read is refused at start, with what to do", async () => {
  const file = join(directory, "open.keys");
  writeFileSync(file, readFileSync(join(security, "cluster.keys")), { mode: 0o644 });
  const { exitCode, stderr } = await hutch([
    "serve",
    "--cluster-key-file",
    file,
    "--data-dir",
    join(directory, "x"),
    "--listen",
    `127.0.0.1:${freePort()}`,
    "--peer",
    `127.0.0.1:${freePort()}`,
  ]);
  expect(exitCode).toBe(78);
  expect(stderr).toContain(`chmod 600 ${file}`);
  expect(stderr).not.toContain(secret("cluster.keys").split("\n")[1]!);
});

test("Q7: the commands of docs/security.md change a key", async () => {
  const page = readFileSync(join(import.meta.dir, "../../docs/security.md"), "utf8");
  const blocks = [...page.matchAll(/^```console\n([^`]+)^```/gm)];
  const lines = blocks.flatMap(([, block]) => block!.trim().split("\n"));
  expect(lines.map((line) => line.split(" ")[2])).toEqual([
    "new",
    "install",
    "list",
    "use",
    "remove",
  ]);
  const work = { directory: mkdtempSync(join(directory, "page-")) };
  const list = async (): Promise<string[]> => {
    const { stdout } = await hutch(["keys", "list", "--file", "cluster.keys", "--json"], work);
    return (JSON.parse(stdout) as { name: string }[]).map(({ name }) => name);
  };
  let names: string[] = [];
  for (const line of lines) {
    const named = line.replace("NEW", names[1] ?? "NEW").replace("OLD", names[0] ?? "OLD");
    const { exitCode, stderr } = await hutch(named.split(" ").slice(1), work);
    expect([line, exitCode, stderr.includes("Cannot")]).toEqual([line, 0, false]);
    if (names.length < 2) names = await list();
  }
  expect(await list()).toEqual([names[1]!]);
});
