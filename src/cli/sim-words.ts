/** What `hutch sim` calls things: kinds of faults and changes, and what is checked, each with a sentence for people. */

import type { ChangeKind, FaultKind } from "../simulator/plan.ts";

export const FAULT_WORDS = {
  crash: "the process of a node is killed and comes back",
  "power loss": "a machine loses its power, and its disk what was not synced",
  "all crash": "all nodes die at the same time and come back one after the other",
  torn: "the power goes in the middle of a later call of the disk",
  pause: "a node stands still and goes on as if nothing had been",
  "slow node": "everything that a node does takes its time",
  partition: "the nodes fall into two parts that do not hear each other",
  "one way": "one node does not hear another, which hears it",
  bridge: "two parts are connected by one node only",
  isolate: "one node hears nobody",
  flap: "a link comes and goes",
  link: "datagrams and messages are lost, doubled, late, out of order or changed",
  "clock step": "the clock of a machine jumps",
  "clock drift": "the clock of a machine runs fast or slow",
  "slow disk": "each sync takes its time",
  "stuck disk": "a disk answers nothing any more, until the machine starts anew",
  "full disk": "a disk has no room for a while",
  "sync error": "a sync fails, and with it the node",
  "few descriptors": "a process can open hardly any files",
} as const satisfies Record<FaultKind, string>;

export const CHANGE_WORDS = {
  join: "a node joins",
  leave: "a node hands over what it has and leaves",
  reweigh: "a node gets another weight",
  remove: "a node that is dead is removed",
  fence: "a node that still runs is removed by force",
  replace: "a fresh node takes the place of a dead one",
  wipe: "a node loses its disk and is rebuilt",
  damage: "bytes of a disk change, or parts of it are gone",
  restore: "a disk is put back to an earlier state",
} as const satisfies Record<ChangeKind, string>;

/** By the names that violations carry. */
export const INVARIANTS: Readonly<Record<string, string>> = {
  S1: "an acknowledged write is in the final state",
  S2: "nobody reads what nobody wrote, or what had failed",
  S3: "a version that a read has covered is not shown again",
  S4: "siblings are truly concurrent",
  S5: "no dot stands for two values",
  S6: "the clock of a node never goes back",
  S7: "hints stay within their bytes",
  S9: "a disk that nobody damaged is whole after every death",
  R3: "a quorum read knows every acknowledged write of its key",
  R7: "a session reads its own writes and never goes back",
  R9: "a retry of a write is not minted again by who has minted it",
  "monotonic writes": "a key ends with the writes of a session in order",
  "writes follow reads": "a key ends with what a session had read before it wrote",
  I5: "what was deleted does not come back",
  I6: "a quorum read knows what an earlier one was told",
  I11: "what has expired is not shown",
  "causal cycle": "nothing depends on what comes after it",
  "causal history": "who knows of a write knows of all that it has replaced",
  "causal order": "nobody sees what a write has replaced that they depend on",
  "row 80": "damage is nobody's answer while there are other copies",
  R51: "who is of the cluster no more does not run",
  R55: "every partition has its copies on different nodes",
  availability: "changes of the ring alone cost nobody a request",
  L1: "all copies are equal in the end",
  L2: "the hash trees of equal copies are equal, and those of a full read",
  L3: "all nodes know one ring",
  L4: "no hint and no stand-in copy is left",
  L5: "every request is answered in time, whatever the answer",
  L6: "what is dead is collected",
  rest: "the cluster forms, follows each change, and comes to rest in time",
  healing: "what a damaged disk has lost is fetched from the others",
  "a node ended": "no node ends by itself",
  "no surprises": "nothing throws that nobody expects",
};

/** Kinds may be written as one word: `power-loss`. */
export function kindOption(kind: string): string {
  return kind.replaceAll(" ", "-");
}
