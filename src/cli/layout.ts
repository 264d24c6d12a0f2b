/**
 * `hutch layout`, `leave`, `remove`, `replace`: changes of the ring. Each shows what would move before it asks, and follows the change to its end.
 *
 * A node that goes cannot be asked how far it is: the change is handed to another one where there is one.
 */

import { HutchError } from "../base/errors.ts";
import type { Client } from "../client/client.ts";
import type { NodeSummary } from "../http/admin-api.ts";
import type { ChangeRequest, LayoutSummary, NodeChange } from "../http/layout-api.ts";
import { confirm } from "./confirm.ts";
import { connect, urlBeside } from "./connect.ts";
import { askChange, followJob } from "./follow-job.ts";
import { positiveNumber } from "./keys.ts";
import { layoutLines } from "./layout-lines.ts";
import { askNodes } from "./nodes.ts";
import { terminalWidth } from "./screen.ts";
import { note, print } from "./terminal.ts";
import { showView } from "./view.ts";

type Options = Readonly<Record<string, string | boolean | undefined>>;

const LAYOUT = "/v1/cluster/layout";
/** The nodes agree on a version before they answer. */
const ANSWER_TIMEOUT_MS = 30_000;

export async function showLayout(options: Options): Promise<void> {
  await showView<LayoutSummary>(options, { ask: askLayout, lines: layoutLines });
}

async function askLayout(client: Client): Promise<LayoutSummary> {
  return (await client.json(LAYOUT)) as LayoutSummary;
}

export async function stageLayout(options: Options): Promise<void> {
  const client = connect(options, ANSWER_TIMEOUT_MS);
  const changes = [changeFrom(options)];
  const layout = (await client.post(`${LAYOUT}/stage`, { changes })) as LayoutSummary;
  show(layout, options);
  if (layout.preview === undefined) return note("nothing is staged any more");
  note("`hutch layout apply` makes it so, `hutch layout revert` drops it");
}

/** The change that the options of `stage` describe. */
export function changeFrom(options: Options): ChangeRequest {
  const text = (name: string) => options[name] as string | undefined; // they all take a text
  const zone = { dc: text("dc"), rack: text("rack"), host: text("host") };
  const hasZone = Object.values(zone).some((part) => part !== undefined);
  const weight = options["weight"] === undefined ? undefined : positiveNumber(options, "weight");
  const action = text("action") as ChangeRequest["action"];
  if ((action === undefined) === (weight === undefined && !hasZone))
    throw new HutchError(
      "usage",
      "Cannot stage a change: want either --action, or --weight, --dc, --rack, --host",
    );
  return {
    id: text("node")!, // commander requires it
    ...(action === undefined ? {} : { action }),
    ...(text("with") === undefined ? {} : { with: text("with") }),
    ...(weight === undefined ? {} : { weight }),
    ...(hasZone ? { zone } : {}),
  };
}

export async function applyLayout(options: Options): Promise<void> {
  const client = connect(options, ANSWER_TIMEOUT_MS);
  const layout = await askLayout(client);
  const { preview } = layout;
  if (preview === undefined)
    throw new HutchError("layout-conflict", "Cannot apply a layout: nothing is staged");
  const version =
    options["version"] === undefined ? preview.version : positiveNumber(options, "version");
  if (!(await isAgreed(layout, `Apply version ${version}?`, options))) return;
  const body = { version, force: options["force"] === true };
  await follow(client, await client.post(`${LAYOUT}/apply`, body), options);
}

export async function revertLayout(options: Options): Promise<void> {
  const client = connect(options, ANSWER_TIMEOUT_MS);
  const layout = await askLayout(client);
  if (layout.staged.length === 0 && layout.change === null)
    return note("nothing is staged, and no change is under way");
  const question =
    layout.staged.length > 0
      ? "Drop what is staged?"
      : `Go back from version ${layout.change!.version} to what was before?`;
  if (options["json"] !== true) show(layout, options);
  if (!(await confirm(question, options))) return;
  show((await client.post(`${LAYOUT}/revert`)) as LayoutSummary, options);
}

export async function leave(node: string, options: Options): Promise<void> {
  await changeNode(
    { id: node, action: "leave" },
    `Let ${node} hand over all it holds, and go?`,
    options,
  );
}

export async function remove(node: string, options: Options): Promise<void> {
  await changeNode(
    { id: node, action: "remove" },
    `Remove ${node} for good, without what only it holds?`,
    options,
  );
}

export async function replace(node: string, options: Options): Promise<void> {
  const heir = String(options["with"]);
  await changeNode(
    { id: node, action: "replace", with: heir },
    `Put ${heir} in the place of ${node}, which is lost for good?`,
    options,
  );
}

async function changeNode(change: NodeChange, question: string, options: Options): Promise<void> {
  const client = await clientBeside(change.id, options);
  const changes = [change];
  const layout = (await client.post(`${LAYOUT}/preview`, { changes })) as LayoutSummary;
  if (!(await isAgreed(layout, question, options))) return;
  const path = `/v1/cluster/nodes/${encodeURIComponent(change.id)}/${change.action}`;
  const force = options["force"] === true;
  const body = change.with === undefined ? { force } : { with: change.with, force };
  await follow(client, await client.post(path, body), options);
}

/** A client of another node than the one that goes, where another one is up. */
async function clientBeside(name: string, options: Options): Promise<Client> {
  const client = connect(options, ANSWER_TIMEOUT_MS);
  const asked = await client.nodeName();
  if (asked !== name) return client;
  const { nodes } = await askNodes(client);
  const beside = nodes.find((node) => node.id !== name && isAddressable(node));
  if (beside === undefined) return client;
  return connect({ ...options, url: urlBeside(options, beside.address) }, ANSWER_TIMEOUT_MS);
}

function isAddressable({ state, address }: NodeSummary): boolean {
  return state === "up" && address !== "";
}

/** Shows what would move, refuses what the node would refuse, and asks. */
async function isAgreed(layout: LayoutSummary, question: string, options: Options) {
  if (options["json"] !== true) show(layout, options);
  const [objection] = layout.preview?.objections ?? [];
  if (objection !== undefined && options["force"] !== true)
    // The codes are those of the server.
    throw new HutchError(objection.code as HutchError["code"], objection.detail);
  return confirm(question, options);
}

function show(layout: LayoutSummary, options: Options): void {
  const lines =
    options["json"] === true
      ? JSON.stringify(layout, null, 2).split("\n")
      : layoutLines(layout, terminalWidth());
  for (const line of lines) print(line);
}

async function follow(client: Client, started: unknown, options: Options): Promise<void> {
  const { id } = started as { id: string };
  await followJob(id, options, {
    ask: () => askChange(client, id),
    how: "`hutch layout --watch`",
    failure: "layout-conflict",
  });
}
