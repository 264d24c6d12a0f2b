/**
 * From the newest layout and the staged changes to the next layout (R57).
 *
 * A replacement takes the id of the one it replaces in the old assignment first; everything is kept from there. Where zones and weights are
 * then as they were, so is the assignment: what changes nothing moves nothing, and replacing a node exchanges one id.
 */
import { HutchError } from "../base/errors.ts";
import { assignLayout } from "./assignment.ts";
import { type Layout, LAYOUT_MEMBERS_MAX, type LayoutMember } from "./layout.ts";
import { changedNode, type LayoutChange, updatedMember } from "./staged-changes.ts";
import { zoneLevels } from "./zones.ts";

export interface NextLayoutRequest {
  readonly newest: Layout;
  readonly version: number;
  /** Copies wanted per partition. */
  readonly n: number;
  readonly changes: readonly LayoutChange[];
  /** Ids lost for good: they are no members, whatever is staged. */
  readonly removed: { has(node: string): boolean };
}

/** Throws `layout-conflict` where no member, or more than `LAYOUT_MEMBERS_MAX`, would be left. */
export function nextLayout(request: NextLayoutRequest): Layout {
  const { newest, version, n, removed } = request;
  const changes = request.changes.filter((change) => !removed.has(changedNode(change)));
  const members = membersAfter(newest, changes).filter(({ id }) => !removed.has(id));
  if (members.length < 1 || members.length > LAYOUT_MEMBERS_MAX)
    throw new HutchError(
      "layout-conflict",
      `Cannot make layout version ${version}: it would have ${members.length} members, 1..${LAYOUT_MEMBERS_MAX} are possible`,
    );
  // What a version does to a bucket it does once.
  const { copies: _, ...assignment } = newest;
  const previous = renamed(assignment, replacements(newest, changes));
  return isAlike(previous, members, n)
    ? { ...previous, version, members }
    : assignLayout({ version, q: newest.q, n, members, previous });
}

/** In order of id. */
function membersAfter(newest: Layout, changes: readonly LayoutChange[]): LayoutMember[] {
  const members = new Map(newest.members.map((member) => [member.id, member]));
  for (const change of changes) {
    const member = members.get(changedNode(change));
    if (change.kind === "join") {
      members.set(change.member.id, change.member);
      if (change.replaces !== undefined) members.delete(change.replaces);
    } else if (change.kind === "leave" || change.kind === "remove") members.delete(change.node);
    else if (change.kind === "update" && member !== undefined)
      members.set(change.node, updatedMember(member, change));
  }
  return [...members.values()].sort(byId);
}

const byId = (a: LayoutMember, b: LayoutMember): number => (a.id < b.id ? -1 : 1);

/** The new id by the id it takes the place of. Of two for one place, the first has it; the other simply joins. */
function replacements(newest: Layout, changes: readonly LayoutChange[]): Map<string, string> {
  const known = new Set(newest.members.map(({ id }) => id));
  const heirs = new Map<string, string>();
  for (const change of changes) {
    if (change.kind !== "join" || change.replaces === undefined) continue;
    const { member, replaces } = change;
    if (!known.has(member.id) && known.has(replaces) && !heirs.has(replaces))
      heirs.set(replaces, member.id);
  }
  return heirs;
}

function renamed(layout: Layout, heirs: ReadonlyMap<string, string>): Layout {
  if (heirs.size === 0) return layout;
  const unsorted = layout.members.map((member) => ({
    ...member,
    id: heirs.get(member.id) ?? member.id,
  }));
  const members = [...unsorted].sort(byId);
  const newIndex = new Map(members.map((member, at) => [member, at]));
  const owners = layout.owners.map((owner) => newIndex.get(unsorted[owner]!)!);
  return { ...layout, members, owners };
}

/** Whether the assignment of `previous` was made for the same ids, weights and zones. */
function isAlike(previous: Layout, members: readonly LayoutMember[], n: number): boolean {
  if (members.length !== previous.members.length) return false;
  if (previous.n !== Math.min(n, members.length)) return false;
  const isSame = previous.members.every(
    ({ id, weight }, at) => id === members[at]!.id && weight === members[at]!.weight,
  );
  if (!isSame) return false;
  // Groups are numbered as they appear: equal numbers, equal division into zones, whatever the zones are called.
  const before = zoneLevels(previous.members);
  return zoneLevels(members).every(({ groupOf }, level) =>
    groupOf.every((group, at) => group === before[level]!.groupOf[at]),
  );
}

/** Whom these changes declare lost: nodes staged to be removed, and those replaced that are not staged to leave by themselves. */
export function lostBy(changes: readonly LayoutChange[]): string[] {
  const leaving = new Set(
    changes.filter(({ kind }) => kind === "leave").map((change) => changedNode(change)),
  );
  return changes.flatMap((change) => {
    if (change.kind === "remove") return [change.node];
    if (change.kind !== "join" || change.replaces === undefined) return [];
    return leaving.has(change.replaces) ? [] : [change.replaces];
  });
}
