/**
 * `hutch snapshot take|ls|rm`: snapshots that the nodes keep in their own data directories, of all nodes of a cluster under one name.
 *
 * All nodes begin within one round trip. A node that is not there would be missing in what comes of them, so it ends the command before
 * anything is taken; `--node` names those that are meant.
 */

import { HutchError, messageOf } from "../base/errors.ts";
import type { Client } from "../client/client.ts";
import type { NodeSummary } from "../http/admin-api.ts";
import { confirm } from "./confirm.ts";
import { connect, urlBeside } from "./connect.ts";
import { askJob } from "./follow-job.ts";
import { askNodes } from "./nodes.ts";
import { terminalWidth } from "./screen.ts";
import { type Column, countText, sizeText, tableLines } from "./table.ts";
import { note, print } from "./terminal.ts";

type Options = Readonly<Record<string, unknown>>;

const ANSWER_TIMEOUT_MS = 30_000;
const POLL_INTERVAL_MS = 100;

interface Place {
  readonly node: string;
  readonly client: Client;
}

/** As `GET /v1/admin/snapshots` has it. */
interface Snapshot {
  readonly name: string;
  readonly created: string | null;
  readonly tables: number;
  readonly bytes: number;
}

interface Found extends Snapshot {
  readonly node: string;
}

export async function takeSnapshots(given: string | undefined, options: Options): Promise<void> {
  const name = given ?? nameOfNow();
  const places = await placesOf(options, "all");
  const failed = await onEach(places, ({ client }) => takeOne(client, name));
  const done = places.filter(({ node }) => !failed.some((one) => one.node === node));
  const found = await findAll(done, name);
  if (options["json"] === true) print(JSON.stringify({ name, nodes: found }, null, 2));
  else if (found.length > 0) {
    for (const line of nodeLines(found)) print(line);
    print(`snapshot ${name} is taken: snapshots/${name} in each data directory`);
  }
  refuse(failed, `Cannot take snapshot "${name}"`);
}

/** `2026-11-22t02-03-04z`: the same for all nodes. */
function nameOfNow(): string {
  return new Date().toISOString().replace(/\.\d+/, "").toLowerCase().replaceAll(":", "-");
}

async function takeOne(client: Client, name: string): Promise<void> {
  const { id } = (await client.post("/v1/admin/snapshot", { name })) as { id: string };
  for (;;) {
    const { state, detail } = await askJob(client, id);
    if (state === "done") return;
    if (state === "failed") throw new HutchError("unavailable", detail);
    await Bun.sleep(POLL_INTERVAL_MS);
  }
}

export async function listSnapshots(options: Options): Promise<void> {
  const places = await placesOf(options, "reachable");
  const found = await findAll(places);
  if (options["json"] === true) {
    print(JSON.stringify({ snapshots: found }, null, 2));
    return;
  }
  if (found.length === 0) print("no snapshots; `hutch snapshot take` takes one of each node");
  else for (const line of snapshotLines(found, places.length)) print(line);
}

export async function removeSnapshots(name: string, options: Options): Promise<void> {
  const places = await placesOf(options, "reachable");
  const found = await findAll(places, name);
  if (found.length === 0)
    throw new HutchError("no-such-snapshot", `Cannot find snapshot "${name}": no node has it`);
  const names = found.map(({ node }) => node);
  if (!(await confirm(`Remove snapshot "${name}" of ${names.join(", ")}?`, options))) return;
  const holders = places.filter(({ node }) => names.includes(node));
  const path = `/v1/admin/snapshots/${encodeURIComponent(name)}`;
  const failed = await onEach(holders, ({ client }) => client.ask("DELETE", path));
  refuse(failed, `Cannot remove snapshot "${name}"`);
  print(`removed snapshot ${name} of ${names.join(", ")}`);
}

