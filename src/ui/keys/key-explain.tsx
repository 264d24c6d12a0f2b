/**
 * `explain` of a key: where it is on the ring, which nodes own that place, what each of them has and how fast it said so.
 * The picture says it at a glance; the table under it says the same in words, also to those who do not see the picture.
 */
import { useLive } from "../live/live.ts";
import { ExplainRing } from "./explain-ring.tsx";
import { Failure } from "./failure.tsx";
import { type ExplainedNode, type Explanation, explainKey } from "./key-client.ts";
import { useLoaded } from "./loaded.ts";
import { type StoredKey, identityOf } from "./stored-key.ts";

export interface KeyExplainProps {
  readonly bucket: string;
  readonly stored: StoredKey;
  /** Another number, another look. */
  readonly turn: number;
}

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
  if (explanation.equal) return "All owners have the same.";
  const silent = explanation.owners.filter(({ reachable }) => !reachable);
  if (silent.length === 0) return "The owners differ; reads and repair make them equal.";
  const names = silent.map(({ node }) => node).join(", ");
  const verb = silent.length === 1 ? "does" : "do";
  const keeps = explanation.fallbacks.length > 0 ? " A fallback keeps it meanwhile." : "";
  return `${names} ${verb} not answer.${keeps}`;
}

export function KeyExplain({ bucket, stored, turn }: KeyExplainProps): preact.JSX.Element {
  const { sample } = useLive();
  const states = sample?.nodes.map(({ id, state }) => `${id} ${state}`).join() ?? "";
  const id = `${bucket}/${identityOf(stored)} ${turn} ${states}`;
  const explained = useLoaded(id, (signal) => explainKey(bucket, stored, signal));
  const explanation = explained.value;
  return (
    <section class="key-explain" aria-label="Where it is">
      <header class="key-head">
        <h3>Where it is</h3>
        <button type="button" class="button quiet" onClick={explained.again}>
          Ask the owners again
        </button>
      </header>
      {explained.error !== "" && <Failure words={explained.error} />}
      {explanation !== undefined && (
        <>
          <p>
            Partition {explanation.partition}
            {sample !== undefined && ` of ${sample.cluster.q}`}.{" "}
            <strong>{summaryOf(explanation)}</strong>
          </p>
          <div class="explain-both">
            {sample !== undefined && (
              <ExplainRing
                partition={explanation.partition}
                partitionCount={sample.cluster.q}
                names={sample.nodes.map((node) => node.id)}
                nodes={judgedNodes(explanation)}
              />
            )}
            <ExplainTable nodes={judgedNodes(explanation)} />
          </div>
        </>
      )}
    </section>
  );
}

function ExplainTable({ nodes }: { readonly nodes: readonly JudgedNode[] }): preact.JSX.Element {
  return (
    <div class="table-scroll">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">Role</th>
            <th scope="col">Holds</th>
            <th scope="col">Dots</th>
            <th scope="col" class="number">
              Answer
            </th>
          </tr>
        </thead>
        <tbody>
          {nodes.map(({ node, place, state, verdict, dots, latencyMs, reachable }) => (
            <tr key={node} class={`verdict-${verdict}`}>
              <th scope="row">{node}</th>
              <td>
                {place === 0 ? "fallback" : `owner ${place}`}
                {state !== "up" && <span class="dim">, {state}</span>}
              </td>
              <td>
                <span class="verdict" aria-hidden="true">
                  {VERDICT_SIGNS[verdict]}
                </span>{" "}
                {VERDICT_WORDS[verdict]}
              </td>
              <td class="dots">
                {dots.map((dot) => (
                  <code key={dot}>{dot}</code>
                ))}
              </td>
              <td class="number">{reachable ? `${latencyMs.toFixed(1)} ms` : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
