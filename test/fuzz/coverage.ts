/**
 * Which decoders the source has, so that none is left out of the table: exported functions, static methods and classes that are named for decoding, and
 * files that take bytes or text apart by themselves.
 */
import type { SourceText } from "../support/source-text.ts";
import type { Decoder } from "./decoder.ts";

const EXPORTED =
  /^export (?:async )?(?:function\*?|class|const) ((?:decode|parse|read)[A-Z]\w*|\w+Reader|recall|\w+FromJson)\b/gm;
const STATIC = /^ {2}static (decode\w*|parse\w*|open\w*|read[A-Z]\w*)\b/gm;
const TAKES_APART = /\bnew ByteReader\(|\bJSON\.parse\(|\bTOML\.parse\(/;

/** They read what they or their own tests wrote. */
const TOOLS = /^src\/(checkers|sim|simulator)\/|^src\/cli\/sim(-\w+)?\.ts$/;

/** What is called a decoder and is none, or is held elsewhere; a file stands for all that is in it. */
export const NOT_IN_TABLE: Readonly<Record<string, string>> = {
  "base/byte-reader.ts": "every row reads through it",
  "cli/bench-report.ts readReport": "a file, by `parseReport`",
  "cli/client-security.ts readTokenEntries": "a file, by `parseTokenFile`",
  "cli/client-security.ts readTokens": "a file, by `parseTokenFile`",
  "cli/cluster-control.ts": "its own program, through a socket that only the owner can open",
  "cli/cluster-scale.ts":
    "the number of nodes that it noted itself; whatever cannot be read is none",
  "cli/config-print.ts": "reads back what it printed",
  "cli/export.ts": "the last line of a file that it wrote, to go on behind it",
  "cli/import-records.ts readRecords":
    "a file; its lines go to `hasPlainValue`, its records to `CsvReader`",
  "cli/import.ts":
    "the place in a file that it noted itself; whatever cannot be read is the beginning",
  "cli/key-file.ts readKeyFile": "a file, by `parseKeyFile`",
  "cli/key-file.ts readSecretFile": "reads text as it is",
  "cli/key-file.ts readTextFile": "reads text as it is",
  "cli/knob-options.ts": "hands what TOML or JSON have made to `loadConfig`",
  "cli/tour-request.ts": "answers of the nodes that it has started itself",
  "cli/tour.ts": "answers of the nodes that it has started itself",
  "client/client.ts": "answers of nodes; `test/client`",
  "cluster/answers.ts readTimeout": "makes an error",
  "cluster/collection-scan.ts readDead": "scans the store",
  "cluster/hint-page.ts readPage": "scans the store",
  "cluster/partition-facts.ts":
    "two numbers of its own under the checksums of the store; `partition-facts.test.ts`",
  "cluster/state-exchange.ts": "a byte in front of bucket entries",
  "http/body-reader.ts": "counts bytes; `http-fuzz.test.ts` and `raw-sockets.test.ts`",
  "http/headers.ts readRequestOf": "puts parsed headers together; `http-fuzz.test.ts`",
  "http/json-body.ts readJson": "`parseJson` and a schema; `http-fuzz.test.ts`",
  "storage/data-directory.ts open": "opens a directory, by `readIdentity`",
  "storage/log/log-scan.ts readWholeFile": "reads bytes as they are",
  "storage/recovery.ts":
    "a count in front of a batch whose checksum holds; `storage/damage.test.ts`",
  "storage/repair.ts": "a count in front of a batch whose checksum holds; `storage/damage.test.ts`",
  "storage/table/table-file.ts open": "by `openPath`",
  "storage/table/table-file.ts readBytes": "reads bytes as they are",
  "storage/table/table-summary.ts readTableMetadata": "by `openPath`",
  "ui/live/live.ts": "events by `EventParser`, made by the node that serves the page",
};

/** A complaint for each decoder that is neither in the table nor excused, and for each that is spoken of and is not there. */
export function coverageComplaints(
  sources: readonly SourceText[],
  decoders: readonly Decoder[],
): string[] {
  const own = sources.filter(({ path }) => !TOOLS.test(path));
  const known = new Set([
    ...decoders.flatMap(({ covers }) => covers),
    ...Object.keys(NOT_IN_TABLE),
  ]);
  const knownFiles = new Set([...known].map((name) => name.split(" ")[0]!));
  const missing = own.flatMap((source) => missingOf(source, known, knownFiles));
  const gone = [...known].filter((name) => !isThere(own, name));
  return [
    ...missing.map((name) => `${name} is in no row of the table of decoders`),
    ...gone.map((name) => `${name} is not in the source`),
  ];
}

function missingOf(
  { path, code }: SourceText,
  known: ReadonlySet<string>,
  knownFiles: ReadonlySet<string>,
): string[] {
  const file = path.replace(/^src\//, "");
  if (known.has(file)) return [];
  const named = [...code.matchAll(EXPORTED), ...code.matchAll(STATIC)].map(
    ([, name]) => `${file} ${name}`,
  );
  const missing = named.filter((name) => !known.has(name));
  return TAKES_APART.test(code) && !knownFiles.has(file) ? [...missing, file] : missing;
}

function isThere(sources: readonly SourceText[], name: string): boolean {
  const [file, symbol = ""] = name.split(" ");
  const source = sources.find(({ path }) => path === `src/${file}`);
  return source !== undefined && source.code.includes(symbol);
}
