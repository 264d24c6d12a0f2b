/**
 * The checker of registers against one of others: Porcupine, in Go (`bun scripts/porcupine.ts --source DIR`).
 *
 *   --source DIR       a checkout of github.com/anishathalye/porcupine; nothing is downloaded
 *   --histories 10000  random small histories that both judge, and up to six calls of each also by trying every order
 *   --seed 1           where they begin
 *   --history FILE     judges the keys of one recorded history instead (`src/checkers/history-lines.ts`)
 *
 * Exits with 1 where they disagree. Without Go or the checkout it says so and exits with 0: nothing was compared then.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { Prng } from "../src/base/prng.ts";
import { historyFromLines } from "../src/checkers/history-lines.ts";
import { linearize } from "../src/checkers/linearizable.ts";
import { type RegisterCall, registersOf } from "../src/checkers/register.ts";
import { hasOrder, randomRegister } from "../test/support/random-registers.ts";

const { values } = parseArgs({
  options: {
    source: { type: "string", default: "" },
    histories: { type: "string", default: "10000" },
    seed: { type: "string", default: "1" },
    history: { type: "string" },
  },
});

/** Trying every order of more calls would take too long. */
const BRUTE_FORCE_CALLS_MAX = 6;
const CALLS_MAX = 14;

/** Name of the register -> its calls. */
type Registers = ReadonlyMap<string, readonly RegisterCall[]>;

function skip(why: string): never {
  console.log(`skipped: ${why}`);
  process.exit(0);
}

function recorded(file: string): { registers: Registers; lines: readonly string[] } {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  const { registers, violations } = registersOf(historyFromLines(lines));
  if (violations.length > 0) skip(`${violations.length} reads show more than a register holds`);
  return { registers, lines };
}

function drawn(): { registers: Registers; lines: readonly string[] } {
  const registers = new Map<string, readonly RegisterCall[]>();
  for (let i = 0; i < Number(values.histories); i++) {
    const prng = new Prng(`porcupine/${Number(values.seed) + i}`);
    const callsMax = i % 2 === 0 ? BRUTE_FORCE_CALLS_MAX : CALLS_MAX;
    registers.set(`random/${i}`, randomRegister(prng, callsMax));
  }
  const lines = [...registers].flatMap(([key, calls]) => calls.flatMap((own) => linesOf(key, own)));
  return { registers, lines };
}

/** Porcupine sorts by time itself, so these need no order. */
function linesOf(key: string, call: RegisterCall): string[] {
  const { id, startMs, endMs, outcome } = call;
  const op = { read: "get", write: "put", delete: "delete", swap: "swap" }[call.kind];
  const arg = {
    value: call.kind === "write" || call.kind === "swap" ? call.arg : null,
    expected: call.kind === "swap" ? call.expected : null,
  };
  const ret = {
    versions: call.kind === "read" ? [{ value: call.result ?? null }] : [],
    hasSwapped: call.kind === "swap" ? call.hasSwapped : null,
  };
  const event = { proc: `${id}`, op, key, arg, id };
  return [
    JSON.stringify({ ...event, type: "invoke", t: startMs }),
    JSON.stringify({ ...event, type: outcome, t: endMs, ret }),
  ];
}

/** What Porcupine says of each register. */
function askPorcupine(source: string, lines: readonly string[]): Map<string, boolean> {
  const directory = mkdtempSync(join(tmpdir(), "hutch-porcupine-"));
  try {
    const main = readFileSync(join(import.meta.dir, "porcupine", "main.go"), "utf8");
    writeFileSync(join(directory, "main.go"), main);
    writeFileSync(
      join(directory, "go.mod"),
      `module crosscheck\n\ngo 1.18\n\nrequire github.com/anishathalye/porcupine v0.0.0\n\nreplace github.com/anishathalye/porcupine => ${resolve(source)}\n`,
    );
    const child = Bun.spawnSync(["go", "run", "."], {
      cwd: directory,
      env: { ...process.env, GOFLAGS: "-mod=mod", GOPROXY: "off" },
      stdin: Buffer.from(`${lines.join("\n")}\n`),
      stderr: "inherit",
    });
    if (child.exitCode !== 0) throw new Error(`go run ended with ${child.exitCode}`);
    const told = child.stdout.toString().trimEnd().split("\n");
    return new Map(
      told.map((text) => {
        const { key, isLinearizable } = JSON.parse(text) as {
          key: string;
          isLinearizable: boolean;
        };
        return [key, isLinearizable];
      }),
    );
  } finally {
    rmSync(directory, { recursive: true });
  }
}

if (Bun.which("go") === null) skip("there is no Go on this machine");
if (!existsSync(join(values.source, "go.mod")))
  skip("want --source with a checkout of github.com/anishathalye/porcupine");

const { registers, lines } = values.history === undefined ? drawn() : recorded(values.history);
const verdicts = askPorcupine(values.source, lines);
let linearizable = 0;
let tried = 0;
let disagreed = 0;
for (const [key, calls] of registers) {
  const own = linearize(calls).kind;
  const isSmall = calls.length <= BRUTE_FORCE_CALLS_MAX;
  const votes = [verdicts.get(key), own === "linearizable", ...(isSmall ? [hasOrder(calls)] : [])];
  if (own === "linearizable") linearizable++;
  if (isSmall) tried++;
  if (own !== "unknown" && new Set(votes).size === 1) continue;
  disagreed++;
  console.log(
    `${key}: Porcupine ${votes[0]}, hutch ${own}, every order ${votes[2] ?? "not tried"}`,
  );
}
console.log(
  `${registers.size} registers, ${linearizable} linearizable, ${tried} also by trying every order, ${disagreed} disagreements`,
);
process.exit(disagreed > 0 ? 1 : 0);
