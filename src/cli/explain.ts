/** `hutch explain BUCKET/KEY`: what each owner holds of a key, and whether that is the same. */

import { keyPath } from "../client/client.ts";
import type { Explanation } from "../http/kv-api.ts";
import { splitAddress } from "./connect.ts";
import type { Cell, Column } from "./table.ts";
import { tableLines } from "./table.ts";
import { styled, visible } from "./terminal.ts";
import { showView } from "./view.ts";

type Replica = Explanation["owners"][number];

export interface ExplainAnswer {
  readonly partition: number;
  readonly owners: readonly Replica[];
  readonly fallbacks: readonly Replica[];
  readonly equal: boolean;
}

export async function explain(
  address: string,
  options: Readonly<Record<string, unknown>>,
): Promise<void> {
  const { bucket, key } = splitAddress(address);
  await showView<ExplainAnswer>(options, {
    ask: async (client) =>
      (await client.json(`${keyPath(bucket, key)}?explain=1`)) as ExplainAnswer,
    lines: (answer, width) => explainLines(address, answer, width),
  });
}

/** Enough to tell two states apart by eye; `--json` has all of it. */
const HASH_SHOWN = 12;

const COLUMNS: readonly Column[] = [
  { title: "role" },
  { title: "node", widthMin: 8 },
  { title: "state" },
  { title: "answered in", align: "right", dropRank: 2 },
  { title: "dots", widthMin: 10 },
  { title: "newest write (hlc)", widthMin: 8, dropRank: 1 },
  { title: "hash of state", widthMin: 6 },
];

export function explainLines(
  address: string,
  { partition, owners, fallbacks, equal }: ExplainAnswer,
  width: number,
): readonly string[] {
  const rows = [...owners, ...fallbacks].map(rowOf);
  const verdict = equal
    ? styled("green", "all owners hold the same")
    : styled("yellow", "the owners do not all hold the same");
  return [
    `${visible(address)} is in partition ${partition}: ${verdict}`,
    "",
    ...tableLines(COLUMNS, rows, width),
  ];
}

function rowOf(replica: Replica): readonly Cell[] {
  const { node, role, state, reachable, dots, hlc, stateHash, latencyMs } = replica;
  if (!reachable)
    return [role, node, { text: state, style: "red" }, "-", { text: "no answer", style: "dim" }];
  const nothing = { text: "nothing", style: "dim" } as const;
  return [
    role,
    node,
    state,
    `${latencyMs.toFixed(1)} ms`,
    dots.length > 0 ? dots.join(" ") : nothing,
    hlc,
    stateHash.slice(0, HASH_SHOWN),
  ];
}
