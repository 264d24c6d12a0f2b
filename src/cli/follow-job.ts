/**
 * Following long work of a node to its end: a bar with rate and remaining time on a terminal, one line at the end elsewhere.
 *
 * The work is the node's: Ctrl-C ends the looking, not the work.
 */

import type { ErrorCode } from "../base/errors.ts";
import { HutchError } from "../base/errors.ts";
import type { Client } from "../client/client.ts";
import { isAwayOrBusy, withRetries } from "../client/retry.ts";
import type { Job } from "../http/admin-api.ts";
import type { ChangeSummary, LayoutSummary } from "../http/layout-api.ts";
import { EXIT } from "./exit-codes.ts";
import { startJobProgress } from "./progress.ts";
import { note, print, visible } from "./terminal.ts";

const POLL_INTERVAL_MS = 500;

type Options = Readonly<Record<string, unknown>>;

/** How far work is; `bytes` where it says how many it has moved. */
export interface Standing {
  readonly state: Job["state"];
  readonly progress: number;
  readonly detail: string;
  readonly bytes?: number;
}

export interface Followed {
  ask(): Promise<Standing>;
  /** What shows it later, for whoever stops looking. */
  readonly how: string;
  /** How its failure is reported. */
  readonly failure: ErrorCode;
}

/** Until the work ends; throws where it fails. `--no-wait`: not at all. */
export async function followJob(id: string, options: Options, followed: Followed): Promise<void> {
  if (options["wait"] === false) {
    note(`job ${id} is running; ${followed.how} shows how far it is`);
    if (options["json"] === true) print(JSON.stringify({ id, state: "running" }, null, 2));
    return;
  }
  const stopLooking = (): void => {
    note(`\njob ${id} goes on; ${followed.how} shows how far it is`);
    process.exit(EXIT.ok);
  };
  process.once("SIGINT", stopLooking);
  try {
    await watchToEnd(id, options, followed);
  } finally {
    process.removeListener("SIGINT", stopLooking);
  }
}

async function watchToEnd(id: string, options: Options, { ask, failure }: Followed): Promise<void> {
  const progress = startJobProgress();
  let standing = await patiently(ask);
  while (standing.state === "running") {
    progress.update(standing.progress, visible(standing.detail), standing.bytes);
    await Bun.sleep(POLL_INTERVAL_MS);
    standing = await patiently(ask);
  }
  const { state, detail } = standing;
  const isDone = state === "done";
  progress.stop(isDone ? `done: ${visible(detail)}` : "");
  if (options["json"] === true) print(JSON.stringify({ id, state, detail }, null, 2));
  if (!isDone) throw new HutchError(failure, `Cannot finish job ${id}: ${detail}`);
}

/** A node that is away for a moment is no reason to look away. */
function patiently(ask: () => Promise<Standing>): Promise<Standing> {
  return withRetries(ask, { shouldRetry: isAwayOrBusy, sleep: Bun.sleep });
}

export async function askJob(client: Client, id: string): Promise<Standing> {
  return (await client.json(`/v1/admin/jobs/${encodeURIComponent(id)}`)) as Job;
}

/** A change of the ring: the job, with what was sent; where its node is gone, what any other one knows. */
export async function askChange(client: Client, id: string): Promise<Standing> {
  const { change } = (await client.json("/v1/cluster/layout")) as LayoutSummary;
  const moved = change === null ? {} : { bytes: change.bytesSent };
  try {
    const { state, progress, detail } = await askJob(client, id);
    return { state, progress, detail: change === null ? detail : changeText(change), ...moved };
  } catch (error) {
    if (!(error instanceof HutchError) || error.code !== "no-such-job") throw error;
    if (change === null) return { state: "done", progress: 1, detail: "all nodes have followed" };
    const progress = (change.acknowledged + 9 * change.synced) / (10 * change.nodes);
    return { state: "running", progress, detail: changeText(change), ...moved };
  }
}

/** `2 of 5 nodes ready, 12 of 40 copies sent from here`. */
export function changeText({ nodes, synced, transfers, waitingFor }: ChangeSummary): string {
  if (waitingFor.length > 0) return `waiting for ${waitingFor.join(", ")}`;
  const own =
    transfers.total === 0 ? "" : `, ${transfers.done} of ${transfers.total} copies sent from here`;
  return `${synced} of ${nodes} nodes ready${own}`;
}
