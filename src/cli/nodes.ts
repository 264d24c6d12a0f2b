/** `hutch nodes`: all that is known of each node; and the cells that other tables show of one. */

import type { Client } from "../client/client.ts";
import type { NodeSummary } from "../http/admin-api.ts";
import type { Cell, Column } from "./table.ts";
import { countText, sizeText, tableLines } from "./table.ts";
import type { Style } from "./terminal.ts";
import { showView } from "./view.ts";

export interface NodesAnswer {
  readonly nodes: readonly NodeSummary[];
}

export async function askNodes(client: Client): Promise<NodesAnswer> {
  // Our own server made it; the fields are in its contract. So with every answer below `src/cli`.
  return (await client.json("/v1/cluster/nodes")) as NodesAnswer;
}

export async function nodes(options: Readonly<Record<string, unknown>>): Promise<void> {
  await showView<NodesAnswer>(options, { ask: askNodes, lines: nodesLines });
}

const COLUMNS: readonly Column[] = [
  { title: "state" },
  { title: "node", widthMin: 8 },
  { title: "address", widthMin: 12 },
  { title: "peers at", widthMin: 12, dropRank: 5 },
  { title: "zone", widthMin: 8, dropRank: 3 },
  { title: "weight", align: "right", dropRank: 7 },
  { title: "partitions", align: "right", dropRank: 2 },
  { title: "entries", align: "right" },
  { title: "data", align: "right", dropRank: 1 },
  { title: "phi", align: "right", dropRank: 4 },
  { title: "incarnation", align: "right", dropRank: 6 },
  { title: "hints for it", align: "right" },
];

export function nodesLines({ nodes }: NodesAnswer, width: number): readonly string[] {
  const rows = nodes.map((node) => [
    stateCell(node.state),
    node.id,
    node.address,
    node.peerAddress,
    zoneText(node),
    String(node.weight),
    countText(node.partitions),
    countText(node.keys),
    sizeText(node.bytes),
    node.phi.toFixed(2),
    String(node.incarnation),
    hintsCell(node),
  ]);
  return tableLines(COLUMNS, rows, width);
}

const STATE_STYLES: Readonly<Record<NodeSummary["state"], Style>> = {
  up: "green",
  syncing: "cyan",
  suspect: "yellow",
  down: "red",
  leaving: "magenta",
  left: "dim",
};

export function stateCell(state: NodeSummary["state"]): Cell {
  return { text: state, style: STATE_STYLES[state] };
}

export function zoneText({ zone: { dc, rack, host } }: NodeSummary): string {
  return `${dc}/${rack}/${host}`;
}

/** Writes that wait for the node, in yellow where there are some. */
export function hintsCell({ hintsFor }: NodeSummary): Cell {
  return hintsFor === 0 ? "0" : { text: countText(hintsFor), style: "yellow" };
}
