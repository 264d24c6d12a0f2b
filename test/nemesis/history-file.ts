/** The history of a run as it is kept: JSON lines in the form of Jepsen's (`history-lines.ts`), compressed. */
import { createReadStream, createWriteStream } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { historyFromLines, historyToLines } from "../../src/checkers/history-lines.ts";
import type { History } from "../../src/checkers/history.ts";

const NAME = "history.jsonl.gz";
/** Lines that are compressed together. */
const CHUNK_LINES = 1000;

export async function saveHistory(history: History, directory: string): Promise<void> {
  const lines = historyToLines(history);
  const chunks = function* (): Generator<string> {
    for (let i = 0; i < lines.length; i += CHUNK_LINES)
      yield `${lines.slice(i, i + CHUNK_LINES).join("\n")}\n`;
  };
  const target = createWriteStream(join(directory, NAME));
  await pipeline(Readable.from(chunks()), createGzip(), target);
}

export async function loadHistory(directory: string): Promise<History> {
  const source = createReadStream(join(directory, NAME)).pipe(createGunzip());
  const lines: string[] = [];
  for await (const line of createInterface({ input: source })) if (line !== "") lines.push(line);
  return historyFromLines(lines);
}
