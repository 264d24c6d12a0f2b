/**
 * Makes `dist/hutch`: the whole program in one file, with Bun, the WASM kernels and the dashboard inside.
 *
 *   bun run build                                  for this machine
 *   bun run build --target bun-linux-arm64         for another one; Bun fetches its own binary for it
 *   bun run build --outfile somewhere/hutch
 *
 * The file is made beside its name and renamed, so that a running one is never written to. In the working directory of whoever runs it, nothing is
 * read that was not asked for: `.env` and `bunfig.toml` are for programs under development.
 */

import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { LOADED_BY_ADDRESS, MAIN } from "../src/bun/own-files.ts";

const root = join(import.meta.dir, "..");
const source = join(root, "src");

/** Everything that Bun can make executables for, such as `bun-linux-x64-baseline` and `bun-darwin-arm64`. */
const TARGET_PATTERN = /^bun-(linux|darwin|windows)-(x64|arm64)(-baseline|-modern)?(-musl)?$/;

export interface ExecutableOptions {
  readonly outfile: string;
  /** Of this machine without it. */
  readonly target?: string;
}

/** Returns the size of the file. Rejects with what the bundler complains of. */
export async function buildExecutable({ outfile, target }: ExecutableOptions): Promise<number> {
  const file = resolve(outfile);
  mkdirSync(dirname(file), { recursive: true });
  // The bundler names the program inside by the file, and may leave files beside it.
  const folder = mkdtempSync(join(dirname(file), ".build-"));
  const made = join(folder, basename(file));
  try {
    await Bun.build({
      entrypoints: [MAIN, ...LOADED_BY_ADDRESS].map((path) => join(source, path)),
      root: source,
      target: "bun",
      minify: true,
      // Inside the file: what goes wrong is told by the lines of the source.
      sourcemap: "inline",
      compile: {
        outfile: made,
        autoloadDotenv: false,
        autoloadBunfig: false,
        ...(target !== undefined && { target: targetOf(target) }),
      },
    });
    renameSync(made, file);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return statSync(file).size;
}

function targetOf(target: string): Bun.Build.CompileTarget {
  if (!TARGET_PATTERN.test(target))
    throw new Error(`"${target}" is no target; write one such as bun-linux-arm64`);
  return target as Bun.Build.CompileTarget;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      outfile: { type: "string", default: join(root, "dist", "hutch") },
      target: { type: "string" },
    },
  });
  const { outfile, target } = values;
  const bytes = await buildExecutable({ outfile, ...(target !== undefined && { target }) });
  console.log(`built ${outfile}: ${(bytes / 1024 ** 2).toFixed(0)} MiB`);
}
