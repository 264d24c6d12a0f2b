/** A real node that asks for tokens, with data that only some of them may see, and raw requests that no client library would send. */
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { showTokenFile, type TokenEntry } from "../../src/http/token-file.ts";
import { writeSecretFile } from "../../src/cli/key-file.ts";
import { NodeProcess } from "../e2e/node-process.ts";

export const tokenOf = (id: string): string => `hutch_secret-of-${id}`;
export const bearer = (id: string) => ({ Authorization: `Bearer ${tokenOf(id)}` });

export function entry(
  id: string,
  roles: TokenEntry["roles"],
  more: Partial<TokenEntry> = {},
): TokenEntry {
  return { id, sha256: createHash("sha256").update(tokenOf(id)).digest("hex"), roles, ...more };
}

export interface ClosedNode {
  readonly node: NodeProcess;
  readonly directory: string;
  readonly tokens: string;
  readonly audit: string;
  /** `GET /path`, as the token `id` ("" for nobody). */
  send(id: string, line: string, init?: RequestInit): Promise<Response>;
  /** What comes back for these bytes, until the node closes or is quiet. */
  raw(text: string): Promise<string>;
  close(): Promise<void>;
}

const QUIET_MS = 150;

export async function closedNode(
  entries: readonly TokenEntry[],
  args: readonly string[] = [],
): Promise<ClosedNode> {
  const directory = mkdtempSync(join(tmpdir(), "hutch-attacks-"));
  const tokens = join(directory, "tokens.json");
  const audit = join(directory, "audit.log");
  writeSecretFile(tokens, showTokenFile(entries));
  const node = await NodeProcess.start(join(directory, "n1"), {
    args: ["--auth-tokens", tokens, "--audit-log", audit, ...args],
  });
  return {
    node,
    directory,
    tokens,
    audit,
    send: (id, line, init = {}) => {
      const space = line.indexOf(" ");
      const headers = new Headers(init.headers);
      if (id !== "") headers.set("Authorization", `Bearer ${tokenOf(id)}`);
      const method = line.slice(0, space);
      return fetch(node.url + line.slice(space + 1), {
        ...init,
        method,
        headers,
        redirect: "manual",
      });
    },
    raw: (text) => sendRaw(new URL(node.url), text),
    close: async () => {
      await node.end("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** What comes back for these bytes, until the node closes or is quiet. */
export function sendRaw({ hostname, port }: URL, text: string): Promise<string> {
  return new Promise((resolve) => {
    let heard = "";
    const socket = connect(Number(port), hostname, () => socket.write(text, "latin1"));
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(heard);
    };
    let timer = setTimeout(finish, 10 * QUIET_MS);
    socket.on("data", (chunk) => {
      heard += chunk.toString("latin1");
      clearTimeout(timer);
      timer = setTimeout(finish, QUIET_MS);
    });
    socket.on("close", finish);
    socket.on("error", finish);
  });
}
