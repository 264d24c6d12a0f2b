/** A node that is closed: tokens, roles, TLS, the audit log, and that all of it is read again without a restart. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, copyFileSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { connect } from "node:tls";
import { NodeProcess, freePort, hutch, withDirectory } from "./node-process.ts";

setDefaultTimeout(60_000);

/** Self-signed, for localhost and 127.0.0.1, until 2126. */
const fixtures = join(import.meta.dir, "../fixtures/tls");
const pem = (name: string): string => join(fixtures, `${name}.pem`);

interface Closed {
  readonly node: NodeProcess;
  readonly tokens: string;
  /** Files with a token each. */
  readonly ops: string;
  readonly app: string;
  readonly audit: string;
  send(path: string, token: string, request?: RequestInit): Promise<Response>;
}

async function create(file: string, id: string, ...args: readonly string[]): Promise<string> {
  const out = `${file}.${id}`;
  const made = await hutch(["token", "create", "--id", id, ...args, "--file", file, "--out", out]);
  expect(`${made.exitCode} ${made.stderr}`).toStartWith("0 ");
  return out;
}

/** Runs `body` with a node that has two tokens: an operator's, and one for the keys `users/eu/*`. */
async function withClosedNode(body: (closed: Closed) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const tokens = join(directory, "tokens.json");
    const audit = join(directory, "audit.log");
    const ops = await create(tokens, "ops", "--role", "admin");
    const place = ["--bucket", "users", "--prefix", "eu/"];
    const app = await create(tokens, "app", "--role", "read,write", ...place);
    const node = await NodeProcess.start(join(directory, "n1"), {
      args: ["--auth-tokens", tokens, "--audit-log", audit],
    });
    const send: Closed["send"] = (path, token, request = {}) => {
      const headers = new Headers(request.headers);
      if (token !== "")
        headers.set("Authorization", `Bearer ${readFileSync(token, "utf8").trim()}`);
      return fetch(node.url + path, { ...request, headers });
    };
    try {
      await body({ node, tokens, ops, app, audit, send });
    } finally {
      await node.end("SIGKILL");
    }
  });
}

