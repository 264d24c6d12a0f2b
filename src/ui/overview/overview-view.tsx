/** The cluster at a glance: how it is, its nodes, and what the node that serves the page does right now. */
import type { LiveSample } from "../../http/live-api.ts";
import { type LiveState, useLive } from "../live/live.ts";
import { Chart } from "../parts/chart.tsx";
import {
  counted,
  formatBytes,
  formatCount,
  formatMs,
  formatPercent,
  formatRate,
} from "../parts/format.ts";
import { healthOf } from "./health.ts";
import { NodeTable } from "./node-table.tsx";

export function OverviewView() {
  const state = useLive();
  const { sample } = state;
  if (sample === undefined) return <Waiting />;
  const { title, detail, level } = healthOf(sample);
  return (
    <>
      <div class={`page-head health is-${level}`}>
        <h1>{title}</h1>
        <p>{detail}</p>
      </div>
      <Facts sample={sample} />
      <Charts state={state} />
      <section class="card" aria-labelledby="nodes-title">
        <div class="card-head">
          <h2 id="nodes-title">Nodes</h2>
          <a href="#/ring">Who owns what</a>
        </div>
        <NodeTable sample={sample} />
      </section>
    </>
  );
}

export function Waiting() {
  const { status, reason } = useLive();
  return (
    <section class="empty">
      <h1>{status === "gone" ? "No news from the node" : "Asking the node"}</h1>
      <p>{status === "gone" ? `${reason}. Trying again.` : "It tells how it is once a second."}</p>
    </section>
  );
}

function Facts({ sample }: { readonly sample: LiveSample }) {
  const { cluster, nodes, disk, hints, repair } = sample;
  const present = nodes.filter(({ state }) => state !== "left");
  const copies = Math.min(cluster.n, present.length);
  const entries = present.reduce((sum, node) => sum + node.keys, 0) / Math.max(1, copies);
  const bytes = present.reduce((sum, node) => sum + node.bytes, 0);
  const held = hints.reduce((sum, { count }) => sum + count, 0);
  return (
    <dl class="facts">
      <Fact name="Nodes up" value={`${cluster.nodes.up}`} unit={`of ${present.length}`} />
      <Fact
        name="Entries"
        value={formatCount(entries)}
        unit={`in ${counted(copies, "copy", "copies")}`}
      />
      <Fact name="Data on disk" value={formatBytes(bytes)} unit="all nodes" />
      <Fact name={`Free on ${sample.node}`} value={formatBytes(disk.freeBytes)} />
      <Fact name="Hints waiting" value={formatCount(held)} />
      <Fact
        name="Repair"
        value={repair.progress === null ? "idle" : formatPercent(repair.progress)}
        unit={repair.progress === null ? "" : "of this round"}
      />
    </dl>
  );
}

interface FactProps {
  readonly name: string;
  readonly value: string;
  readonly unit?: string;
}

export function Fact({ name, value, unit = "" }: FactProps) {
  return (
    <div class="fact">
      <dt>{name}</dt>
      <dd>
        {value} <small>{unit}</small>
      </dd>
    </div>
  );
}

function Charts({ state }: { readonly state: LiveState }) {
  const { history, sample } = state;
  const seconds = history.column("seconds");
  const line = (name: string, column: Parameters<typeof history.column>[0], colour: string) => ({
    name,
    colour,
    values: history.column(column),
  });
  return (
    <div class="columns">
      <Chart
        title={`Operations per second on ${sample?.node ?? ""}`}
        seconds={seconds}
        format={formatRate}
        topMin={5}
        lines={[
          line("reads", "reads", "var(--accent)"),
          line("writes", "writes", "#0ea5a0"),
          line("deletes", "deletes", "#8e6a5b"),
          line("failed", "failed", "var(--bad-mark)"),
        ]}
      />
      <Chart
        title="Latency, this second"
        seconds={seconds}
        format={formatMs}
        topMin={1}
        lines={[
          line("read p50", "read.p50", "var(--accent)"),
          line("read p99", "read.p99", "#c084fc"),
          line("write p50", "write.p50", "#0ea5a0"),
          line("write p99", "write.p99", "#e08c00"),
        ]}
      />
    </div>
  );
}
