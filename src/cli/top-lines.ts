/** What `hutch top` shows: the cluster in one line, a row for each node, and the keys that are asked for most. */

import type { NodeSummary } from "../http/admin-api.ts";
import type { HotKey, LiveSample } from "../http/live-api.ts";
import { hintsCell, stateCell } from "./nodes.ts";
import type { Cell, Column } from "./table.ts";
import { bar, countText, sizeText, tableLines } from "./table.ts";
import { styled, visible } from "./terminal.ts";

const HOT_KEYS_MAX = 8;
/** Of a sample: a key that was seen less often may have been there by chance. */
const HOT_COUNT_MIN = 2;
const BAR_PLACES = 12;

const COLUMNS: readonly Column[] = [
  { title: "state" },
  { title: "node", widthMin: 6 },
  { title: "reads/s", align: "right" },
  { title: "p50", align: "right", dropRank: 3 },
  { title: "p99 ms", align: "right" },
  { title: "writes/s", align: "right" },
  { title: "p50", align: "right", dropRank: 2 },
  { title: "p99 ms", align: "right" },
  { title: "errors/s", align: "right" },
  { title: "disk", align: "right", dropRank: 1 },
  { title: "hints for it", align: "right" },
];

/** @param samples one of each node that tells, at least one */
export function topLines(samples: readonly LiveSample[], width: number): string[] {
  const newest = samples.reduce((a, b) => (b.atMs > a.atMs ? b : a));
  const rows = newest.nodes.map((node) =>
    nodeRow(
      node,
      samples.find((sample) => sample.node === node.id),
    ),
  );
  return [
    headLine(newest, samples),
    "",
    ...tableLines(COLUMNS, [...rows, ...allRow(samples)], width),
    ...changeLines(newest),
    ...hotLines(samples, width),
  ];
}

function headLine({ cluster }: LiveSample, samples: readonly LiveSample[]): string {
  const { nodes, partitions, q } = cluster;
  const down = nodes.down + nodes.suspect;
  const away = down === 0 ? "" : styled("red", `, ${down} away`);
  const syncing =
    partitions.syncing === 0 ? "" : styled("yellow", `, ${partitions.syncing} syncing`);
  const total = samples.reduce((sum, { rates }) => sum + rates.reads + rates.writes, 0);
  return `${styled("bold", visible(cluster.name))}   ${countText(Math.round(total))} requests/s   ${nodes.up} up${away}   ${partitions.serving} of ${q} partitions serving${syncing}`;
}

function nodeRow(node: NodeSummary, sample: LiveSample | undefined): Cell[] {
  const own = sample === undefined ? ["", "", "", "", "", "", "", ""] : figures(sample);
  return [stateCell(node.state), node.id, ...own, hintsCell(node)];
}

function figures({ rates, latency, disk }: LiveSample): Cell[] {
  const errors = rates.refused + rates.failed;
  return [
    rateText(rates.reads),
    msText(latency.read.p50, latency.read.count),
    msText(latency.read.p99, latency.read.count),
    rateText(rates.writes),
    msText(latency.write.p50, latency.write.count),
    msText(latency.write.p99, latency.write.count),
    errors === 0 ? "0" : { text: rateText(errors), style: "red" },
    sizeText(disk.usedBytes),
  ];
}

function allRow(samples: readonly LiveSample[]): Cell[][] {
  if (samples.length < 2) return [];
  const sum = (pick: (sample: LiveSample) => number): number =>
    samples.reduce((total, sample) => total + pick(sample), 0);
  const errors = sum(({ rates }) => rates.refused + rates.failed);
  const cells = [
    "",
    "all",
    rateText(sum(({ rates }) => rates.reads)),
    "",
    "",
    rateText(sum(({ rates }) => rates.writes)),
    "",
    "",
    rateText(errors),
    sizeText(sum(({ disk }) => disk.usedBytes)),
    "",
  ];
  return [cells.map((text): Cell => ({ text, style: "dim" }))];
}

function changeLines({ change, repair }: LiveSample): string[] {
  const lines: string[] = [];
  if (change !== null)
    lines.push(
      `layout version ${change.version} is under way: ${change.synced} of ${change.nodes} nodes ready`,
    );
  if (repair.progress !== null)
    lines.push(`repair: ${Math.round(repair.progress * 100)} % of this round`);
  return lines.length === 0 ? [] : ["", ...lines];
}

function hotLines(samples: readonly LiveSample[], width: number): string[] {
  const total = samples.reduce((sum, { hotKeys }) => sum + hotKeys.samples, 0);
  const keys = hottest(samples).filter(({ count }) => count >= HOT_COUNT_MIN);
  if (total === 0 || keys.length === 0) return [];
  const columns: readonly Column[] = [
    { title: "asked for most", widthMin: 16 },
    { title: "of all requests" },
    { title: "writes", align: "right", dropRank: 1 },
  ];
  const rows = keys.map(({ bucket, path, count, writes }): Cell[] => [
    `${bucket}/${decoded(path)}`,
    `${bar(count / total, BAR_PLACES)} ${((count / total) * 100).toFixed(1).padStart(5)} %`,
    `${count === 0 ? 0 : Math.round((writes / count) * 100)} %`,
  ]);
  return ["", ...tableLines(columns, rows, width)];
}

/** The same key may be asked for at several nodes. */
export function hottest(samples: readonly LiveSample[]): HotKey[] {
  const byKey = new Map<string, HotKey>();
  for (const { hotKeys } of samples)
    for (const key of hotKeys.keys) {
      const name = `${key.bucket}/${key.path}`;
      const other = byKey.get(name);
      const { count = 0, error = 0, writes = 0 } = other ?? {};
      byKey.set(name, {
        ...key,
        count: key.count + count,
        error: key.error + error,
        writes: key.writes + writes,
      });
    }
  return [...byKey.values()].sort((a, b) => b.count - a.count).slice(0, HOT_KEYS_MAX);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function rateText(rate: number): string {
  return rate > 0 && rate < 10 ? rate.toFixed(1) : countText(Math.round(rate));
}

function msText(ms: number, count: number): string {
  return count === 0 ? "" : ms.toFixed(ms < 10 ? 2 : 1);
}