/** The node reads its files in its own time after a signal. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await Bun.sleep(20);
}

describe("a node with auth-tokens", () => {
  test("rows 54, 55: asks everybody but probes for a token, and holds each to its place", async () => {
    await withClosedNode(async ({ node, tokens, ops, app, audit, send }) => {
      const put = { method: "PUT", body: "v" };
      expect((await send("/v1/kv/users/eu/a", "", put)).status).toBe(401);
      expect((await send("/v1/kv/users/us/a", app, put)).status).toBe(403);
      expect((await send("/v1/kv/users/eu/a", app, put)).status).toBe(204);
      // Twice, so that the answer is one of those that are kept.
      for (let i = 0; i < 4; i++) expect((await send("/v1/kv/users/eu/a", ops)).status).toBe(200);
      expect((await send("/v1/kv/users/eu/a", "")).status).toBe(401);
      for (const path of ["/metrics", "/v1/admin/jobs", "/v1/cluster"])
        expect((await send(path, "")).status).toBe(401);
      for (const path of ["/healthz", "/readyz", "/v1/openapi.json"])
        expect((await send(path, "")).status).toBe(200);
      expect((await send("/v1/admin/flush", app, { method: "POST" })).status).toBe(403);
      expect((await send("/v1/admin/flush", ops, { method: "POST" })).status).toBe(202);

      const lines = readFileSync(audit, "utf8").trim().split("\n");
      const acts = lines.map((line) => JSON.parse(line)).filter((l) => l.event === "admin_act");
      expect(acts).toHaveLength(1);
      expect(acts[0]).toMatchObject({
        who: "ops",
        act: "POST /v1/admin/flush",
        status: 202,
        from: "127.0.0.1",
      });
      expect(statSync(audit).mode & 0o777).toBe(0o600);

      // Withdrawn, and the node told.
      expect((await hutch(["token", "revoke", "app", "--file", tokens])).exitCode).toBe(0);
      node.child.kill("SIGHUP");
      await until(async () => (await send("/v1/kv/users/eu/a", app)).status === 401);
      expect((await send("/v1/kv/users/eu/a", ops)).status).toBe(200);

      // A file that cannot be used changes nothing.
      writeFileSync(tokens, "{");
      node.child.kill("SIGHUP");
      await Bun.sleep(300);
      expect((await send("/v1/kv/users/eu/a", ops)).status).toBe(200);
      await node.end("SIGTERM");
      const log = await node.log();
      expect(log).toContain("tokens_kept");
      for (const file of [ops, app]) {
        const secret = readFileSync(file, "utf8").trim();
        expect(log).not.toContain(secret);
        expect(readFileSync(audit, "utf8")).not.toContain(secret);
      }
    });
  });

  test("Q23: commands take the token from a file or the environment, and warn of the command line", async () => {
    await withClosedNode(async ({ node, ops }) => {
      const secret = readFileSync(ops, "utf8").trim();
      const url = ["--url", node.url];
      const put = await hutch(["put", "demo/k", "v", ...url, "--token-file", ops]);
      expect(`${put.exitCode} ${put.stderr}`).toStartWith("0 ");
      expect(
        (await hutch(["get", "demo/k", ...url], { environment: { HUTCH_TOKEN: secret } })).stdout,
      ).toBe("v");
      const warned = await hutch(["get", "demo/k", ...url, "--token", secret]);
      expect(warned.stdout).toBe("v");
      expect(warned.stderr).toContain("can be read by others");
      expect(warned.stderr).not.toContain(secret);
      const broken = await hutch(["get", "demo/k", ...url, "--token", "two words"]);
      expect([broken.exitCode, broken.stderr.includes("two words")]).toEqual([78, false]);
      const refused = await hutch(["get", "demo/k", ...url]);
      expect(refused.exitCode).toBe(77);
      expect(refused.stderr).toContain("--token-file");
    });
  });

  test("row 97: a file of tokens or a key that others can read ends with 78 and makes nothing", async () => {
    await withDirectory(async (directory) => {
      const tokens = join(directory, "tokens.json");
      await create(tokens, "ops", "--role", "admin");
      chmodSync(tokens, 0o640);
      const own = ["--listen", `127.0.0.1:${freePort()}`, "--peer", `127.0.0.1:${freePort()}`];
      const data = ["--data-dir", join(directory, "n1")];
      const open = await hutch(["serve", ...own, ...data, "--auth-tokens", tokens]);
      expect([open.exitCode, open.stderr.includes("chmod 600")]).toEqual([78, true]);
      const key = join(directory, "key.pem");
      copyFileSync(pem("key-1"), key);
      chmodSync(key, 0o644);
      const tls = ["--tls-cert", pem("cert-1"), "--tls-key", key];
      const exposed = await hutch(["serve", ...own, ...data, ...tls]);
      expect([exposed.exitCode, exposed.stderr.includes("chmod 600")]).toEqual([78, true]);
      const wrong = join(directory, "wrong.pem");
      copyFileSync(pem("key-2"), wrong);
      chmodSync(wrong, 0o600);
      const pair = ["--tls-cert", pem("cert-1"), "--tls-key", wrong];
      expect((await hutch(["serve", ...own, ...data, ...pair])).exitCode).toBe(78);
      expect(statSync(join(directory, "n1"), { throwIfNoEntry: false })).toBeUndefined();
    });
  });
});

/** What a TLS handshake with the node shows: when its certificate ends, or why there is none. */
function handshake(url: string, maxVersion: "TLSv1.1" | "TLSv1.2" | "TLSv1.3"): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect({
      host: hostname,
      port: Number(port),
      rejectUnauthorized: false,
      minVersion: "TLSv1",
      maxVersion,
    });
    socket.on("secureConnect", () => {
      resolve(String(socket.getPeerCertificate().subject.O));
      socket.destroy();
    });
    socket.on("error", () => resolve("refused"));
  });
}

