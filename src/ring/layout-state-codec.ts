/**
 * A layout state in bytes, for peers and for the disk. Equal states have equal bytes.
 *
 *   format u8 = 2 | floor varint | fixed varint | versions u8
 *     per version, the oldest first:  contents u8, the lowest hash first; each: layout (bytes, layout.ts)
 *   nodes varint    each, in order of id:  id 8 | ack varint | sync varint | syncAck varint
 *   removed varint  each, in order of id:  id 8 | version varint
 *   staged varint   each, in order of id:  hlc u64 | who staged it 8 | change (staged-changes.ts)
 *
 * Before there were several versions, one layout (first byte 1) was all there was; it is read as the first of a state.
 */
import { ByteReader, DecodeError } from "../base/byte-reader.ts";
import { ByteWriter } from "../base/byte-writer.ts";
import { hex } from "../base/bytes.ts";
import {
  compareContents,
  CONTENTS_MAX,
  contentOf,
  HISTORY_VERSIONS_MAX,
  type LayoutContent,
  LayoutHistory,
} from "./layout-history.ts";
import type { Progress } from "./layout-trackers.ts";
import { decodeLayout, ID_BYTES, LAYOUT_MEMBERS_MAX, within } from "./layout.ts";
import {
  changedNode,
  readChange,
  STAGED_MAX,
  type StagedChange,
  writeChange,
} from "./staged-changes.ts";

/** Everything that a layout state knows. */
export interface LayoutFacts {
  readonly history: LayoutHistory;
  /** By id; only of members that are not removed. */
  readonly progress: ReadonlyMap<string, Progress>;
  /** The version that each id was gone with. */
  readonly removed: ReadonlyMap<string, number>;
  /** By id, `none` included. */
  readonly staged: ReadonlyMap<string, StagedChange>;
}

/** Ids lost for ever that are kept; of more, those of the newest versions. */
export const REMOVED_MAX = 4096;
/** Nodes whose progress is kept; of more, the lowest ids. Far more than a cluster has even while all of its nodes are replaced. */
export const PROGRESS_MAX = 8 * LAYOUT_MEMBERS_MAX;

const FORMAT = 2;
const BARE_LAYOUT = 1;

export function encodeFacts({ history, progress, removed, staged }: LayoutFacts): Uint8Array {
  const writer = new ByteWriter(4096);
  writer.u8(FORMAT);
  writer.varint(history.floor);
  writer.varint(history.fixed);
  writer.u8(history.versions.length);
  for (const contents of history.versions) {
    writer.u8(contents.length);
    for (const { bytes } of contents) writer.bytes(bytes);
  }
  writeById(writer, progress, ({ ack, sync, syncAck }) => {
    for (const version of [ack, sync, syncAck]) writer.varint(version);
  });
  writeById(writer, removed, (version) => writer.varint(version));
  writer.varint(staged.size);
  for (const { stamp, change } of sortedById(staged).map(([, value]) => value)) {
    writer.u64(stamp.hlc);
    writer.raw(Uint8Array.fromHex(stamp.node));
    writeChange(writer, change);
  }
  return writer.finish();
}

function writeById<T>(
  writer: ByteWriter,
  values: ReadonlyMap<string, T>,
  write: (value: T) => void,
): void {
  writer.varint(values.size);
  for (const [id, value] of sortedById(values)) {
    writer.raw(Uint8Array.fromHex(id));
    write(value);
  }
}

function sortedById<T>(values: ReadonlyMap<string, T>): [string, T][] {
  return [...values].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** Throws `DecodeError` for bytes that are no layout state. */
export function decodeFacts(bytes: Uint8Array): LayoutFacts {
  if (bytes[0] === BARE_LAYOUT) {
    const history = LayoutHistory.first(decodeLayout(bytes));
    return { history, progress: new Map(), removed: new Map(), staged: new Map() };
  }
  const reader = new ByteReader(bytes);
  within(reader.u8(), FORMAT, FORMAT, "format of the state");
  const history = readHistory(reader);
  const version = (): number => within(reader.varint(), 0, history.newestVersion, "version");
  const progress = readById(reader, PROGRESS_MAX, () => ({
    ack: version(),
    sync: version(),
    syncAck: version(),
  }));
  const removed = readById(reader, REMOVED_MAX, version);
  const staged = readStaged(reader);
  reader.expectEnd();
  return { history, progress, removed, staged };
}

function readHistory(reader: ByteReader): LayoutHistory {
  const floor = within(reader.varint(), 1, VERSION_MAX, "floor");
  const fixed = within(reader.varint(), floor, VERSION_MAX, "fixed version");
  const count = within(reader.u8(), 1, HISTORY_VERSIONS_MAX, "count of versions");
  const versions: LayoutContent[][] = [];
  let last = floor - 1;
  for (let at = 0; at < count; at++) {
    const contents = readContents(reader, last + 1);
    last = contents[0]!.layout.version;
    versions.push(contents);
  }
  within(fixed, floor, last, "fixed version");
  const { q } = versions[0]![0]!.layout;
  if (versions.flat().some(({ layout }) => layout.q !== q))
    throw new DecodeError("Cannot read layout: q differs between versions");
  return new LayoutHistory(floor, fixed, versions);
}
const VERSION_MAX = Number.MAX_SAFE_INTEGER - 1;

/** All contents of one version, which is at least `least`. */
function readContents(reader: ByteReader, least: number): LayoutContent[] {
  const count = within(reader.u8(), 1, CONTENTS_MAX, "count of contents");
  // Made anew: equal layouts shall have equal bytes, however a peer wrote its integers.
  const first = contentOf(decodeLayout(reader.view()));
  const version = within(first.layout.version, least, VERSION_MAX, "version");
  const contents = [first];
  while (contents.length < count) {
    const content = contentOf(decodeLayout(reader.view()));
    within(content.layout.version, version, version, "version");
    if (compareContents(contents.at(-1)!, content) >= 0)
      throw new DecodeError(`Cannot read layout: contents of version ${version} are out of order`);
    contents.push(content);
  }
  return contents;
}

function readById<T>(reader: ByteReader, countMax: number, read: () => T): Map<string, T> {
  const count = within(reader.varint(), 0, countMax, "count");
  within(count * ID_BYTES, 0, reader.remaining, "bytes of ids");
  const values = new Map<string, T>();
  let lastId = "";
  for (let at = 0; at < count; at++) {
    lastId = inOrder(lastId, hex(reader.raw(ID_BYTES)));
    values.set(lastId, read());
  }
  return values;
}

function readStaged(reader: ByteReader): Map<string, StagedChange> {
  const count = within(reader.varint(), 0, STAGED_MAX, "count of changes");
  const staged = new Map<string, StagedChange>();
  let lastId = "";
  for (let at = 0; at < count; at++) {
    const stamp = { hlc: reader.u64(), node: hex(reader.raw(ID_BYTES)) };
    const change = readChange(reader);
    lastId = inOrder(lastId, changedNode(change));
    staged.set(lastId, { stamp, change });
  }
  return staged;
}

function inOrder(last: string, next: string): string {
  if (next <= last) throw new DecodeError(`Cannot read layout: "${next}" is out of order`);
  return next;
}
