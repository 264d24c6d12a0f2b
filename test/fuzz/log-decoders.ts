/** Logs, the manifest, and the small files of a data directory. */
import fc from "fast-check";
import { concatBytes, utf8, utf8Text } from "../../src/base/bytes.ts";
import { ByteWriter } from "../../src/base/byte-writer.ts";
import { crc32 } from "../../src/kernels/kernels.ts";
import { lastAliveMs } from "../../src/storage/alive-mark.ts";
import { readIdentity } from "../../src/storage/data-directory.ts";
import {
  ALIVE_FILE,
  CURRENT_FILE,
  fileName,
  IDENTITY_FILE,
  parseFileName,
} from "../../src/storage/file-names.ts";
import {
  decodeEdit,
  encodeEdit,
  type ManifestEdit,
} from "../../src/storage/levels/manifest-edit.ts";
import { loadManifest } from "../../src/storage/levels/manifest.ts";
import {
  beginRecord,
  decodeLogHeader,
  encodeLogHeader,
  endRecord,
  LOG_HEADER_BYTES,
  type LogKind,
  maskChecksum,
  RECORD_HEADER_BYTES,
  RECORD_TYPES,
} from "../../src/storage/log/log-format.ts";
import { recordsAnywhere, scanLog } from "../../src/storage/log/log-scan.ts";
import { decodeBatch, encodeBatch, WriteBatch } from "../../src/storage/write-batch.ts";
import { type Decoder, decoder, encoded, isBeginning, REFUSED } from "./decoder.ts";
import { diskWith, OWNER, setU32 } from "./disks.ts";

const bytes = fc.uint8Array({ maxLength: 24 });
const key = fc.uint8Array({ minLength: 1, maxLength: 16 });
const whole = fc.oneof(fc.nat(1000), fc.maxSafeNat());
/** Not biased to small numbers: two logs do not have one salt. */
const u32 = fc.noBias(fc.integer({ min: 0, max: 0xffffffff }));
const MANIFEST_ID = 42;

// Logs.

const batch: fc.Arbitrary<WriteBatch> = fc
  .array(fc.tuple(fc.boolean(), key, bytes), { maxLength: 5 })
  .map((entries) => {
    const made = new WriteBatch();
    for (const [isPut, name, value] of entries)
      if (isPut) made.put(name, value);
      else made.delete(name);
    return made;
  });

interface WrittenRecord {
  readonly type: number;
  readonly payload: Uint8Array;
}

function logOf(
  kind: LogKind,
  fileId: number,
  salt: number,
  start: number,
  records: readonly WrittenRecord[],
): Uint8Array {
  const writer = new ByteWriter(1024);
  records.forEach(({ type, payload }, i) => {
    const at = beginRecord(writer);
    writer.raw(payload);
    endRecord(writer, at, type, salt, start + i, start + i - 1);
  });
  return concatBytes(encodeLogHeader(kind, fileId, OWNER, start, 0, salt), writer.finish());
}

/** With checksums and salts as they should be, as far as the lengths lead. */
function resealedLog(damaged: Uint8Array): Uint8Array {
  const log = damaged.slice();
  if (log.length < LOG_HEADER_BYTES) return log;
  setU32(log, LOG_HEADER_BYTES - 4, maskChecksum(crc32(log.subarray(0, LOG_HEADER_BYTES - 4))));
  const view = new DataView(log.buffer);
  const salt = view.getUint32(LOG_HEADER_BYTES - 8, true);
  for (let at = LOG_HEADER_BYTES; at + RECORD_HEADER_BYTES <= log.length;) {
    const end = at + RECORD_HEADER_BYTES + view.getUint32(at + 4, true);
    if (end > log.length) break;
    setU32(log, at + 9, salt);
    setU32(log, at, maskChecksum(crc32(log.subarray(at + 4, end))));
    at = end;
  }
  return log;
}

const segment = fc
  .tuple(whole, u32, fc.integer({ min: 1, max: 2 ** 40 }), fc.array(batch, { maxLength: 5 }))
  .map(([id, salt, start, batches]) =>
    logOf(
      "wal",
      id,
      salt,
      start,
      batches.map((one) => ({
        type: RECORD_TYPES.batch,
        payload: encoded((writer) => encodeBatch(writer, one)),
      })),
    ),
  );

interface ReadRecord {
  readonly type: number;
  readonly sequence: number;
  readonly durableSequence: number;
  readonly content: unknown;
}

function recordsOf(log: Uint8Array, isAnywhere: boolean): ReadRecord[] | typeof REFUSED {
  const scan = scanLog("log", log);
  if (typeof scan.header === "string") return REFUSED;
  const records = isAnywhere ? recordsAnywhere(scan) : scan.records;
  return records.map(({ type, sequence, durableSequence, payloadStart, end }) => {
    const isBatch = type === RECORD_TYPES.batch;
    const content = isBatch ? decodeBatch(log, payloadStart, end) : log.slice(payloadStart, end);
    return { type, sequence, durableSequence, content };
  });
}

