/**
 * Where the program's own files are: beside each other in a checkout or a package, or inside an executable that
 * `bun build --compile` has made (scripts/build-executable.ts).
 *
 * An executable bundles the program into one file, so `import.meta.url` says nothing about neighbours there. What has to be loaded by its
 * own address, workers and what they import, is an entry point of its own and keeps its path below `src`, as JavaScript.
 */

/** Where an executable keeps the files that it is made of. */
const EMBEDDED_ROOT = "/$bunfs/root/";

/** What `src` is in a checkout or a package. */
const SOURCE_ROOT = new URL("../", import.meta.url);

/** Whether this program is one file. */
export const isExecutable = `${import.meta.dir}/`.startsWith(EMBEDDED_ROOT);

/** Paths below `src` of the files that are loaded by their address. The build makes them entry points; nothing else can be loaded so. */
export const LOADED_BY_ADDRESS = ["bun/worker-main.ts", "cli/storage-jobs.ts"] as const;

/** For `new Worker` and `import`. */
export function addressOf(file: (typeof LOADED_BY_ADDRESS)[number]): string {
  if (!isExecutable) return new URL(file, SOURCE_ROOT).href;
  return EMBEDDED_ROOT + file.replace(/\.ts$/, ".js");
}
