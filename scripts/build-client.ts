/**
 * Makes `hutch/client` for whoever does not run Bun: one file of plain JavaScript without imports, and the types of all that it exports.
 *
 *   index.js                  of `src/client/index.ts`, bundled
 *   types/client/index.d.ts   and the declarations that it leads to, each from its own source
 *
 * Declarations come from one source at a time, which works because exports say their types; where one does not, the build fails.
 */

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { isolatedDeclarationSync } from "oxc-transform";

const source = join(import.meta.dir, "..", "src");
const entry = join(source, "client", "index.ts");

/** Rejects with what the bundler complains of. */
export async function buildClient(folder: string): Promise<void> {
  await Bun.build({
    entrypoints: [entry],
    outdir: folder,
    // What browsers, Workers, Deno, Node and Bun have in common.
    target: "browser",
    format: "esm",
    naming: "index.js",
    minify: { whitespace: false, syntax: true, identifiers: false },
  });
  writeDeclarations(join(folder, "types"));
}

function writeDeclarations(folder: string): void {
  const files = new Set([entry]);
  // A set that grows while it is walked is walked to its end.
  for (const file of files) {
    const { code, errors } = isolatedDeclarationSync(file, readFileSync(file, "utf8"));
    if (errors.length > 0)
      throw new Error(`Cannot declare the types of ${file}: ${errors[0]!.message}`);
    for (const [, specifier] of code.matchAll(/ from "(\.[^"]+\.ts)"/g))
      files.add(join(dirname(file), specifier!));
    const path = join(folder, relative(source, file).replace(/\.ts$/, ".d.ts"));
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, code.replaceAll(/( from "\.[^"]+)\.ts"/g, '$1.js"'));
  }
}
