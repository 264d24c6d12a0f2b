/**
 * `explain` of a key: where it is on the ring, which nodes own that place, what each of them has and how fast it said so.
 * The picture says it at a glance; the table under it says the same in words, also to those who do not see the picture.
 */
import { useEffect, useRef } from "preact/hooks";
import type { RingPartition } from "../../http/admin-api.ts";
import { getJson } from "../api.ts";
import { useLive } from "../live/live.ts";
import { formatMs } from "../parts/format.ts";
import { ExplainRing } from "./explain-ring.tsx";
import { Failure } from "./failure.tsx";
import { explainKey } from "./key-client.ts";
import { useLoaded } from "./loaded.ts";
import { type StoredKey, identityOf } from "./stored-key.ts";
import {
  type JudgedNode,
  VERDICT_SIGNS,
  VERDICT_WORDS,
  judgedNodes,
  shortDot,
  summaryOf,
} from "./verdicts.ts";

export interface KeyExplainProps {
  readonly bucket: string;
  readonly stored: StoredKey;
  /** Another number, another look. */
  readonly turn: number;
}

export function KeyExplain({ bucket, stored, turn }: KeyExplainProps): preact.JSX.Element {
  const { sample } = useLive();
  const states = sample?.nodes.map(({ id, state }) => `${id} ${state}`).join() ?? "";
  const explained = useLoaded(`${bucket}/${identityOf(stored)}`, (signal) =>
    explainKey(bucket, stored, signal),
  );
  const asked = useRef(`${turn} ${states}`);
  useEffect(() => {
    if (asked.current !== `${turn} ${states}`) explained.again();
    asked.current = `${turn} ${states}`;
  }, [turn, states]);
  const explanation = explained.value;
  const version = sample === undefined ? "" : `layout ${sample.cluster.layoutVersion}`;
  const ring = useLoaded(version, (signal) =>
    getJson<{ partitions: readonly RingPartition[] }>("/v1/cluster/ring", signal),
  );
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
            {sample !== undefined && ring.value !== undefined && (
              <ExplainRing
                partition={explanation.partition}
                partitions={ring.value.partitions}
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
    <div class="table-scroll" tabIndex={0} role="group" aria-label="What each node holds">
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
                  <code key={dot} title={dot}>
                    {shortDot(dot)}
                  </code>
                ))}
              </td>
              <td class="number">{reachable ? formatMs(latencyMs) : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
