/** A node in a process of its own that echoes what links bring, to be stopped, killed and measured. */
import * as fs from "node:fs";

const TRANSPORT = JSON.stringify(new URL("../../src/bun/transport.ts", import.meta.url).href);
const ECHO = `
  import { bindPeerPorts } from ${TRANSPORT};
  const quiet = () => undefined;
  const logger = { debug: quiet, info: quiet, warn: quiet, error: quiet };
  const { transport, address } = await bindPeerPorts({ hostname: "127.0.0.1", port: 0, logger });
  transport.onConnect((hello) => ({
    kind: "accepted",
    hello,
    open: (link) => ({ message: (bytes) => link.send(bytes), ended: quiet }),
  }));
  console.log(address);
  setTimeout(() => process.exit(), 60_000);`;

export interface EchoProcess {
  readonly address: string;
  signal(name: "SIGSTOP" | "SIGCONT" | "SIGKILL"): void;
  /** Resident memory, now. */
  rssBytes(): number;
}

const children: Bun.Subprocess[] = [];

export async function echoProcess(): Promise<EchoProcess> {
  const child = Bun.spawn([process.execPath, "-e", ECHO], { stdout: "pipe", stderr: "inherit" });
  children.push(child);
  const { value } = await child.stdout.getReader().read();
  return {
    address: new TextDecoder().decode(value).trim(),
    signal: (name) => child.kill(name),
    rssBytes: () => {
      const status = fs.readFileSync(`/proc/${child.pid}/status`, "utf8");
      return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) * 1024;
    },
  };
}

export function stopEchoProcesses(): void {
  for (const child of children) child.kill("SIGKILL");
}
