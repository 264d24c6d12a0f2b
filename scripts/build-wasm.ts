/**
 * Compiles `wasm/assembly` to `wasm/build/kernels.wasm` and wraps the bytes in
 * `src/kernels/kernels-wasm-bytes.generated.ts`, so that instantiation is synchronous and needs no
 * file at run time. The first line of the generated file carries the hash of the sources; `setup.ts`
 * compares it. Files are written beside and renamed, so that two builds at once do no harm.
 */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dir, "..");
const sourceFolder = join(root, "wasm", "assembly");
const wasmFile = join(root, "wasm", "build", "kernels.wasm");
const generatedFile = join(root, "src", "kernels", "kernels-wasm-bytes.generated.ts");

/** Four pages of 64 KiB: the end of `wasm/assembly/memory-map.ts`. */
const MEMORY_PAGES = "4";

/** The hash of everything that the compiled bytes depend on. */
export function wasmSourceHash(): string {
  const hash = createHash("sha256");
  const files = readdirSync(sourceFolder).sort();
  for (const file of files) hash.update(file).update(readFileSync(join(sourceFolder, file)));
  hash.update(readFileSync(import.meta.path));
  const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return hash.update(manifest.devDependencies.assemblyscript).digest("hex");
}

/** True where the generated file was made from the sources as they are now. */
export function isWasmCurrent(): boolean {
  try {
    return readFileSync(generatedFile, "utf8").startsWith(firstLine(wasmSourceHash()));
  } catch {
    return false;
  }
}

function firstLine(sourceHash: string): string {
  return `// Made by scripts/build-wasm.ts from sources ${sourceHash}\n`;
}

function replaceFile(file: string, content: string | Uint8Array): void {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, content);
  renameSync(temporary, file);
}

async function compile(): Promise<Uint8Array> {
  const { default: asc } = await import("assemblyscript/asc");
  let binary: Uint8Array | undefined;
  const { error, stderr } = await asc.main(
    [
      "index.ts",
      ...["--baseDir", sourceFolder, "--outFile", "kernels.wasm"],
      ...["-O3", "--runtime", "stub", "--noAssert"],
      ...["--initialMemory", MEMORY_PAGES, "--maximumMemory", MEMORY_PAGES],
    ],
    {
      writeFile: (name: string, content: string | Uint8Array) => {
        if (name === "kernels.wasm" && typeof content !== "string") binary = content;
      },
    },
  );
  if (error !== null || binary === undefined)
    throw new Error(`Cannot compile wasm/assembly: ${stderr.toString()}`);
  return binary;
}

/** Compiles and writes both files; returns the size of the module. */
export async function buildWasm(): Promise<number> {
  const sourceHash = wasmSourceHash();
  const binary = await compile();
  mkdirSync(join(root, "wasm", "build"), { recursive: true });
  replaceFile(wasmFile, binary);
  const text = `${firstLine(sourceHash)}\nexport const KERNELS_WASM_BASE64 =\n  "${Buffer.from(binary).toString("base64")}";\n`;
  replaceFile(generatedFile, text);
  return binary.length;
}

if (import.meta.main) console.log(`built wasm kernels: ${await buildWasm()} bytes`);
