/**
 * `hutch cluster`: nodes as child processes of this one, which stays in the foreground and stops them when it is stopped.
 *
 * Each child has a process group of its own: Ctrl-C in a terminal goes to the whole group of this process, and a node
 * that got that *and* our SIGTERM would take the second for "stop at once". A node that dies is reported, never started
 * again: what it has to say would be lost in the noise of a loop. This release runs one node.
 */

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { HutchError } from "../base/errors.ts";
import { BunDisk } from "../bun/disk.ts";
import { LOCK_FILE } from "../storage/file-names.ts";
import { EXIT } from "./exit-codes.ts";
import { CLUSTER_KNOBS, knobArguments } from "./knob-options.ts";
import { READY_MARK, note, print, styled } from "./terminal.ts";

type Options = Readonly<Record<string, string | boolean | undefined>>;

const PRINTED_LENGTH_MAX = 4096;
/** A node that recovers a large log takes its time; after this the person is told where to look. */
const START_MS_MAX = 60_000;

interface LocalNode {
  readonly id: string;
  readonly url: string;
  readonly dataDir: string;
  readonly process: Bun.Subprocess<"ignore", "pipe", "inherit">;
}

export async function runCluster(options: Options): Promise<void> {
  if (wholeNumber(options, "nodes") !== 1)
    throw new HutchError(
      "bad-config",
      `Cannot run ${String(options["nodes"])} nodes: several nodes come with the cluster release, this one runs --nodes 1`,
    );
  const node = startNode(options);
  stopWithThisProcess(node);
  if (await isReady(node)) showScreen(node);
  process.exitCode = await endOf(node);
}

function startNode(options: Options): LocalNode {
  const id = "n1";
  const dataDir = join(String(options["dataDir"]), id);
  mkdirSync(String(options["dataDir"]), { recursive: true, mode: 0o700 });
  if (options["fresh"] === true) removeData(dataDir);
  const listen = `127.0.0.1:${wholeNumber(options, "basePort")}`;
  const peer = `127.0.0.1:${wholeNumber(options, "peerBasePort")}`;
  const own = ["--node-id", id, "--listen", listen, "--peer", peer, "--data-dir", dataDir];
  const file = typeof options["config"] === "string" ? ["--config", options["config"]] : [];
  const child = Bun.spawn({
    cmd: [
      process.execPath,
      join(import.meta.dir, "main.ts"),
      "serve",
      ...own,
      ...file,
      ...knobArguments(options, CLUSTER_KNOBS),
    ],
    env: { ...process.env, BUN_BE_BUN: "1" },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  return { id, url: `http://${listen}`, dataDir, process: child };
}

function wholeNumber(options: Options, name: string): number {
  const value = Number(options[name]);
  if (Number.isSafeInteger(value) && value > 0 && value <= 65_535) return value;
  const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new HutchError("bad-config", `--${flag}: "${String(options[name])}" is outside 1 to 65535`);
}

/** Deletes a node's directory, unless a running node has it: taking its lock finds that out. */
function removeData(dataDir: string): void {
  try {
    new BunDisk(dataDir).lock(LOCK_FILE, "removed by --fresh\n").release();
  } catch (cause) {
    throw new HutchError("data-dir-in-use", `Cannot delete "${dataDir}": another process has it`, {
      cause,
    });
  }
  rmSync(dataDir, { recursive: true });
}

/**
 * True once the node has said that it is ready; false where it ended before. Its own word counts: whoever answers on its port
 * may be another program.
 */
async function isReady(node: LocalNode): Promise<boolean> {
  const hurry = setTimeout(
    () => note(`node ${node.id} is still starting; see the lines above`),
    START_MS_MAX,
  );
  const isReady = Promise.withResolvers<boolean>();
  void readToEnd(
    node.process.stdout,
    (printed) => printed.includes(READY_MARK) && isReady.resolve(true),
  ).then(() => isReady.resolve(false));
  const answer = await isReady.promise;
  clearTimeout(hurry);
  return answer;
}

/** Reads what the node prints to its end, so that it never waits for a reader; what it prints is a few lines. */
async function readToEnd(
  stream: ReadableStream<Uint8Array>,
  onText: (printed: string) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let printed = "";
  for await (const chunk of stream) {
    printed = (printed + decoder.decode(chunk, { stream: true })).slice(-PRINTED_LENGTH_MAX);
    onText(printed);
  }
}

function showScreen(node: LocalNode): void {
  const host = node.url.replace("http://127.0.0.1", "localhost");
  print(styled("bold", "hutch: a cluster of one node is running"));
  print();
  print(
    `  ${styled("green", "up")}  ${node.id}  ${node.url}  data ${node.dataDir}  pid ${node.process.pid}`,
  );
  print();
  print("try:");
  print(styled("cyan", `  curl -X PUT ${host}/v1/kv/demo/hello -d 'world'`));
  print(styled("cyan", `  curl ${host}/v1/kv/demo/hello`));
  print(styled("cyan", `  curl '${host}/v1/kv/demo?prefix=h'`));
  print();
  print(styled("dim", "Ctrl-C stops it; the data stay"));
}

/** The first signal asks the node to stop cleanly, the second makes it stop at once. */
function stopWithThisProcess(node: LocalNode): void {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.on(signal, () => {
      note("");
      node.process.kill("SIGTERM");
    });
  // However this process ends, no node stays behind unseen.
  process.on("exit", () => node.process.kill("SIGTERM"));
}

async function endOf(node: LocalNode): Promise<number> {
  const exitCode = await node.process.exited;
  if (exitCode === 0) note(`node ${node.id} has stopped`);
  else note(`hutch: node ${node.id} ended with exit code ${exitCode}`);
  return node.process.signalCode === null ? exitCode : EXIT.io;
}
