/**
 * Where the program's own files are: in a checkout, bundled in a package (scripts/build-package.ts), or inside an executable that
 * `bun build --compile` has made (scripts/build-executable.ts).
 *
 * A bundle says nothing of the files it was made of. What has to be loaded by its own address, workers, what they import, and the program
 * itself as a child process, is an entry point of its own and keeps its path below `src`; in a package it is JavaScript, as this file is then.
 */

/** Where an executable keeps the files that it is made of. */
const EMBEDDED_ROOT = "/$bunfs/root/";

/** What `src` is in a checkout. Chunks of a bundle lie one folder deep too. */
const FILES_ROOT = new URL("../", import.meta.url);
const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";

/** Whether this program is one file. */
export const isExecutable = `${import.meta.dir}/`.startsWith(EMBEDDED_ROOT);

/** Paths below `src` of the files that are loaded by their address. Builds make them entry points; nothing else can be loaded so. */
export const LOADED_BY_ADDRESS = ["bun/worker-main.ts", "cli/storage-jobs.ts"] as const;

/** The program; an executable is started by its own name instead. */
export const MAIN = "cli/main.ts";

/** For `new Worker`, `import`, and, outside of an executable, a child process. */
export function addressOf(file: (typeof LOADED_BY_ADDRESS)[number] | typeof MAIN): string {
  const path = file.replace(/\.ts$/, isExecutable ? ".js" : EXTENSION);
  return isExecutable ? EMBEDDED_ROOT + path : new URL(path, FILES_ROOT).href;
}
