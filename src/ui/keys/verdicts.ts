/** What `explain` says of each node, judged: who has the same, who has something else, who does not answer. */
import type { ExplainedNode, Explanation } from "./key-client.ts";

/** What a node has, against what most owners have. */
export type Verdict = "same" | "other" | "nothing" | "silent";

export const VERDICT_WORDS: Readonly<Record<Verdict, string>> = {
  same: "has it",
  other: "has another state",
  nothing: "has nothing",
  silent: "no answer",
};
export const VERDICT_SIGNS: Readonly<Record<Verdict, string>> = {
  same: "✓",
  other: "≠",
  nothing: "–",
  silent: "✕",
};

/** The state that most of those who answered have; of two that are even the one of the earlier owner. */
function commonHash({ owners }: Explanation): string {
  const counts = new Map<string, number>();
  for (const { reachable, stateHash } of owners)
    if (reachable && stateHash !== "") counts.set(stateHash, (counts.get(stateHash) ?? 0) + 1);
  return [...counts].reduce((best, each) => (each[1] > best[1] ? each : best), ["", 0])[0];
}

export function verdictOf(node: ExplainedNode, common: string): Verdict {
  if (!node.reachable) return "silent";
  if (node.stateHash === "") return "nothing";
  return node.stateHash === common ? "same" : "other";
}

export interface JudgedNode extends ExplainedNode {
  readonly verdict: Verdict;
  /** 1 for the first owner; 0 for a fallback. */
  readonly place: number;
}

export function judgedNodes(explanation: Explanation): readonly JudgedNode[] {
  const common = commonHash(explanation);
  const judged = (node: ExplainedNode, place: number): JudgedNode => ({
    ...node,
    place,
    verdict: verdictOf(node, common),
  });
  return [
    ...explanation.owners.map((node, index) => judged(node, index + 1)),
    ...explanation.fallbacks.map((node) => judged(node, 0)),
  ];
}

/** One sentence that answers: is all well with this key? */
export function summaryOf(explanation: Explanation): string {
  const hasAny = explanation.owners.some(({ dots }) => dots.length > 0);
  if (explanation.equal) return hasAny ? "All owners have the same." : "No owner has anything.";
  const silent = explanation.owners.filter(({ reachable }) => !reachable);
  if (silent.length === 0) return "The owners differ; reads and repair make them equal.";
  const names = silent.map(({ node }) => node).join(", ");
  const verb = silent.length === 1 ? "does" : "do";
  const keeps = explanation.fallbacks.length > 0 ? " A fallback keeps it meanwhile." : "";
  return `${names} ${verb} not answer.${keeps}`;
}

/** Enough of a dot to tell it from its neighbours: `b5e2…01.…7024`. */
export function shortDot(dot: string): string {
  const [actor = "", counter = ""] = dot.split(".");
  const shortActor = actor.length > 8 ? `${actor.slice(0, 4)}…${actor.slice(-2)}` : actor;
  return `${shortActor}.${counter.length > 6 ? `…${counter.slice(-4)}` : counter}`;
}
