/**
 * Changes of the ring that somebody wants and nobody has applied yet (R57): one register per node id, the later stamp wins.
 *
 * Changes are staged on top of the newest layout version; as soon as there is a newer one they are applied or void.
 *
 *   change: node id 8 | kind u8 | body                     a `join` names its node in the member
 *     0 none
 *     1 join      member (layout.ts) | u8 0, or u8 1 and the id 8 of the node that it replaces
 *     2 leave
 *     3 remove
 *     4 update    u8 flags | weight varint if 1 | dc, rack, host if 2
 */
import { assert, unreachable } from "../base/assert.ts";
import { type ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { compareBytes, hex, utf8 } from "../base/bytes.ts";
import {
  ID_BYTES,
  type LayoutMember,
  MEMBER_TEXT_BYTES_MAX,
  readMember,
  readText,
  WEIGHT_MAX,
  within,
  writeMember,
} from "./layout.ts";

export type LayoutChange =
  /** `replaces`: takes over every partition of that member. */
  | { readonly kind: "join"; readonly member: LayoutMember; readonly replaces?: string }
  /** Goes when everything it holds is with its heirs. */
  | { readonly kind: "leave"; readonly node: string }
  /** Is lost for good: nobody waits for it. */
  | { readonly kind: "remove"; readonly node: string }
  | {
      readonly kind: "update";
      readonly node: string;
      readonly weight?: number;
      readonly zone?: LayoutMember["zone"];
    }
  /** What was staged for the node is taken back. */
  | { readonly kind: "none"; readonly node: string };

export interface ChangeStamp {
  readonly hlc: number;
  /** Who staged it. */
  readonly node: string;
}

export interface StagedChange {
  readonly stamp: ChangeStamp;
  readonly change: LayoutChange;
}

/** Node ids with a change staged; of more, the lowest are kept. */
export const STAGED_MAX = 1024;

const KINDS = ["none", "join", "leave", "remove", "update"] as const;
const HAS_WEIGHT = 1;
const HAS_ZONE = 2;

/** The node that a change is about. */
export function changedNode(change: LayoutChange): string {
  return change.kind === "join" ? change.member.id : change.node;
}

/** Per node the later of both, in order of node id. Equal stamps are decided by the bytes. */
export function mergeStaged(
  ...sides: readonly Iterable<StagedChange>[]
): ReadonlyMap<string, StagedChange> {
  const latest = new Map<string, StagedChange>();
  for (const side of sides)
    for (const staged of side) {
      const node = changedNode(staged.change);
      const known = latest.get(node);
      if (known === undefined || isLater(staged, known)) latest.set(node, staged);
    }
  return new Map([...latest].sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, STAGED_MAX));
}

function isLater(a: StagedChange, b: StagedChange): boolean {
  if (a.stamp.hlc !== b.stamp.hlc) return a.stamp.hlc > b.stamp.hlc;
  if (a.stamp.node !== b.stamp.node) return a.stamp.node > b.stamp.node;
  return compareBytes(changeBytes(a.change), changeBytes(b.change)) > 0;
}

function changeBytes(change: LayoutChange): Uint8Array {
  const writer = new ByteWriter(128);
  writeChange(writer, change);
  return writer.finish();
}

/** `change` on top of what was staged for the node before: an update adds to a join or to another update. */
export function onTopOf(earlier: LayoutChange | undefined, change: LayoutChange): LayoutChange {
  if (change.kind !== "update") return change;
  if (earlier?.kind === "update") return { ...earlier, ...change };
  return earlier?.kind === "join"
    ? { ...earlier, member: updatedMember(earlier.member, change) }
    : change;
}

export function updatedMember(
  member: LayoutMember,
  { weight, zone }: { readonly weight?: number; readonly zone?: LayoutMember["zone"] },
): LayoutMember {
  return { ...member, weight: weight ?? member.weight, zone: zone ?? member.zone };
}

export function writeChange(writer: ByteWriter, change: LayoutChange): void {
  writer.raw(Uint8Array.fromHex(changedNode(change)));
  writer.u8(KINDS.indexOf(change.kind));
  if (change.kind === "join") {
    writeMember(writer, change.member);
    writer.u8(change.replaces === undefined ? 0 : 1);
    if (change.replaces !== undefined) writer.raw(Uint8Array.fromHex(change.replaces));
  } else if (change.kind === "update") {
    const { weight, zone } = change;
    writer.u8((weight === undefined ? 0 : HAS_WEIGHT) | (zone === undefined ? 0 : HAS_ZONE));
    if (weight !== undefined) writer.varint(weight);
    if (zone !== undefined)
      for (const text of [zone.dc, zone.rack, zone.host]) writer.bytes(utf8(text));
  }
}

/** Throws `DecodeError` for anything that `writeChange` does not make. */
export function readChange(reader: ByteReader): LayoutChange {
  const node = hex(reader.raw(ID_BYTES));
  const kind = KINDS[within(reader.u8(), 0, KINDS.length - 1, "kind of change")]!;
  switch (kind) {
    case "join":
      return readJoin(reader, node);
    case "update":
      return readUpdate(reader, node);
    case "none":
    case "leave":
    case "remove":
      return { kind, node };
    default:
      return unreachable(kind);
  }
}

function readJoin(reader: ByteReader, node: string): LayoutChange {
  const member = readMember(reader);
  if (member.id !== node)
    throw new DecodeError(`Cannot read layout: "${member.id}" is staged as "${node}"`);
  return within(reader.u8(), 0, 1, "flag") === 0
    ? { kind: "join", member }
    : { kind: "join", member, replaces: hex(reader.raw(ID_BYTES)) };
}

function readUpdate(reader: ByteReader, node: string): LayoutChange {
  const flags = within(reader.u8(), 0, HAS_WEIGHT | HAS_ZONE, "flags");
  return {
    kind: "update",
    node,
    ...(flags & HAS_WEIGHT && { weight: within(reader.varint(), 1, WEIGHT_MAX, "weight") }),
    ...(flags & HAS_ZONE && {
      zone: { dc: readText(reader), rack: readText(reader), host: readText(reader) },
    }),
  };
}

/** Callers check what people type; what cannot be read again must not be written. */
export function assertEncodable(change: LayoutChange): void {
  const { weight, zone } =
    change.kind === "join" ? change.member : change.kind === "update" ? change : {};
  const others = change.kind === "join" ? [change.member.name, change.member.peerAddress] : [];
  const texts = [...others, ...(zone === undefined ? [] : [zone.dc, zone.rack, zone.host])];
  assert(
    texts.every((text) => utf8(text).length <= MEMBER_TEXT_BYTES_MAX),
    "a text of a member has at most 255 bytes",
  );
  assert(
    weight === undefined || (Number.isInteger(weight) && weight >= 1 && weight <= WEIGHT_MAX),
    "a weight is 1..1000",
  );
}
