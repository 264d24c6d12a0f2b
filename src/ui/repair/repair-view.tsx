/** How this node compares its copies with those of other owners (anti-entropy), and when each partition was last found or made equal. */
import { useState } from "preact/hooks";
import type { Job } from "../../http/admin-api.ts";
import { postJson, wordsOf } from "../api.ts";
import { useLive } from "../live/live.ts";
import { Fact, Waiting } from "../overview/overview-view.tsx";
import { formatAge, formatBytes, formatCount, formatPercent } from "../parts/format.ts";
import { useLoaded } from "../parts/loaded.ts";
import { AGES, type Cell, type PartitionRepair, cellsOf, colourOfAge } from "./verified.ts";

interface RepairAnswer {
  readonly partitions?: readonly PartitionRepair[];
  readonly totals?: Readonly<Record<string, number>>;
  readonly running?: { readonly total: number; readonly done: number };
  readonly jobs: readonly Job[];
}

const RELOAD_MS = 5000;

export function RepairView() {
  const { sample } = useLive();
  const { value, failure, reload } = useLoaded<RepairAnswer>("/v1/admin/repair", RELOAD_MS);
  if (sample === undefined) return <Waiting />;
  if (value === undefined) return failure === "" ? <Waiting /> : <NotAllowed failure={failure} />;
  const { partitions = [], totals = {}, running, jobs = [] } = value;
  const cells = cellsOf(sample.cluster.q, partitions, sample.atMs);
  return (
    <>
      <div class="page-head">
        <h1>Repair</h1>
        <p>
          {sample.node} compares each of its partitions with the other owners, by hash trees, all
          the time. What differs is copied, in both directions.
        </p>
      </div>
      {failure !== "" && <p class="notice is-bad">{failure}</p>}
      <dl class="facts">
        <Fact
          name="This round"
          value={
            running === undefined
              ? "idle"
              : formatPercent(running.done / Math.max(1, running.total))
          }
        />
        <Fact name="Rounds done" value={formatCount(totals["rounds"] ?? 0)} />
        <Fact name="Comparisons equal at once" value={formatCount(totals["treesEqual"] ?? 0)} />
        <Fact
          name="Keys copied"
          value={formatCount((totals["keysSent"] ?? 0) + (totals["keysReceived"] ?? 0))}
        />
        <Fact
          name="Bytes moved"
          value={formatBytes((totals["bytesSent"] ?? 0) + (totals["bytesReceived"] ?? 0))}
        />
      </dl>
      <section class="card">
        <div class="card-head">
          <h2>Last verified, by partition</h2>
          <CompareButton jobs={jobs} onStarted={reload} />
        </div>
        <Strip cells={cells} />
        <Scale />
      </section>
    </>
  );
}

function NotAllowed({ failure }: { readonly failure: string }) {
  return (
    <>
      <div class="page-head">
        <h1>Repair</h1>
      </div>
      <p class="notice is-bad">{failure}</p>
    </>
  );
}

function Strip({ cells }: { readonly cells: readonly Cell[] }) {
  const never = cells.filter(({ ageMs }) => ageMs < 0).length;
  const oldest = Math.max(-1, ...cells.map(({ ageMs }) => ageMs));
  const words = `${cells.length - never} of ${cells.length} verified${oldest < 0 ? "" : `, the longest ago ${formatAge(oldest)}`}`;
  return (
    <div class="strip" role="img" aria-label={words}>
      {cells.map((cell) => (
        <i
          key={cell.from}
          class={cell.differed ? "differed" : ""}
          style={{ "--cell": colourOfAge(cell.ageMs) || undefined }}
          title={titleOf(cell)}
        />
      ))}
    </div>
  );
}

function titleOf({ from, to, ageMs, lastPeer, differed }: Cell): string {
  const name = from === to ? `Partition ${from}` : `Partitions ${from} to ${to}`;
  if (ageMs < 0) return `${name}: not compared by this node yet`;
  const age = ageMs < 1000 ? "just now" : `${formatAge(ageMs)} ago`;
  return `${name}: ${age}, with ${lastPeer}${differed ? "; something was copied" : ""}`;
}

function Scale() {
  return (
    <div class="scale">
      {AGES.map(({ name, colour }) => (
        <span key={name}>
          <i style={{ "--cell": colour }} />
          {name}
        </span>
      ))}
      <span>
        <i style={{ "--cell": "var(--raised)" }} />
        not yet, or not of this node
      </span>
    </div>
  );
}

interface CompareProps {
  readonly jobs: readonly Job[];
  readonly onStarted: () => void;
}

function CompareButton({ jobs, onStarted }: CompareProps) {
  const [failure, setFailure] = useState("");
  const running = jobs.find(({ state }) => state === "running");
  const start = async (): Promise<void> => {
    try {
      await postJson("/v1/admin/repair");
      setFailure("");
      onStarted();
    } catch (thrown) {
      setFailure(wordsOf(thrown));
    }
  };
  return (
    <span class="actions">
      {failure}
      <button
        type="button"
        class="button"
        disabled={running !== undefined}
        onClick={() => void start()}
      >
        {running === undefined
          ? "Compare all now"
          : `Comparing, ${formatPercent(running.progress)}`}
      </button>
    </span>
  );
}
