/**
 * Makes `dist/package`, which `npm pack` makes a tarball of: the program bundled for Bun with all that it needs, the client as plain JavaScript with
 * types, and a launcher that Node can start (docs/decisions/packages.md).
 *
 *   bun run build:package                          dist/package and dist/hutch-VERSION.tgz
 *
 * The manifest of the package is made here from that of the checkout: nothing of the checkout's scripts and development is in it, and no dependencies.
 */

import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import manifest from "../package.json" with { type: "json" };
import { LOADED_BY_ADDRESS, MAIN } from "../src/bun/own-files.ts";
import { buildClient } from "./build-client.ts";

const root = join(import.meta.dir, "..");
const source = join(root, "src");
const BUN_VERSION = manifest.packageManager.replace("bun@", "");

/** Fills `folder`, which is emptied first. Rejects with what the bundler complains of. */
export async function buildPackage(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await buildProgram(join(folder, "program"));
  await buildLauncher(folder);
  await buildClient(join(folder, "client"));
  for (const file of ["README.md", "LICENSE", "CHANGELOG.md"])
    copyFileSync(join(root, file), join(folder, file));
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(packageManifest(), null, 2)}\n`);
}

async function buildProgram(outdir: string): Promise<void> {
  await Bun.build({
    entrypoints: [MAIN, ...LOADED_BY_ADDRESS, "index.ts"].map((path) => join(source, path)),
    root: source,
    outdir,
    target: "bun",
    // Commands are loaded when they run, as in the checkout. Chunks lie one folder deep, which `own-files.ts` counts on.
    splitting: true,
    naming: { chunk: "chunks/[name]-[hash].[ext]" },
    // Names stay: what goes wrong is told in words of the source.
    minify: { whitespace: true, syntax: true, identifiers: false },
  });
}

async function buildLauncher(outdir: string): Promise<void> {
  await Bun.build({
    entrypoints: [join(root, "scripts", "package", "launcher.ts")],
    outdir,
    target: "node",
    naming: "hutch.js",
    define: { BUN_VERSION: JSON.stringify(BUN_VERSION) },
  });
  chmodSync(join(outdir, "hutch.js"), 0o755);
}

function packageManifest(): Readonly<Record<string, unknown>> {
  const { name, version, description, license } = manifest;
  return {
    ...{ name, version, description, license, type: "module" },
    // Taken away by whoever means to publish.
    private: true,
    engines: { node: ">=20", bun: `>=${BUN_VERSION}` },
    bin: { hutch: "hutch.js" },
    exports: {
      ".": { bun: "./program/index.js" },
      "./client": { types: "./client/types/client/index.d.ts", default: "./client/index.js" },
      "./package.json": "./package.json",
    },
    peerDependencies: { bun: `>=${BUN_VERSION}` },
    peerDependenciesMeta: { bun: { optional: true } },
    sideEffects: false,
  };
}

/** Makes the tarball in `destination` and returns its path. */
export async function packPackage(folder: string, destination: string): Promise<string> {
  mkdirSync(destination, { recursive: true });
  const pack = Bun.spawn(["npm", "pack", "--silent", "--pack-destination", destination, folder], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const name = (await pack.stdout.text()).trim();
  if ((await pack.exited) !== 0) throw new Error(`Cannot pack ${folder}: npm pack failed`);
  return resolve(destination, name);
}

if (import.meta.main) {
  const folder = join(root, "dist", "package");
  await buildPackage(folder);
  console.log(`packed ${await packPackage(folder, join(root, "dist"))}`);
}