/** The nodes that are meant. "all": each has to be there. */
async function placesOf(options: Options, which: "all" | "reachable"): Promise<readonly Place[]> {
  const { nodes } = await askNodes(connect(options, ANSWER_TIMEOUT_MS));
  const named = namesIn(options["node"]);
  const unknown = named.filter((name) => !nodes.some(({ id }) => id === name));
  if (unknown.length > 0)
    throw new HutchError(
      "usage",
      `Cannot find node "${unknown.join('", "')}": no node has that name`,
    );
  const meant = nodes.filter(({ id, state }) =>
    named.length === 0 ? state !== "left" : named.includes(id),
  );
  const away = meant.filter((node) => !isThere(node)).map(({ id }) => id);
  if (away.length > 0 && which === "all")
    throw new HutchError(
      "unavailable",
      `Cannot take a snapshot of all nodes: ${away.join(", ")} ${away.length === 1 ? "is" : "are"} not there; --node names those to take`,
      { retry: "safe" },
    );
  if (away.length > 0) note(`not there: ${away.join(", ")}`);
  return meant.filter(isThere).map(({ id, address }) => ({
    node: id,
    client: connect({ ...options, url: urlBeside(options, address) }, ANSWER_TIMEOUT_MS),
  }));
}

const isThere = ({ state, address }: NodeSummary): boolean =>
  state !== "down" && state !== "left" && address !== "";

function namesIn(given: unknown): string[] {
  return typeof given === "string" ? given.split(",").map((name) => name.trim()) : [];
}

async function findAll(places: readonly Place[], name?: string): Promise<readonly Found[]> {
  const found = await Promise.all(
    places.map(async ({ node, client }) => {
      const answer = (await client.json("/v1/admin/snapshots")) as { snapshots: Snapshot[] };
      return answer.snapshots.map((snapshot) => ({ node, ...snapshot }));
    }),
  );
  return found.flat().filter((one) => name === undefined || one.name === name);
}

/** Does `work` at all nodes at once; what went wrong, with the node's name. */
async function onEach(
  places: readonly Place[],
  work: (place: Place) => Promise<unknown>,
): Promise<readonly { readonly node: string; readonly error: unknown }[]> {
  const outcomes = await Promise.allSettled(places.map(work));
  return outcomes.flatMap((outcome, at) =>
    outcome.status === "rejected" ? [{ node: places[at]!.node, error: outcome.reason }] : [],
  );
}

/** One reason of many nodes is told once. */
function refuse(failed: readonly { node: string; error: unknown }[], what: string): void {
  if (failed.length === 0) return;
  const code = failed.map(({ error }) => error).find((error) => error instanceof HutchError)?.code;
  const reasons = [...Map.groupBy(failed, ({ error }) => messageOf(error))];
  const why = reasons.map(([reason, of]) => `${reason} (${of.map(({ node }) => node).join(", ")})`);
  const message = reasons.length === 1 ? why[0]! : `${what}: ${why.join("; ")}`;
  throw new HutchError(code ?? "unavailable", message);
}

const SIZES: readonly Column[] = [
  { title: "tables", align: "right" },
  { title: "data", align: "right" },
];

function nodeLines(found: readonly Found[]): readonly string[] {
  const rows = found.map(({ node, tables, bytes }) => [node, countText(tables), sizeText(bytes)]);
  return tableLines([{ title: "node" }, ...SIZES], rows, terminalWidth());
}

const LIST_COLUMNS: readonly Column[] = [
  { title: "snapshot", widthMin: 12 },
  { title: "taken" },
  { title: "nodes" },
  ...SIZES,
];

/** One line for each name, newest first. */
function snapshotLines(found: readonly Found[], nodeCount: number): readonly string[] {
  const rows = [...Map.groupBy(found, ({ name }) => name)].map(([name, of]) => {
    const taken = of.map(({ created }) => created ?? "").sort()[0]!;
    const sum = (member: "tables" | "bytes"): number =>
      of.reduce((all, one) => all + one[member], 0);
    const isWhole = of.length === nodeCount;
    const nodes = isWhole ? `all ${nodeCount}` : of.map(({ node }) => node).join(", ");
    const shownNodes = isWhole ? nodes : ({ text: nodes, style: "yellow" } as const);
    const shownTime = taken === "" ? "unknown" : taken.replace("T", " ").replace(/\.\d+Z$/, "");
    return {
      taken,
      row: [name, shownTime, shownNodes, countText(sum("tables")), sizeText(sum("bytes"))],
    };
  });
  const sorted = rows.sort((a, b) => (a.taken < b.taken ? 1 : -1)).map(({ row }) => row);
  return tableLines(LIST_COLUMNS, sorted, terminalWidth());
}
