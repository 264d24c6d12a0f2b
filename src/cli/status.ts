/** `hutch status`: the cluster at a glance, as the node that was asked sees it. */

import type { Client } from "../client/client.ts";
import type { ClusterSummary, NodeSummary } from "../http/admin-api.ts";
import { askNodes, hintsCell, stateCell, zoneText } from "./nodes.ts";
import type { Column } from "./table.ts";
import { bar, countText, shareBar, sizeText, tableLines } from "./table.ts";
import type { Style } from "./terminal.ts";
import { styled, visible } from "./terminal.ts";
import { showView } from "./view.ts";

export interface StatusAnswer {
  readonly cluster: ClusterSummary;
  readonly nodes: readonly NodeSummary[];
}

async function ask(client: Client): Promise<StatusAnswer> {
  const cluster = (await client.json("/v1/cluster")) as ClusterSummary;
  return { cluster, ...(await askNodes(client)) };
}

export async function status(options: Readonly<Record<string, unknown>>): Promise<void> {
  await showView<StatusAnswer>(options, { ask, lines: statusLines });
}

const BAR_PLACES = 10;

const COLUMNS: readonly Column[] = [
  { title: "state" },
  { title: "node", widthMin: 8 },
  { title: "address", widthMin: 12 },
  { title: "zone", widthMin: 8, dropRank: 2 },
  { title: "share of all copies", dropRank: 1 },
  { title: "entries", align: "right" },
  { title: "data", align: "right" },
  { title: "hints for it", align: "right" },
];

export function statusLines({ cluster, nodes }: StatusAnswer, width: number): readonly string[] {
  const copies = nodes.reduce((sum, { partitions }) => sum + partitions, 0);
  const rows = nodes.map((node) => [
    stateCell(node.state),
    node.id,
    node.address,
    zoneText(node),
    shareBar(copies === 0 ? 0 : node.partitions / copies, BAR_PLACES),
    countText(node.keys),
    sizeText(node.bytes),
    hintsCell(node),
  ]);
  return [...headLines(cluster), "", ...tableLines(COLUMNS, rows, width)];
}

function headLines(cluster: ClusterSummary): string[] {
  const { name, id, layoutVersion, q, n, nodes, partitions } = cluster;
  const count = (amount: number, word: string, style: Style): string =>
    amount === 0 ? `0 ${word}` : styled(style, `${countText(amount)} ${word}`);
  return [
    `cluster     ${styled("bold", visible(name))}  ${styled("dim", visible(id))}`,
    `layout      version ${layoutVersion}, ${countText(q)} partitions, ${n} copies of each key`,
    `nodes       ${count(nodes.up, "up", "green")}, ${count(nodes.suspect, "suspect", "yellow")}, ${count(nodes.down, "down", "red")}`,
    `partitions  ${count(partitions.serving, "with all owners up", "green")}, ${count(partitions.syncing, "with one away or catching up", "yellow")}  ${bar(partitions.serving / q, BAR_PLACES).trimEnd()}`,
  ];
}
