/** The layout in words and numbers (REST.md section 4): who carries what, what is staged, how far a change is. Nodes by the names people gave them. */
import type { Layout } from "../ring/layout.ts";
import { layoutHash } from "../ring/layout.ts";
import type { LayoutState } from "../ring/layout-state.ts";
import { ownedCounts } from "../ring/transfer-plan.ts";
import { byName } from "./cluster-report.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { ChangeProgress, LayoutChange } from "./layout-control.ts";
import type { LayoutPreview } from "./layout-plan.ts";
import { spreadOf } from "./layout-plan.ts";
import type { Objection } from "./layout-requests.ts";

export interface LayoutFacts {
  readonly view: ClusterView;
  readonly state: LayoutState;
  readonly progress: ChangeProgress | undefined;
  readonly preview: (LayoutPreview & { readonly objections: readonly Objection[] }) | undefined;
}

export function describeLayout({ view, state, progress, preview }: LayoutFacts) {
  const layout = state.newest;
  const copies = ownedCounts(layout);
  const nodes = layout.members
    .map(({ id, zone, weight }) => ({
      id: view.nameOf(id),
      zone,
      weight,
      partitions: copies.get(id)!,
    }))
    .sort((a, b) => byName(a.id, b.id));
  return {
    version: layout.version,
    q: layout.q,
    n: layout.n,
    nodes,
    staged: [...state.staged.values()].flatMap((change) => describeChange(change, view) ?? []),
    conflicts: [...state.conflicts].map(([version, contents]) => ({
      version,
      contents: contents.map((content) => describeContent(content, view)),
    })),
    change: progress === undefined ? null : describeProgress(progress, view),
    // Where a node is today counts, not where it was when the layout was made.
    spread: spreadOf(layout, ({ id, zone }) => view.members.get(id)?.record.zone ?? zone),
    ...(preview && {
      preview: { ...preview, nodes: preview.nodes.toSorted((a, b) => byName(a.id, b.id)) },
    }),
  };
}

function describeChange(change: LayoutChange, view: ClusterView) {
  switch (change.kind) {
    case "join": {
      const { member, replaces } = change;
      const { name, zone, weight } = member;
      const place = replaces === undefined ? {} : { replaces: view.nameOf(replaces) };
      return { id: name, action: change.kind, weight, zone, ...place };
    }
    case "leave":
    case "remove":
      return { id: view.nameOf(change.node), action: change.kind };
    case "update": {
      const { kind, node, ...given } = change;
      return { id: view.nameOf(node), action: kind, ...given };
    }
    case "none":
      return undefined;
  }
}

function describeContent(content: Layout, view: ClusterView) {
  const nodes = content.members.map(({ id }) => view.nameOf(id));
  return { hash: layoutHash(content).toString(16).padStart(8, "0"), nodes };
}

function describeProgress(progress: ChangeProgress, view: ClusterView) {
  const { transfersDone, transfersTotal, waitingFor, ...counts } = progress;
  return {
    ...counts,
    transfers: { done: transfersDone, total: transfersTotal },
    waitingFor: waitingFor.map((node) => view.nameOf(node)),
  };
}
