/** `hutch repair --show`: what one node has compared with the other owners, and what that has moved. */

import type { Client } from "../client/client.ts";
import type { Job } from "../http/admin-api.ts";
import { spanText } from "./progress.ts";
import { bar, countText, sizeText } from "./table.ts";
import { styled, visible } from "./terminal.ts";
import { showView } from "./view.ts";

/** What is shown of `GET /v1/admin/repair`. */
export interface RepairAnswer {
  readonly totals: {
    readonly rounds: number;
    readonly treesEqual: number;
    readonly exchanges: number;
    readonly exchangesFailed: number;
    readonly keysSent: number;
    readonly keysReceived: number;
    readonly bytesSent: number;
    readonly bytesReceived: number;
  };
  readonly partitions: readonly {
    readonly partition: number;
    /** Unix ms. */
    readonly lastVerifiedMs: number;
    readonly lastPeer: string;
    readonly differed: boolean;
  }[];
  readonly jobs: readonly Job[];
}

const BAR_PLACES = 20;

export async function showRepair(options: Readonly<Record<string, unknown>>): Promise<void> {
  const lines = (answer: RepairAnswer): readonly string[] => repairLines(answer, Date.now());
  await showView<RepairAnswer>(options, { ask, lines });
}

async function ask(client: Client): Promise<RepairAnswer> {
  return (await client.json("/v1/admin/repair")) as RepairAnswer;
}

export function repairLines({ totals, partitions, jobs }: RepairAnswer, nowMs: number): string[] {
  const oldestMs = partitions.reduce((least, one) => Math.min(least, one.lastVerifiedMs), nowMs);
  const differed = partitions.filter((one) => one.differed).length;
  const verified =
    partitions.length === 0
      ? "no partition yet"
      : `${countText(partitions.length)} partitions, the longest ago ${spanText((nowMs - oldestMs) / 1000)}`;
  const found = differed === 0 ? "none" : styled("yellow", `${countText(differed)} partitions`);
  const failed =
    totals.exchangesFailed === 0 ? "" : styled("yellow", `, ${totals.exchangesFailed} broke off`);
  const running = jobs.filter(({ state }) => state === "running");
  return [
    `compared    ${verified}`,
    `differed    ${found} when last compared`,
    `rounds      ${countText(totals.rounds)}, ${countText(totals.treesEqual)} hash trees were equal, ${countText(totals.exchanges)} exchanges${failed}`,
    `keys        ${countText(totals.keysSent)} sent, ${countText(totals.keysReceived)} received`,
    `bytes       ${sizeText(totals.bytesSent)} sent, ${sizeText(totals.bytesReceived)} received`,
    ...running.map(
      ({ id, progress, detail }) => `${id}  ${bar(progress, BAR_PLACES)}  ${visible(detail)}`,
    ),
  ];
}
