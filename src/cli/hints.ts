/** `hutch hints`: writes that nodes hold for others that were away. */

import type { Client } from "../client/client.ts";
import type { Column } from "./table.ts";
import { countText, sizeText, tableLines } from "./table.ts";
import { showView } from "./view.ts";

export interface HintsAnswer {
  readonly targets: readonly {
    readonly node: string;
    readonly count: number;
    readonly bytes: number;
    /** RFC 3339. */
    readonly oldest: string;
  }[];
}

export async function hints(options: Readonly<Record<string, unknown>>): Promise<void> {
  await showView<HintsAnswer>(options, { ask, lines: hintsLines });
}

async function ask(client: Client): Promise<HintsAnswer> {
  return (await client.json("/v1/admin/hints")) as HintsAnswer;
}

const COLUMNS: readonly Column[] = [
  { title: "for node", widthMin: 8 },
  { title: "hints", align: "right" },
  { title: "data", align: "right" },
  { title: "oldest", dropRank: 1 },
];

export function hintsLines({ targets }: HintsAnswer, width: number): readonly string[] {
  if (targets.length === 0) return ["no node holds anything for another one"];
  const rows = targets.map(({ node, count, bytes, oldest }) => [
    node,
    countText(count),
    sizeText(bytes),
    oldest,
  ]);
  return tableLines(COLUMNS, rows, width);
}
