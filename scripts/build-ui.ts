/**
 * Bundles the dashboard (`src/ui`) into `src/http/ui-assets.generated.ts`: one page, one script, one style sheet, compressed once
 * here so that a node only hands bytes out, also from a single-file executable and from a package. The script and the style sheet
 * have the hash of their content in their names; the page names them. The first line of the generated file carries the hash of the
 * sources; `setup.ts` compares it. The file is written beside and renamed, so that two builds at once do no harm.
 */

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";

const root = join(import.meta.dir, "..");
const sourceFolder = join(root, "src", "ui");
const generatedFile = join(root, "src", "http", "ui-assets.generated.ts");

/** The hash of everything that the bundle depends on. Of the types that it shares with `src/http` nothing is left in it. */
export function uiSourceHash(): string {
  const hash = createHash("sha256");
  const files = readdirSync(sourceFolder, { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(tsx?|css|html|svg|json)$/.test(file))
    .sort();
  for (const file of files) hash.update(file).update(readFileSync(join(sourceFolder, file)));
  hash.update(readFileSync(import.meta.path));
  const { devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return hash.update(`${devDependencies.preact} ${devDependencies.uplot}`).digest("hex");
}

/** True where the generated file was made from the sources as they are now. */
export function isUiCurrent(): boolean {
  try {
    return readFileSync(generatedFile, "utf8").startsWith(firstLine(uiSourceHash()));
  } catch {
    return false;
  }
}

function firstLine(sourceHash: string): string {
  return `// Made by scripts/build-ui.ts from sources ${sourceHash}\n`;
}

async function bundle(entry: string): Promise<Uint8Array> {
  const { outputs } = await Bun.build({
    entrypoints: [join(sourceFolder, entry)],
    root: sourceFolder,
    target: "browser",
    format: "esm",
    minify: true,
    sourcemap: "none",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const [output] = outputs;
  if (output === undefined) throw new Error(`Cannot bundle src/ui/${entry}: it has no output`);
  return new Uint8Array(await output.arrayBuffer());
}

interface Asset {
  readonly path: string;
  readonly type: string;
  readonly bytes: Uint8Array;
}

const shortHash = (bytes: Uint8Array): string =>
  createHash("sha256").update(bytes).digest("hex").slice(0, 16);

async function assets(): Promise<readonly Asset[]> {
  const [script, style] = await Promise.all([bundle("main.tsx"), bundle("style.css")]);
  const scriptPath = `/ui/main-${shortHash(script)}.js`;
  const stylePath = `/ui/style-${shortHash(style)}.css`;
  const icon = readFileSync(join(sourceFolder, "icon.svg"));
  const page = readFileSync(join(sourceFolder, "index.html"), "utf8")
    .replace("./main.tsx", scriptPath)
    .replace("./style.css", stylePath)
    .replace("./icon.svg", "/ui/icon.svg");
  return [
    { path: "/ui", type: "text/html; charset=utf-8", bytes: new TextEncoder().encode(page) },
    { path: scriptPath, type: "text/javascript; charset=utf-8", bytes: script },
    { path: stylePath, type: "text/css; charset=utf-8", bytes: style },
    { path: "/ui/icon.svg", type: "image/svg+xml", bytes: icon },
  ];
}

function literalOf({ path, type, bytes }: Asset): string {
  const base64 = (compressed: Uint8Array): string => Buffer.from(compressed).toString("base64");
  return JSON.stringify({
    path,
    type,
    etag: `"${shortHash(bytes)}"`,
    brotli: base64(brotliCompressSync(bytes)),
    gzip: base64(gzipSync(bytes, { level: 9 })),
  });
}

/** Bundles and writes the generated file; returns the compressed size of all that a browser loads. */
export async function buildUi(): Promise<number> {
  const sourceHash = uiSourceHash();
  const made = await assets();
  const rows = made.map((asset) => `  ${literalOf(asset)},\n`).join("");
  const text = `${firstLine(sourceHash)}\nexport const UI_ASSETS = [\n${rows}] as const;\n`;
  const temporary = `${generatedFile}.${process.pid}`;
  writeFileSync(temporary, text);
  renameSync(temporary, generatedFile);
  return made.reduce((sum, { bytes }) => sum + gzipSync(bytes, { level: 9 }).length, 0);
}

if (import.meta.main) console.log(`built the dashboard: ${await buildUi()} bytes compressed`);