const header = fc
  .tuple(fc.constantFrom<LogKind>("wal", "manifest"), whole, whole, whole, u32)
  .map(([kind, id, start, durable, salt]) =>
    encodeLogHeader(kind, id, OWNER, start, durable, salt),
  );

const logs: readonly Decoder[] = [
  decoder({
    name: "log header",
    covers: ["storage/log/log-format.ts decodeLogHeader"],
    valid: header,
    decode: (input) => {
      const found = decodeLogHeader(input);
      return typeof found === "string" ? REFUSED : found;
    },
    // A sequence above 2^53 behind a checksum that holds.
    refusals: ["decode"],
    sealed: "whole",
    reseal: resealedLog,
  }),
  decoder({
    name: "log",
    covers: [
      "storage/log/log-format.ts recordAt",
      "storage/log/log-scan.ts scanLog",
      "storage/write-batch.ts decodeBatch",
    ],
    valid: segment,
    decode: (input) => recordsOf(input, false),
    refusals: ["decode"],
    sealed: (origin, value) => isBeginning(recordsOf(origin, false), value),
    reseal: resealedLog,
  }),
  decoder({
    name: "log searched through",
    covers: ["storage/log/log-scan.ts recordsAnywhere"],
    valid: segment,
    decode: (input) => recordsOf(input, true),
    refusals: ["decode"],
    sealed: (origin, value) => {
      const written = recordsOf(origin, true) as ReadRecord[]; // a valid log
      return (value as ReadRecord[]).every((found) =>
        written.some((one) => Bun.deepEquals(one, found, true)),
      );
    },
    reseal: resealedLog,
  }),
  decoder({
    name: "batch",
    covers: ["storage/write-batch.ts decodeBatch"],
    valid: batch.map((one) => encoded((writer) => encodeBatch(writer, one))),
    decode: (input) => decodeBatch(input, 0, input.length),
    encode: (value: WriteBatch) => encoded((writer) => encodeBatch(writer, value)),
    refusals: ["decode"],
  }),
];

// Manifest.

const range = fc.record({ start: bytes, end: bytes, sequenceMax: whole });
const table = fc.record({
  id: whole,
  fileBytes: whole,
  entryCount: whole,
  deletionCount: whole,
  smallestKey: bytes,
  largestKey: bytes,
  smallestSequence: whole,
  largestSequence: whole,
  checksum: u32,
});
const few = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(item, { maxLength: 3 });
const edit: fc.Arbitrary<ManifestEdit> = fc.record({
  added: few(fc.record({ level: fc.nat(6), table })),
  removed: few(whole),
  addedWalIds: few(whole),
  removedWalIds: few(whole),
  lostRanges: few(range),
  healed: few(range),
  verified: few(fc.record({ id: whole, atMs: whole })),
  nextFileId: whole,
  flushedSequence: whole,
  durableSequence: whole,
});
/** Without tables, which have to fit together. */
const possibleEdit = edit.map(({ added: _added, removed: _removed, ...rest }) => ({
  ...rest,
  lostRanges: (rest.lostRanges ?? []).filter(({ start, end }) => compareText(start, end) < 0),
  healed: (rest.healed ?? []).filter(({ start, end }) => compareText(start, end) < 0),
}));
const compareText = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b);

const manifest = fc
  .tuple(u32, fc.array(possibleEdit, { minLength: 1, maxLength: 4 }))
  .map(([salt, edits]) => manifestOf(MANIFEST_ID, salt, edits));

function manifestOf(id: number, salt: number, edits: readonly ManifestEdit[]): Uint8Array {
  const records = edits.map((one) => ({
    type: RECORD_TYPES.edit,
    payload: encoded((writer) => encodeEdit(writer, one)),
  }));
  return logOf("manifest", id, salt, 1, records);
}

const currentOf = (id: number): Uint8Array => {
  const name = fileName("manifest", id);
  return utf8(`${name}\n${checksumText(name)}\n`);
};
const checksumText = (text: string): string => crc32(utf8(text)).toString(16).padStart(8, "0");

function stateOf(content: Uint8Array): unknown {
  const disk = diskWith({
    [CURRENT_FILE]: currentOf(MANIFEST_ID),
    [fileName("manifest", MANIFEST_ID)]: content,
  });
  return loadManifest(disk, OWNER)?.state;
}

/** The states after each sound edit: a last one that was not synced may be torn. */
function statesOf(content: Uint8Array): unknown[] {
  const { records } = scanLog("manifest", content);
  return records.map(({ end }) => stateOf(content.slice(0, end)));
}

