/**
 * `hutch serve`: one node in the foreground, from its configuration to its exit code.
 *
 *   0. read the files of keys and tokens: a node that is to be closed must not be open for a moment
 *   1. take the ports: the cheapest thing to fail, and nothing is on disk yet (row 100)
 *   2. open the data directory and the node; until then requests get 503; say so once it is ready
 *   3. wait for a signal, or for the store to give up
 *   4. not ready, no new work, let what is inside end, stop listening, close the store (N20)
 */

import { mkdirSync } from "node:fs";
import { HutchError, messageOf } from "../base/errors.ts";
import type { HttpServer, RequestTimeouts } from "../bun/http-server.ts";
import { startHttpServer } from "../bun/http-server.ts";
import { createBunLogger } from "../bun/logger.ts";
import { OtlpTracer } from "../bun/otlp-tracer.ts";
import type { Config } from "../config.ts";
import { formatAddress } from "../config/knob-kinds.ts";
import type { Node } from "../node.ts";
import { startNode } from "../node.ts";
import type { Logger } from "../ports/logger.ts";
import type { Tracer } from "../ports/tracer.ts";
import type { PeerPorts } from "../ports/transport.ts";
import { type BunPortsOptions, createBunPorts } from "./bun-ports.ts";
import { ClientSecurity } from "./client-security.ts";
import { urlOf } from "./connect.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { configFrom } from "./knob-options.ts";
import { bindPeers } from "./peer-ports.ts";
import { VERSION } from "./version.ts";
import { READY_MARK, note, print, styled } from "./terminal.ts";

/** Where the data of a node are that was not told: beside the person who started it. */
const DEFAULT_PARENT = ".hutch";

export async function serve(options: Readonly<Record<string, unknown>>): Promise<void> {
  const { config, warnings } = configFrom(options);
  warnings.forEach(note);
  const logger = createBunLogger({ level: config.logLevel, format: config.logFormat });
  const security = new ClientSecurity(config, logger);
  const ending = new Ending();
  const door = new Door(config.nodeId);
  const server = startHttpServer({
    app: door,
    hostname: config.listen.host,
    port: config.listen.port,
    logger,
    idleTimeout: Math.ceil(config.idleTimeoutMs / 1000),
    certificate: security.certificate,
  });
  security.watch(server, (error) => ending.fail(error));
  let node: Node | undefined;
  try {
    const peers = await bindPeers(config, logger);
    const tracer = tracerOf(config, logger);
    const opening = openNode(config, { logger, peers, server, tracer }, security);
    node = await orEnd(opening, ending);
  } catch (error) {
    await server.stop(0);
    throw error;
  }
  if (node === undefined) {
    logger.info("stopped_before_ready");
    process.exit(EXIT.ok);
  }
  door.open(node);
  node.onFailure((error) => ending.fail(error));
  node.onGone(() => ending.endOrderly());
  void announceOnceReady(node, config);
  process.exitCode = await endOf(node, server, config, logger, await ending.reason);
  // Whatever still holds the loop (a timer, an idle connection) has nothing left to do.
  process.exit();
}

/**
 * A node that waits for others to form a cluster may wait for ever, and so it hears a signal there: `undefined`. What is open by then ends with the
 * process, which is as safe as a crash; there was nobody to be told that something worked.
 */
function orEnd(opening: Promise<Node>, ending: Ending): Promise<Node | undefined> {
  const asked = ending.reason.then((failure) => {
    if (failure !== undefined) throw failure;
    return undefined;
  });
  return Promise.race([opening, asked]);
}

async function openNode(
  config: Config,
  world: Omit<BunPortsOptions, "dataDir"> & { readonly peers: PeerPorts },
  security: ClientSecurity,
): Promise<Node> {
  const { memoryLimitBytes } = config;
  const { peers } = world;
  try {
    return await startNode(config, () => ({
      ...createBunPorts({ ...world, dataDir: dataDirOf(config), memoryLimitBytes }),
      ...security.ports,
    }));
  } catch (error) {
    peers.datagrams.close();
    await peers.transport.close();
    throw error;
  }
}

function tracerOf(config: Config, logger: Logger): Tracer | undefined {
  const { tracesUrl, tracesRatio, nodeId } = config;
  if (tracesUrl === "") return undefined;
  const resource = { version: VERSION, nodeId, cluster: config.cluster };
  return new OtlpTracer({ url: tracesUrl, ratio: Number(tracesRatio), resource, logger });
}

function dataDirOf(config: Config): string {
  if (config.dataDir !== "") return config.dataDir;
  mkdirSync(DEFAULT_PARENT, { recursive: true, mode: 0o700 });
  return `${DEFAULT_PARENT}/${config.nodeId}`;
}

/** What the server asks: the node, or nobody yet. */
class Door {
  #node: Node | undefined;
  readonly #nodeId: string;

  constructor(nodeId: string) {
    this.#nodeId = nodeId;
  }

