/**
 * Plants one bug of `bugs.ts` in the process that is started with it, while its source is loaded; no file is changed:
 *
 *   HUTCH_PLANTED_BUG=no-write-back bun --preload ./test/planted/plant.ts scripts/sim-cluster.ts --seed 1
 *
 * A text that does not occur exactly once ends the process at once, and so does a file that is never loaded: a bug that is not there would be one that
 * "was not found".
 */
import { plugin } from "bun";
import { readFileSync } from "node:fs";
import { messageOf } from "../../src/base/errors.ts";
import { bugOf, editsByFile, planted } from "./planted-source.ts";

/** As in `sysexits.h`: the command was used in the wrong way. */
const USAGE_EXIT = 64;

function plant(name: string): void {
  const edits = editsByFile(bugOf(name));
  const sources = new Map([...edits].map(([path, own]) => [path, planted(read(path), own)]));
  const missing = new Set(sources.keys());
  plugin({
    name: `planted bug: ${name}`,
    setup: (build) => {
      for (const [path, contents] of sources)
        build.onLoad({ filter: new RegExp(`^${RegExp.escape(path)}$`) }, () => {
          missing.delete(path);
          return { contents, loader: "ts" };
        });
    },
  });
  process.on("exit", () => {
    if (missing.size > 0 && !isOverseer()) fail(`${[...missing].join()} was never loaded`);
  });
}

/** `hutch sim` runs nothing itself: the processes that do are started with the same options. */
function isOverseer(): boolean {
  const [, main = "", command] = process.argv;
  if (process.argv.includes("--child")) return false;
  return command === "sim" || main.endsWith("/scripts/sim-cluster.ts");
}

const read = (path: string): string => readFileSync(path, "utf8");

function fail(reason: string): never {
  process.stderr.write(`Cannot plant a bug: ${reason}\n`);
  process.exit(USAGE_EXIT);
}

try {
  plant(process.env["HUTCH_PLANTED_BUG"] ?? "");
} catch (thrown) {
  fail(messageOf(thrown));
}
