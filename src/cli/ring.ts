/** `hutch ring`: how the partitions are shared out, or where one key lives. */

import type { Client } from "../client/client.ts";
import type { AdminApi, NodeSummary } from "../http/admin-api.ts";
import { splitAddress } from "./connect.ts";
import type { NodesAnswer } from "./nodes.ts";
import { askNodes, stateCell, zoneText } from "./nodes.ts";
import type { Cell, Column } from "./table.ts";
import { countText, shareBar, tableLines } from "./table.ts";
import { isColourful, nodeStyle, styled, visible } from "./terminal.ts";
import { showView } from "./view.ts";

export interface RingAnswer extends NodesAnswer {
  readonly ring: ReturnType<AdminApi["ring"]>;
}

type Route = ReturnType<AdminApi["route"]>;
export interface RouteAnswer extends NodesAnswer {
  readonly key: string;
  readonly route: Route;
}

export async function ring(options: Readonly<Record<string, unknown>>): Promise<void> {
  const { key } = options;
  if (typeof key !== "string") return showView<RingAnswer>(options, { ask, lines: ringLines });
  splitAddress(key);
  await showView<RouteAnswer>(options, {
    ask: (client) => askRoute(client, key),
    lines: routeLines,
  });
}

async function ask(client: Client): Promise<RingAnswer> {
  const ring = (await client.json("/v1/cluster/ring")) as RingAnswer["ring"];
  return { ring, ...(await askNodes(client)) };
}

async function askRoute(client: Client, key: string): Promise<RouteAnswer> {
  const path = `/v1/cluster/ring?key=${encodeURIComponent(key)}`;
  const route = (await client.json(path)) as Route;
  return { key, route, ...(await askNodes(client)) };
}

const BAR_PLACES = 20;

const RING_COLUMNS: readonly Column[] = [
  { title: "node", widthMin: 8 },
  { title: "zone", widthMin: 8 },
  { title: "weight", align: "right", dropRank: 2 },
  { title: "partitions", align: "right" },
  { title: "as first owner", align: "right", dropRank: 1 },
  { title: "share of all copies" },
];

export function ringLines({ ring, nodes }: RingAnswer, width: number): readonly string[] {
  const { layoutVersion, q, partitions } = ring;
  const byName = new Map(nodes.map((node) => [node.id, node]));
  const copies = partitions.flatMap(({ owners }) => owners);
  const firsts = partitions.map(({ owners }) => owners[0] ?? "");
  // Nodes that own nothing have their line, too, unless they are gone.
  const names = nodes.filter(({ state }) => state !== "left").map(({ id }) => id);
  const rows = names.map((name, at): readonly Cell[] => {
    const node = byName.get(name)!;
    const owned = countOf(copies, name);
    return [
      { text: name, style: nodeStyle(at) },
      zoneText(node),
      String(node.weight),
      countText(owned),
      countText(countOf(firsts, name)),
      shareBar(copies.length === 0 ? 0 : owned / copies.length, BAR_PLACES),
    ];
  });
  const serving = countOf(
    partitions.map(({ state }) => state),
    "serving",
  );
  return [
    `layout version ${layoutVersion}, ${countText(q)} partitions: ${countText(serving)} with all owners up, ${countText(q - serving)} with one away or catching up`,
    `the copies of a partition lie in ${spreadText(ring, byName)}`,
    "",
    ...tableLines(RING_COLUMNS, rows, width),
    ...mapLines(firsts, names),
  ];
}

function countOf(words: readonly string[], word: string): number {
  return words.reduce((count, each) => count + (each === word ? 1 : 0), 0);
}

/** A rack is one only inside its data centre, a host only inside its rack. */
const LEVELS: readonly (readonly [string, string, (zone: NodeSummary["zone"]) => string])[] = [
  ["data centre", "data centres", ({ dc }) => dc],
  ["rack", "racks", ({ dc, rack }) => `${dc}/${rack}`],
  ["host", "hosts", ({ dc, rack, host }) => `${dc}/${rack}/${host}`],
];

/** `1 data centre, 2 to 3 racks, 3 hosts`. */
function spreadText(
  { partitions }: RingAnswer["ring"],
  byName: ReadonlyMap<string, NodeSummary>,
): string {
  return LEVELS.map(([one, many, placeOf]) => {
    const counts = partitions.map(
      ({ owners }) =>
        new Set(owners.map((owner) => placeOf(byName.get(owner)?.zone ?? NOWHERE))).size,
    );
    const least = counts.reduce((a, b) => Math.min(a, b), counts[0] ?? 0);
    const most = counts.reduce((a, b) => Math.max(a, b), 0);
    const amount = least === most ? `${most}` : `${least} to ${most}`;
    return `${amount} ${most === 1 ? one : many}`;
  }).join(", ");
}

const NOWHERE = { dc: "", rack: "", host: "" };

const MAP_PLACES = 64;
/** A larger ring is no picture any more. */
const MAP_PARTITIONS_MAX = 1024;

/** The ring laid out in lines: one block per partition, in the colour of its first owner. It says nothing without colours. */
function mapLines(firsts: readonly string[], names: readonly string[]): string[] {
  if (!isColourful() || firsts.length > MAP_PARTITIONS_MAX) return [];
  const blocks = firsts.map((name) => styled(nodeStyle(Math.max(0, names.indexOf(name))), "■"));
  const lineCount = Math.ceil(blocks.length / MAP_PLACES);
  const lines = Array.from({ length: lineCount }, (_, at) =>
    blocks.slice(at * MAP_PLACES, (at + 1) * MAP_PLACES).join(""),
  );
  return ["", ...lines];
}

const ROUTE_COLUMNS: readonly Column[] = [
  { title: "place", align: "right" },
  { title: "role" },
  { title: "node", widthMin: 8 },
  { title: "state" },
  { title: "address", widthMin: 12 },
  { title: "zone", widthMin: 8, dropRank: 1 },
];

export function routeLines({ key, route, nodes }: RouteAnswer, width: number): readonly string[] {
  const byName = new Map(nodes.map((node) => [node.id, node]));
  const { partition, owners, fallbacks } = route;
  const rows = [...owners, ...fallbacks].map((name, at): readonly Cell[] => {
    const node = byName.get(name);
    return [
      String(at + 1),
      at < owners.length ? { text: "owner", style: "bold" } : "fallback",
      name,
      stateCell(node?.state ?? "down"),
      node?.address ?? "",
      node === undefined ? "" : zoneText(node),
    ];
  });
  return [
    `${visible(key)} is in partition ${partition}`,
    "",
    ...tableLines(ROUTE_COLUMNS, rows, width),
  ];
}
