/**
 * How another process talks to a `hutch cluster` that runs in the foreground: a socket in its data directory, which only its owner can reach. Orders and
 * what is told meanwhile are lines of JSON over HTTP.
 */

import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { ErrorCode } from "../base/errors.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import { eachLine } from "./lines.ts";

const SOCKET = "cluster.sock";
/** Of the path of a socket, by the system: 108 bytes with the zero at the end. */
const PATH_BYTES_MAX = 107;
const ORDER_BYTES_MAX = 1024;
/** What nobody gets of a new file: all of others, and the owner's right to run it. */
const UMASK = 0o177;

interface ScaleOrder {
  readonly nodes: number;
}

type ControlLine =
  | { readonly note: string }
  | { readonly done: true }
  | { readonly error: { readonly code: ErrorCode; readonly message: string } };

type Handler = (order: ScaleOrder, tell: (note: string) => void) => Promise<void>;

/** Listens until it is closed; for whoever holds the locks of the nodes' directories. `undefined` where the path of the directory is too long for a socket. */
export function serveControl(dataDir: string, handle: Handler): { close(): void } | undefined {
  const path = join(dataDir, SOCKET);
  if (Buffer.byteLength(path) > PATH_BYTES_MAX) return undefined;
  // Whoever left it is gone: its nodes had locked their directories otherwise.
  rmSync(path, { force: true });
  const server = listenPrivately(path, handle);
  return {
    close(): void {
      void server.stop(true);
      rmSync(path, { force: true });
    },
  };
}

/** The directory may be one that others can enter, so the socket is its owner's from its first moment: it is made before `Bun.serve` is back. */
function listenPrivately(path: string, handle: Handler): Bun.Server<undefined> {
  const umask = process.umask(UMASK);
  try {
    return listen(path, handle);
  } finally {
    process.umask(umask);
  }
}

function listen(path: string, handle: Handler): Bun.Server<undefined> {
  return Bun.serve({
    unix: path,
    maxRequestBodySize: ORDER_BYTES_MAX,
    async fetch(request, self) {
      // A node may hand over for minutes before there is something to tell.
      self.timeout(request, 0);
      const { nodes } = (await request.json()) as ScaleOrder; // of the same program
      return new Response(answers({ nodes }, handle));
    },
  });
}

function answers(order: ScaleOrder, handle: Handler): ReadableStream<string> {
  return new ReadableStream<string>({
    async start(controller) {
      let isOpen = true;
      const say = (line: ControlLine): void => {
        try {
          if (isOpen) controller.enqueue(`${JSON.stringify(line)}\n`);
        } catch {
          // Nobody looks any more; the work goes on.
          isOpen = false;
        }
      };
      try {
        await handle(order, (note) => say({ note }));
        say({ done: true });
      } catch (error) {
        const code = error instanceof HutchError ? error.code : "internal";
        say({ error: { code, message: messageOf(error) } });
      }
      if (isOpen) controller.close();
    },
  });
}

/** Gives an order to the cluster that runs on `dataDir`; throws what it throws. */
export async function order(
  dataDir: string,
  { nodes }: ScaleOrder,
  onNote: (note: string) => void,
): Promise<void> {
  const path = join(dataDir, SOCKET);
  const nobody = new HutchError(
    "unavailable",
    `Cannot scale: no \`hutch cluster\` runs with its data in "${dataDir}"; start one, or name its --data-dir`,
  );
  if (!existsSync(path)) throw nobody;
  let response: Response;
  try {
    response = await fetch("http://cluster/scale", {
      unix: path,
      method: "POST",
      body: JSON.stringify({ nodes }),
    });
  } catch {
    throw nobody;
  }
  let end: ControlLine | undefined;
  await eachLine(response.body!, (text) => {
    const line = JSON.parse(text) as ControlLine;
    if ("note" in line) onNote(line.note);
    else end = line;
  });
  if (end === undefined)
    throw new HutchError("unavailable", "Cannot say how it went: the cluster has ended");
  if ("error" in end) throw new HutchError(end.error.code, end.error.message);
}
