/**
 * File calls of a real program that fail, wait or fall short, from outside and at run time.
 *
 * `sync-faults.c` is loaded into the program by LD_PRELOAD and looks at a board before each sync, write and read of a file; the board is a
 * small file that both sides have mapped, so that what is set here holds for the very next call. A call that is to fail is not made: what it
 * would have made durable stays in the page cache, as after a real failed sync. A program that was started with the same environment again
 * looks at the same board.
 *
 * Needs Linux, a C compiler and a Bun that loads shared libraries; `available` says what is missing.
 */
import { rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { leftoversOf, makeOwnDirectory } from "./leftovers.ts";

export type FaultError = "EIO" | "ENOSPC" | "EDQUOT" | "EROFS" | "EINTR";

/** What happens to calls on files. The default of each is that nothing does. */
export interface Faults {
  /** So many of the next syncs fail. */
  readonly failNext: number;
  /** The n-th sync since the start of the board fails; 0 for none. */
  readonly failAt: number;
  readonly error: FaultError;
  /** Each sync takes so much longer. */
  readonly delayMs: number;
  /** Syncs that begin, or wait, do not return before this is false again. */
  readonly isStuck: boolean;
  readonly failNextWrites: number;
  /** The n-th write since the start of the board fails; 0 for none. */
  readonly failWriteAt: number;
  readonly writeError: FaultError;
  /** So many of the next writes write half of what they were given. */
  readonly shortenNextWrites: number;
  readonly failNextReads: number;
  readonly readError: FaultError;
}

export interface FaultCounts {
  readonly syncs: number;
  readonly writes: number;
  readonly reads: number;
  readonly syncsFailed: number;
  readonly syncsDelayed: number;
  readonly writesFailed: number;
  readonly writesShortened: number;
  readonly readsFailed: number;
}

const NO_FAULTS: Faults = {
  failNext: 0,
  failAt: 0,
  error: "EIO",
  delayMs: 0,
  isStuck: false,
  failNextWrites: 0,
  failWriteAt: 0,
  writeError: "EIO",
  shortenNextWrites: 0,
  failNextReads: 0,
  readError: "EIO",
};

/** Words of 32 bits, as in `struct board`. */
const FAULT_FIELDS = [
  ["failNext", 1],
  ["failAt", 2],
  ["error", 3],
  ["delayMs", 4],
  ["isStuck", 5],
  ["failNextWrites", 6],
  ["failWriteAt", 7],
  ["writeError", 8],
  ["shortenNextWrites", 9],
  ["failNextReads", 10],
  ["readError", 11],
] as const;
const COUNTS_AT = 12;
const WORDS = 20;

const PREFIX = "hutch-sync-faults-";
const SOURCE = join(import.meta.dir, "sync-faults.c");
const COMPILERS = ["cc", "gcc", "clang"] as const;

/** Where the library was built, for the life of this process. */
let libraryPath: string | undefined;

function library(): string {
  if (libraryPath !== undefined) return libraryPath;
  const compiler = COMPILERS.find((name) => Bun.which(name) !== null);
  if (compiler === undefined) throw new Error("there is no C compiler");
  // Nothing of this process is there yet.
  sweepSyncFaults();
  const directory = makeOwnDirectory(PREFIX, "library");
  process.once("exit", sweepSyncFaults);
  const path = join(directory, "sync-faults.so");
  const built = Bun.spawnSync([compiler, "-shared", "-fPIC", "-O2", "-o", path, SOURCE, "-ldl"]);
  if (built.exitCode !== 0) throw new Error(`sync-faults.c does not build: ${built.stderr}`);
  libraryPath = path;
  return path;
}

/** Removes what this process and dead ones have left. */
function sweepSyncFaults(): void {
  for (const path of leftoversOf(PREFIX)) rmSync(path, { recursive: true, force: true });
}

export interface SyncFaultsOptions {
  /** Only files at or below this path are counted and meant; all regular files without it. */
  readonly under?: string;
}

let verdict: { readonly why: string | undefined } | undefined;

export class SyncFaults {
  /** For the program that is to suffer. */
  readonly environment: Readonly<Record<string, string>>;
  readonly #directory: string;
  readonly #board: Int32Array;

  private constructor({ under = "" }: SyncFaultsOptions) {
    const preload = library();
    this.#directory = makeOwnDirectory(PREFIX, "board");
    const path = join(this.#directory, "board");
    writeFileSync(path, new Uint8Array(WORDS * Int32Array.BYTES_PER_ELEMENT));
    this.#board = new Int32Array(Bun.mmap(path, { shared: true }).buffer, 0, WORDS);
    this.set(NO_FAULTS);
    this.environment = {
      LD_PRELOAD: [preload, process.env["LD_PRELOAD"] ?? ""].join(" ").trim(),
      SYNC_FAULTS_BOARD: path,
      SYNC_FAULTS_UNDER: under,
    };
  }

  /** Why this machine cannot, found out by trying it; `undefined` where it can. */
  static available(): string | undefined {
    verdict ??= { why: whyNot((directory) => new SyncFaults({ under: directory })) };
    return verdict.why;
  }

  static make(options: SyncFaultsOptions = {}): SyncFaults {
    const why = SyncFaults.available();
    if (why !== undefined) throw new Error(`Cannot make file calls fail: ${why}`);
    return new SyncFaults(options);
  }

  /** From the next call on; what is not named stays, and what of it is used up already stays so. */
  set(faults: Partial<Faults>): void {
    for (const [name, at] of FAULT_FIELDS) {
      const value = faults[name];
      if (value !== undefined) Atomics.store(this.#board, at, wordOf(value));
    }
  }

  /** No more faults; waiting syncs go on. */
  clear(): void {
    this.set(NO_FAULTS);
  }

  counts(): FaultCounts {
    const at = (index: number): number => Atomics.load(this.#board, COUNTS_AT + index);
    return {
      syncs: at(0),
      writes: at(1),
      reads: at(2),
      syncsFailed: at(3),
      syncsDelayed: at(4),
      writesFailed: at(5),
      writesShortened: at(6),
      readsFailed: at(7),
    };
  }

  /** Programs that still run go on without faults. */
  close(): void {
    this.clear();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

function wordOf(value: number | boolean | FaultError): number {
  return typeof value === "string" ? constants.errno[value] : Number(value);
}

/** Syncs once and must see it fail. */
const TRIAL = `
  const fs = require("node:fs");
  const file = fs.openSync(process.env.SYNC_FAULTS_UNDER + "/trial", "w");
  try { fs.fdatasyncSync(file); } catch (error) { process.exit(error.code === "EIO" ? 7 : 1); }`;
const TRIAL_EXIT_CODE = 7;

function whyNot(make: (directory: string) => SyncFaults): string | undefined {
  if (process.platform !== "linux") return `${process.platform} has no seccomp`;
  let directory = "";
  try {
    library();
    directory = makeOwnDirectory(PREFIX, "trial");
    const faults = make(directory);
    faults.set({ failNext: 1 });
    const { exitCode, stderr } = Bun.spawnSync([process.execPath, "-e", TRIAL], {
      env: { ...process.env, BUN_BE_BUN: "1", ...faults.environment },
    });
    faults.close();
    if (exitCode === TRIAL_EXIT_CODE) return undefined;
    return `a sync that should fail did not (exit code ${exitCode}): ${stderr}`;
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message : String(thrown);
  } finally {
    if (directory !== "") rmSync(directory, { recursive: true, force: true });
  }
}
