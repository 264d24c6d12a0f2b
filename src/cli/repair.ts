/**
 * `hutch repair`: a running node compares its copies with those of the other owners; `--all`: one node after the other; `--show`, `--watch`: what has
 * been compared so far.
 */

import { HutchError } from "../base/errors.ts";
import type { Client } from "../client/client.ts";
import { connect, urlBeside } from "./connect.ts";
import { askJob, followJob } from "./follow-job.ts";
import { askNodes } from "./nodes.ts";
import { note } from "./terminal.ts";

type Options = Readonly<Record<string, unknown>>;

const ANSWER_TIMEOUT_MS = 30_000;

/** With `--data-dir`, the directory of a node that does not run. */
export async function repair(options: Options): Promise<void> {
  if (options["dataDir"] !== undefined)
    return (await import("./repair-directory.ts")).repairDirectory(options);
  if (options["acceptLoss"] === true)
    throw new HutchError("usage", "Cannot accept loss on a running node: want --data-dir too");
  if (options["show"] === true || options["watch"] === true)
    return (await import("./repair-view.ts")).showRepair(options);
  const client = connect(options, ANSWER_TIMEOUT_MS);
  if (options["all"] !== true) return repairNode(client, options);
  const { nodes } = await askNodes(client);
  for (const { id, address } of nodes.filter(({ state }) => state === "up")) {
    note(`node ${id}`);
    const url = urlBeside(options, address);
    await repairNode(connect({ ...options, url }, ANSWER_TIMEOUT_MS), options);
  }
}

async function repairNode(client: Client, options: Options): Promise<void> {
  const { id } = (await client.post("/v1/admin/repair")) as { id: string };
  await followJob(id, options, {
    ask: () => askJob(client, id),
    // The running one is joined, not started again.
    how: "`hutch repair`",
    failure: "unavailable",
  });
}