describe("a node with tls-cert", () => {
  test("Q26: speaks TLS 1.2 or later only, with a certificate that changes without a restart", async () => {
    await withDirectory(async (directory) => {
      const cert = join(directory, "cert.pem");
      const key = join(directory, "key.pem");
      const use = (which: 1 | 2) => {
        copyFileSync(pem(`cert-${which}`), cert);
        copyFileSync(pem(`key-${which}`), key);
        chmodSync(key, 0o600);
      };
      use(1);
      const args = ["--tls-cert", cert, "--tls-key", key];
      const node = await NodeProcess.start(join(directory, "n1"), { args, tls: true });
      try {
        expect(await handshake(node.url, "TLSv1.1")).toBe("refused");
        expect(await handshake(node.url, "TLSv1.2")).toBe("one");
        const ca = (which: 1 | 2) => ["--url", node.url, "--ca", pem(`cert-${which}`)];
        const put = await hutch(["put", "demo/k", "v", ...ca(1)]);
        expect(`${put.exitCode} ${put.stderr}`).toStartWith("0 ");
        // Nobody is believed whose certificate is not known.
        expect((await hutch(["get", "demo/k", "--url", node.url])).exitCode).toBe(69);
        const believing = { tls: { ca: readFileSync(pem("cert-1"), "utf8") } };
        const metrics = await (await fetch(`${node.url}/metrics`, believing)).text();
        expect(metrics).toMatch(/hutch_tls_certificate_expiry_timestamp_seconds \d{10}/);
        // A plain request on this port is none.
        const plain = await fetch(node.url.replace("https", "http")).then(
          ({ status }) => status,
          () => 0,
        );
        expect(plain).not.toBe(200);

        use(2);
        node.child.kill("SIGHUP");
        await until(async () => (await handshake(node.url, "TLSv1.3")) === "two");
        expect((await hutch(["get", "demo/k", ...ca(2)])).stdout).toBe("v");
        // A key of another certificate is refused and the old pair stays.
        copyFileSync(pem("key-1"), key);
        node.child.kill("SIGHUP");
        await Bun.sleep(300);
        expect(await handshake(node.url, "TLSv1.3")).toBe("two");
        expect(await node.end("SIGTERM")).toBe(0);
        expect(await node.log()).toContain("certificate_kept");
      } finally {
        await node.end("SIGKILL");
      }
    });
  });
});

test("row 101: a public address is fine once clients and nodes are asked who they are", async () => {
  await withDirectory(async (directory) => {
    const tokens = join(directory, "tokens.json");
    const ops = await create(tokens, "ops", "--role", "admin");
    const port = freePort();
    const node = await NodeProcess.start(join(directory, "n1"), {
      port,
      // The later flag counts.
      args: ["--auth-tokens", tokens, "--listen", `0.0.0.0:${port}`],
    });
    try {
      expect((await fetch(`${node.url}/v1/kv/demo/a`)).status).toBe(401);
      const headers = { Authorization: `Bearer ${readFileSync(ops, "utf8").trim()}` };
      expect((await fetch(`${node.url}/v1/kv/demo/a`, { headers })).status).toBe(404);
      // A page of a stranger that has given its name our address.
      const rebound = { ...headers, Host: "attacker.example" };
      expect((await fetch(`${node.url}/v1/kv/demo/a`, { headers: rebound })).status).toBe(421);
      await node.end("SIGTERM");
      const log = await node.log();
      expect(log).toContain("tokens_travel_readable");
      expect(log).not.toContain("open_to_everybody");
    } finally {
      await node.end("SIGKILL");
    }
  });
});
