/** The layout as text: who carries what, what is staged, what that would move, how far a change is. */

import type {
  ChangeSummary,
  LayoutSummary,
  PreviewSummary,
  SpreadSummary,
  StagedChange,
  Zone,
} from "../http/layout-api.ts";
import type { Cell, Column } from "./table.ts";
import { bar, countText, shareBar, sizeText, tableLines } from "./table.ts";
import { nodeStyle, styled, visible } from "./terminal.ts";

const BAR_PLACES = 20;
/** Of a longer list people look at the JSON. */
const PARTITIONS_SHOWN_MAX = 10;

/** @param width places of the terminal */
export function layoutLines(layout: LayoutSummary, width: number): readonly string[] {
  const { version, q, n, spread, change, staged, conflicts, preview } = layout;
  const copies = n === 1 ? "1 copy" : `${n} copies`;
  const lines = [
    `layout    version ${version}, ${countText(q)} partitions, ${copies} of each`,
    `spread    ${spreadText(spread)}`,
    ...labelled("conflict", conflicts.map(conflictText)),
    ...labelled("change", change === null ? [] : changeLines(change)),
    ...labelled("staged", staged.map(stagedText)),
  ];
  if (preview !== undefined) return [...lines, "", ...previewLines(layout, width)];
  return [...lines, "", ...loadLines(layout, width)];
}

/** The first line behind the label, the others below it. */
function labelled(label: string, lines: readonly string[]): string[] {
  return lines.map((line, at) => `${(at === 0 ? label : "").padEnd(10)}${line}`);
}

function spreadText({ widest, least, below }: SpreadSummary): string {
  const could = [
    `${widest.dcs} ${widest.dcs === 1 ? "data centre" : "data centres"}`,
    `${widest.racks} ${widest.racks === 1 ? "rack" : "racks"}`,
    `${widest.hosts} ${widest.hosts === 1 ? "host" : "hosts"}`,
  ].join(", ");
  if (below.length === 0) return `the copies of each partition lie in ${could}, as wide as can be`;
  const shown = below.slice(0, PARTITIONS_SHOWN_MAX).join(", ");
  const more = below.length > PARTITIONS_SHOWN_MAX ? ", ..." : "";
  const worst = `${least.dcs}, ${least.racks} and ${least.hosts}`;
  return styled(
    "yellow",
    `${countText(below.length)} partitions could lie in ${could}, and do in as few as ${worst}: ${shown}${more}`,
  );
}

/** The fields are in the server's contract. */
function conflictText(conflict: Readonly<Record<string, unknown>>): string {
  const { version, contents } = conflict as { version: number; contents: readonly unknown[] };
  return styled("red", `version ${version} was made ${contents.length} times, differently`);
}

function changeLines(change: ChangeSummary): string[] {
  const { version, readVersion, nodes, acknowledged, synced, transfers, waitingFor } = change;
  const lines = [
    `on the way to version ${version}; reads use version ${readVersion}`,
    `${acknowledged} of ${nodes} nodes have acknowledged, ${synced} have handed over  ${bar(synced / nodes, BAR_PLACES).trimEnd()}`,
    `this node has handed over ${countText(transfers.done)} of ${countText(transfers.total)} copies, ${sizeText(change.bytesSent)}`,
  ];
  if (waitingFor.length === 0) return lines;
  const names = waitingFor.map(visible).join(", ");
  return [...lines, styled("yellow", `waiting for ${names}: start it, or remove or replace it`)];
}

const ACTION_WORDS: Readonly<Record<StagedChange["action"], string>> = {
  join: "joins",
  leave: "leaves",
  remove: "is removed",
  update: "",
};

/** `n4: weight 2, in dc1/r2/h4`. */
function stagedText({ id, action, weight, zone, replaces }: StagedChange): string {
  const facts = [
    replaces === undefined ? ACTION_WORDS[action] : `takes the place of ${visible(replaces)}`,
    weight === undefined ? "" : `weight ${weight}`,
    zone === undefined ? "" : `in ${zoneText(zone)}`,
  ];
  return `${visible(id)}: ${facts.filter((fact) => fact !== "").join(", ")}`;
}

function zoneText({ dc, rack, host }: Zone): string {
  return visible(`${dc}/${rack}/${host}`);
}

const LOAD_COLUMNS: readonly Column[] = [
  { title: "node", widthMin: 8 },
  { title: "zone", widthMin: 8, dropRank: 1 },
  { title: "weight", align: "right", dropRank: 2 },
  { title: "partitions", align: "right" },
  { title: "share of all copies" },
];

function loadLines({ nodes, q, n }: LayoutSummary, width: number): string[] {
  const rows = nodes.map(({ id, zone, weight, partitions }, at): readonly Cell[] => [
    { text: id, style: nodeStyle(at) },
    zoneText(zone),
    String(weight),
    countText(partitions),
    shareBar(partitions / (q * n), BAR_PLACES),
  ]);
  return tableLines(LOAD_COLUMNS, rows, width);
}

const PREVIEW_COLUMNS: readonly Column[] = [
  { title: "node", widthMin: 8 },
  { title: "zone", widthMin: 8, dropRank: 3 },
  { title: "weight", align: "right", dropRank: 4 },
  { title: "now", align: "right" },
  { title: "then", align: "right" },
  { title: "in", align: "right", dropRank: 1 },
  { title: "out", align: "right", dropRank: 1 },
  { title: "to receive", align: "right" },
  { title: "share of all copies then", dropRank: 2 },
];

/** What applying would move, node by node. */
function previewLines(layout: LayoutSummary, width: number): string[] {
  const preview = layout.preview!; // the caller has looked
  const places = placesOf(layout);
  const total = preview.nodes.reduce((sum, { after }) => sum + after, 0);
  const rows = preview.nodes.map((load, at): readonly Cell[] => {
    const place = places.get(load.id);
    return [
      { text: load.id, style: nodeStyle(at) },
      place === undefined ? "" : zoneText(place.zone),
      place === undefined ? "" : String(place.weight),
      countText(load.before),
      countText(load.after),
      countText(load.incoming),
      countText(load.outgoing),
      sizeText(load.bytesIn),
      shareBar(total === 0 ? 0 : load.after / total, BAR_PLACES),
    ];
  });
  return [...tableLines(PREVIEW_COLUMNS, rows, width), "", ...summaryLines(preview)];
}

/** Where each node is, and its weight, as they would be then. */
function placesOf({ nodes, staged }: LayoutSummary) {
  const places = new Map(nodes.map(({ id, zone, weight }) => [id, { zone, weight }]));
  for (const { id, zone, weight } of staged) {
    const known = places.get(id);
    const [thenZone, thenWeight] = [zone ?? known?.zone, weight ?? known?.weight];
    if (thenZone !== undefined && thenWeight !== undefined)
      places.set(id, { zone: thenZone, weight: thenWeight });
  }
  return places;
}

function summaryLines({ version, moves, spread, objections }: PreviewSummary): string[] {
  const copies = moves.partitions === 1 ? "1 copy" : `${countText(moves.partitions)} copies`;
  const what =
    moves.partitions === 0
      ? "moves nothing"
      : `moves ${copies} of partitions, about ${sizeText(moves.bytes)}`;
  return [
    `version ${version} ${what}`,
    ...(isSameSpread(spread.before, spread.after) ? [] : [`then ${spreadText(spread.after)}`]),
    ...objections.map(({ detail }) => styled("red", visible(detail))),
  ];
}

function isSameSpread(a: SpreadSummary, b: SpreadSummary): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
