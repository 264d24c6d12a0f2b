/** The health of a cluster in one sentence: what works, and what it means where something does not. */
import type { LiveSample } from "../../http/live-api.ts";
import { counted, formatAge, formatCount, listed } from "../parts/format.ts";

export interface Health {
  readonly level: "good" | "warn" | "bad";
  readonly title: string;
  readonly detail: string;
}

export function healthOf(sample: LiveSample): Health {
  const { cluster, nodes, hints, atMs } = sample;
  const named = (...states: readonly string[]): readonly string[] =>
    nodes.filter(({ state }) => states.includes(state)).map(({ id }) => id);
  const down = named("down");
  const members = nodes.filter(({ state }) => state !== "left").length;
  const copies = Math.min(cluster.n, members);
  if (down.length > 0) return withoutNodes(down, copies, sample);
  const suspect = named("suspect");
  if (suspect.length > 0)
    return {
      level: "warn",
      title: `${listed(suspect)} ${suspect.length === 1 ? "is" : "are"} suspected`,
      detail: "The others have not heard from it for longer than usual. Reads and writes go on.",
    };
  const syncing = named("syncing");
  if (syncing.length > 0)
    return {
      level: "warn",
      title: `${listed(syncing)} ${syncing.length === 1 ? "is" : "are"} catching up`,
      detail: `It gets what it missed before it speaks for its partitions again. Reads and writes go on.`,
    };
  const held = hints.reduce((sum, { count }) => sum + count, 0);
  if (held > 0) {
    const oldest = Math.min(...hints.map(({ oldestMs }) => oldestMs));
    return {
      level: "warn",
      title: "All nodes are up; some writes still have to be delivered",
      detail: `${counted(held, "hint")} on the way, the oldest has waited ${formatAge(atMs - oldest)}.`,
    };
  }
  return {
    level: "good",
    title: members === 1 ? "The node is well" : `All ${members} nodes are well`,
    detail: `${formatCount(cluster.q)} partitions in ${counted(copies, "copy", "copies")} each; every owner is up and holds what it should.`,
  };
}

/** A quorum is of the copies of one key; with fewer nodes down than it can miss, every key has one. */
function withoutNodes(down: readonly string[], copies: number, sample: LiveSample): Health {
  const missable = copies - (Math.floor(copies / 2) + 1);
  const held = sample.hints.reduce((sum, { count }) => sum + count, 0);
  const title = `${listed(down)} ${down.length === 1 ? "is" : "are"} down`;
  const kept = held > 0 ? ` ${counted(held, "hint")} kept for when it returns.` : "";
  if (down.length <= missable)
    return {
      level: "warn",
      title,
      detail: `Every key still has a quorum: reads and writes go on.${kept}`,
    };
  return {
    level: "bad",
    title,
    detail: `Keys that have ${missable + 1} of their ${copies} copies there have no quorum of owners.${kept}`,
  };
}