  open(node: Node): void {
    this.#node = node;
  }

  fetch(request: Request, server: RequestTimeouts): Response | Promise<Response> {
    return this.#node === undefined
      ? notYet(request, this.#nodeId)
      : this.#node.app.fetch(request, server);
  }
}

/** The process is up, and that is all. */
function notYet(request: Request, nodeId: string): Response {
  const requestId = crypto.randomUUID();
  const base = { "X-Request-Id": requestId, "X-Node": nodeId };
  // A request without a usable Host has no URL, and is no reason for a line in the log.
  if (URL.parse(request.url)?.pathname === "/healthz")
    return new Response("starting\n", { headers: base });
  const problem = {
    type: "urn:hutch:problem:unavailable",
    title: "Unavailable",
    status: 503,
    detail: "Cannot answer yet: the node is starting",
    code: "unavailable",
    requestId,
    retry: "safe",
  };
  const headers = { ...base, "Content-Type": "application/problem+json", "Retry-After": "1" };
  return new Response(`${JSON.stringify(problem)}\n`, { status: 503, headers });
}

/** Why the node ends: a signal (undefined), or an error. The first reason counts. */
class Ending {
  readonly reason: Promise<HutchError | undefined>;
  #settle: (reason: HutchError | undefined) => void = () => undefined;
  /** When it was told first. */
  #askedMs: number | undefined;

  constructor() {
    this.reason = new Promise((resolve) => (this.#settle = resolve));
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => this.#onSignal());
    // Nothing should come this far. What does has left something half done: the node ends, and recovers at its next start.
    process.on("uncaughtException", (error) => this.fail(asFailure(error)));
    process.on("unhandledRejection", (error) => this.fail(asFailure(error)));
  }

  fail(error: HutchError): void {
    this.#settle(error);
  }

  /** As after a signal. */
  endOrderly(): void {
    this.#settle(undefined);
  }

  /** The second signal ends the process at once, which is as safe as a crash. */
  #onSignal(): void {
    const nowMs = performance.now();
    this.#askedMs ??= nowMs;
    if (nowMs - this.#askedMs > ONE_PRESS_MS) process.exit(EXIT_AT_ONCE);
    this.#settle(undefined);
  }
}

function asFailure(thrown: unknown): HutchError {
  if (thrown instanceof HutchError) return thrown;
  const cause = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return new HutchError("io-error", `Cannot go on: ${cause}`, { cause: thrown });
}

/** What comes within this time is one wish: a terminal sends Ctrl-C to a launcher and to the node, and launchers pass it on as well. */
const ONE_PRESS_MS = 300;
/** Of a process that was told twice: what a shell reports for SIGTERM. */
const EXIT_AT_ONCE = 143;

async function endOf(
  node: Node,
  server: HttpServer,
  config: Config,
  logger: Logger,
  failure: HutchError | undefined,
): Promise<number> {
  if (failure !== undefined) {
    logger.error("node_failed", { code: failure.code, reason: failure.message });
    // The disk cannot be trusted with an orderly end: stop answering and go (C15).
    void server.stop(0);
    return exitCodeOf(failure);
  }
  logger.info("node_stopping");
  const deadlineMs = performance.now() + config.shutdownTimeoutMs;
  const leftMs = () => Math.max(0, deadlineMs - performance.now());
  await Promise.race([node.drain(), Bun.sleep(leftMs())]);
  await server.stop(leftMs());
  try {
    await node.close();
  } catch (error) {
    logger.error("close_failed", { reason: messageOf(error) });
    return exitCodeOf(error);
  }
  logger.info("node_stopped");
  return 0;
}

const READY_POLL_MS = 20;

/** A node of several has to find the others and get what it missed, which may take for ever: meanwhile signals are heard. */
async function announceOnceReady(node: Node, config: Config): Promise<void> {
  const address = formatAddress(config.listen);
  while (!(await node.app.fetch(new Request(`http://${address}/readyz`))).ok)
    await Bun.sleep(READY_POLL_MS);
  announce(config);
}

function announce(config: Config): void {
  const dataDir = config.dataDir || `${DEFAULT_PARENT}/${config.nodeId}`;
  print(
    `${styled("bold", `hutch ${config.nodeId}`)}${READY_MARK}${urlOf(config)}, data in ${dataDir}`,
  );
  print(`try: ${styled("cyan", commandToTry(config))}`);
}

/** With tokens or certificates our own program is shorter to type than curl. */
function commandToTry(config: Config): string {
  if (config.authTokens === "" && config.tlsCert === "")
    return `curl -X PUT ${formatAddress(config.listen)}/v1/kv/demo/hello -d 'world'`;
  const token = config.authTokens === "" ? "" : " --token-file TOKEN-FILE";
  const ca = config.tlsCert === "" ? "" : " --ca CERTIFICATE";
  return `hutch put demo/hello world --url ${urlOf(config)}${token}${ca}`;
}
