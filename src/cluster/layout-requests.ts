/**
 * What people ask for, in names, as changes of the layout in ids; and why a change is unwise.
 *
 * An objection can be overruled by force, an impossible request cannot: it throws. So rows 104 and 105: too few nodes would be left, or a node
 * that lives would be declared dead.
 */
import type { RestCode } from "../base/errors.ts";
import { HutchError } from "../base/errors.ts";
import type { NodeId } from "../gossip/member.ts";
import type { Layout, LayoutMember } from "../ring/layout.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { LayoutChange } from "./layout-control.ts";

type Zone = LayoutMember["zone"];

/** One change as people write it; `id` and `with` are names or ids. */
export interface ChangeRequest {
  readonly id: string;
  readonly weight?: number | undefined;
  /** What is left out stays. */
  readonly zone?: { readonly [Part in keyof Zone]?: string | undefined } | undefined;
  readonly action?: "join" | "leave" | "remove" | "replace" | "none" | undefined;
  /** Who takes the place of `id`, in a `replace`. */
  readonly with?: string | undefined;
}

/** Why something would be refused unless forced. */
export interface Objection {
  readonly code: RestCode;
  readonly detail: string;
}

/** What a request is understood against. */
export interface RequestContext {
  readonly view: ClusterView;
  /** By node id. */
  readonly staged: ReadonlyMap<NodeId, LayoutChange>;
  /** What an unknown `id` is called: a path that leads nowhere, or a bad request. */
  readonly unknown: RestCode;
}

/** Throws `unknown`, `bad-request` or `layout-conflict` for what cannot be. */
export function changeOf(request: ChangeRequest, context: RequestContext): LayoutChange {
  const { action } = request;
  switch (action) {
    case "none":
      return { kind: "none", node: findNode(request.id, context, "any") };
    case "leave":
    case "remove":
      return { kind: action, node: findNode(request.id, context, "member") };
    case "join":
      return { kind: "join", member: newcomer(request.id, context) };
    case "replace": {
      const replaces = findNode(request.id, context, "member");
      const member = newcomer(request.with ?? "", { ...context, unknown: "bad-request" });
      return { kind: "join", member, replaces };
    }
    case undefined:
      return updateOf(request, context);
  }
}

function updateOf({ id, weight, zone }: ChangeRequest, context: RequestContext): LayoutChange {
  const node = findNode(id, context, "any");
  const staged = context.staged.get(node);
  const member =
    staged?.kind === "join"
      ? staged.member
      : context.view.layout.members.find((each) => each.id === node);
  if (member === undefined) throw outside(id);
  const planned = (staged?.kind === "update" ? staged.zone : undefined) ?? member.zone;
  return {
    kind: "update",
    node,
    ...(weight === undefined ? {} : { weight }),
    ...(zone === undefined
      ? {}
      : {
          zone: {
            dc: zone.dc ?? planned.dc,
            rack: zone.rack ?? planned.rack,
            host: zone.host ?? planned.host,
          },
        }),
  };
}

/** A node that gossip knows and the layout does not, as it describes itself. */
function newcomer(name: string, context: RequestContext): LayoutMember {
  const { view } = context;
  const id = findNode(name, context, "newcomer");
  if (isMember(view, id))
    throw new HutchError("layout-conflict", `Cannot take node "${name}" in: it is in the layout`);
  const record = view.members.get(id)?.record;
  if (record === undefined || record.phase === "left")
    throw new HutchError(
      context.unknown,
      `Cannot take node "${name}" in: no running node has that name; start it with --seeds first`,
    );
  const { zone, weight, peerAddress } = record;
  return { id, name: record.name, zone, weight, peerAddress };
}

/**
 * The id of a node that people name.
 *
 * @param wanted of several nodes with one name (a dead one, and its successor on the same machine), the one to take; a `member` must be one
 */
function findNode(
  name: string,
  { view, staged, unknown }: RequestContext,
  wanted: "member" | "newcomer" | "any",
): NodeId {
  const known = new Set([
    ...view.layout.members.map(({ id }) => id),
    ...view.members.keys(),
    ...staged.keys(),
  ]);
  const found = [...known].filter((id) => id === name || view.nameOf(id) === name);
  const isWanted = (id: NodeId): boolean => isMember(view, id) === (wanted !== "newcomer");
  const id = found.find((each) => each === name) ?? found.find(isWanted) ?? found[0];
  if (id === undefined)
    throw new HutchError(
      unknown,
      `Cannot find node "${name.slice(0, 64)}": none has that name or id; /v1/cluster/nodes lists them`,
    );
  if (wanted === "member" && !isMember(view, id)) throw outside(name);
  return id;
}

function isMember({ layout }: ClusterView, node: NodeId): boolean {
  return layout.members.some(({ id }) => id === node);
}

function outside(name: string): HutchError {
  return new HutchError(
    "layout-conflict",
    `Cannot change node "${name.slice(0, 64)}": it is not in the layout`,
  );
}

/** From one layout to the next one. */
export interface Move {
  readonly current: Layout;
  readonly next: Layout;
  /** Copies wanted per partition. */
  readonly n: number;
}

/** Why `changes`, which make that move, are unwise; empty where they are not. */
export function objectionsTo(
  changes: readonly LayoutChange[],
  move: Move,
  view: ClusterView,
): Objection[] {
  return [
    ...changes.flatMap((change) => objectionTo(change, view) ?? []),
    ...underreplication(move),
  ];
}

function underreplication({ current, next, n }: Move): Objection[] {
  const [before, after] = [current.members.length, next.members.length];
  if (after >= n || after >= before) return [];
  const nodes = after === 1 ? "1 node" : `${after} nodes`;
  const detail = `Cannot go from ${before} to ${nodes}: ${n} copies of each key want ${n} nodes; add a node first`;
  return [{ code: "would-underreplicate", detail }];
}

function objectionTo(change: LayoutChange, view: ClusterView): Objection | undefined {
  switch (change.kind) {
    case "remove":
      return aliveObjection(change.node, view);
    case "leave":
      return view.isUp(change.node) ? undefined : deadObjection(change.node, view);
    case "join":
      return change.replaces === undefined ? undefined : aliveObjection(change.replaces, view);
    case "update":
    case "none":
      return undefined;
  }
}

function aliveObjection(node: NodeId, view: ClusterView): Objection | undefined {
  if (!view.isUp(node)) return undefined;
  const name = view.nameOf(node);
  const detail = `Cannot declare node "${name}" lost: it is up; let it leave, or stop it first`;
  return { code: "node-alive", detail };
}

/** A node that is down hands nothing over: everybody would wait for it. */
function deadObjection(node: NodeId, view: ClusterView): Objection {
  const name = view.nameOf(node);
  const detail = `Cannot let node "${name}" leave: it is down and cannot hand over what it holds; start it, or remove or replace it`;
  return { code: "unavailable", detail };
}