const MANIFESTS = { 1: manifestOf(1, 1, [{}]), 2: manifestOf(2, 2, [{}]) };

const manifests: readonly Decoder[] = [
  decoder({
    name: "manifest edit",
    covers: ["storage/levels/manifest-edit.ts decodeEdit"],
    valid: edit.map((one) => encoded((writer) => encodeEdit(writer, one))),
    decode: (input) => decodeEdit(input, 0, input.length),
    encode: (value: ManifestEdit) => encoded((writer) => encodeEdit(writer, value)),
    refusals: ["decode"],
  }),
  decoder({
    name: "manifest",
    covers: ["storage/levels/manifest.ts loadManifest"],
    valid: manifest,
    decode: stateOf,
    refusals: ["data-refused", "decode"],
    sealed: (origin, value) => statesOf(origin).some((state) => Bun.deepEquals(state, value, true)),
    reseal: resealedLog,
  }),
  decoder({
    name: "CURRENT",
    covers: ["storage/levels/manifest.ts loadManifest", "storage/file-names.ts parseFileName"],
    valid: fc.constantFrom(1, 2).map(currentOf),
    decode: (input) => {
      const disk = diskWith({
        [CURRENT_FILE]: input,
        [fileName("manifest", 1)]: MANIFESTS[1],
        [fileName("manifest", 2)]: MANIFESTS[2],
      });
      return loadManifest(disk, OWNER) !== undefined && (utf8Text(input) ?? "").split("\n")[0];
    },
    refusals: ["data-refused"],
    sealed: "whole",
    reseal: (damaged) => {
      const [name = ""] = Buffer.from(damaged).toString("utf8").split("\n");
      return utf8(`${name}\n${checksumText(name)}\n`);
    },
  }),
  decoder({
    name: "file name",
    covers: ["storage/file-names.ts parseFileName"],
    valid: fc
      .tuple(fc.constantFrom("wal" as const, "table" as const, "manifest" as const), fc.nat())
      .map(([kind, id]) => utf8(fileName(kind, id))),
    decode: (input) => parseFileName(Buffer.from(input).toString("latin1")) ?? REFUSED,
    encode: (value: { kind: "wal"; id: number }) => utf8(fileName(value.kind, value.id)),
    refusals: [],
  }),
];

// Identity and last sign of life.

const identity = fc
  .tuple(
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc.uint8Array({ minLength: 8, maxLength: 8 }),
    fc.nat(),
    fc.boolean(),
  )
  .map(([cluster, node, generation, isClean]) =>
    sealedLine(
      JSON.stringify({
        format: 1,
        clusterId: cluster.toHex(),
        clusterSecret: cluster.toHex(),
        nodeId: node.toHex(),
        q: 256,
        generation,
        incarnation: 1,
        isClean,
        isFormed: true,
        home: "",
      }),
    ),
  );
const sealedLine = (line: string): Uint8Array => utf8(`${line}\n${checksumText(line)}\n`);

const aliveLine = (ms: number): string => `${ms} ${checksumText(String(ms))}\n`;
const aliveMarks = fc.array(fc.integer({ min: 1, max: 2 ** 45 }), { minLength: 1, maxLength: 4 });
const instantsOf = (content: Uint8Array): number[] =>
  [...(utf8Text(content) ?? "").matchAll(/^(\d+) /gm)].map((match) => Number(match[1]));

const smallFiles: readonly Decoder[] = [
  decoder({
    name: "IDENTITY",
    covers: ["storage/data-directory.ts readIdentity"],
    valid: identity,
    decode: (input) => readIdentity(diskWith({ [IDENTITY_FILE]: input })),
    refusals: ["data-refused"],
    sealed: "whole",
    reseal: (damaged) => sealedLine(Buffer.from(damaged).toString("utf8").split("\n")[0]!),
  }),
  decoder({
    name: "ALIVE",
    covers: ["storage/alive-mark.ts lastAliveMs"],
    valid: aliveMarks.map((marks) => utf8(marks.map(aliveLine).join(""))),
    decode: (input) => {
      const ms = lastAliveMs(diskWith({ [ALIVE_FILE]: input }));
      if (ms !== undefined && !(Number.isSafeInteger(ms) && ms >= 0))
        throw new Error(`${ms} is no instant`);
      return ms;
    },
    refusals: [],
    sealed: (origin, value) => value === 0 || instantsOf(origin).includes(value as number),
    reseal: (damaged) => {
      const lines = Buffer.from(damaged).toString("latin1").split("\n");
      const marks = lines.map((line) => line.split(" ")[0]!);
      return utf8(marks.map((text) => `${text} ${checksumText(text)}`).join("\n"));
    },
  }),
];

export const LOG_DECODERS: readonly Decoder[] = [...logs, ...manifests, ...smallFiles];
