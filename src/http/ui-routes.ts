/**
 * `/ui`: the dashboard (`src/ui`), one page with one script and one style sheet, from bytes that the build made and compressed.
 *
 * The page asks again each time and is told 304 by its ETag; script and style sheet have the hash of their content in their names and are kept
 * for ever. Nothing may be loaded from, sent to, or framed by any other site, and no script or style may stand in the page itself, so a
 * value or key that looks like markup stays text (FAULTS.md Q17). The bytes are decoded when somebody asks for them first.
 */
import { HutchError } from "../base/errors.ts";
import { baseHeaders, bytesAnswer, emptyAnswer, type HeaderBlock } from "./answers.ts";
import type { Exchange } from "./exchange.ts";
import type { Route } from "./route.ts";

type Bytes = Uint8Array<ArrayBuffer>;

interface UiAsset {
  readonly path: string;
  readonly type: string;
  readonly etag: string;
  readonly brotli: Bytes;
  readonly gzip: Bytes;
  /** Made once somebody takes no compression: everybody may ask, and unpacking takes longer than all else here. */
  plain?: Promise<Uint8Array>;
}

const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const SECURITY_HEADERS = {
  "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
} as const;

const FOR_EVER = "public, max-age=31536000, immutable";
/** Names that carry the hash of their content. */
const HASHED = /-[0-9a-f]{16}\./;

let loading: Promise<ReadonlyMap<string, UiAsset>> | undefined;

/** All assets by their paths. */
export function uiAssets(): Promise<ReadonlyMap<string, UiAsset>> {
  loading ??= loadAssets();
  return loading;
}

async function loadAssets(): Promise<ReadonlyMap<string, UiAsset>> {
  const { UI_ASSETS } = await import("./ui-assets.generated.ts");
  return new Map(
    UI_ASSETS.map(({ brotli, gzip, ...asset }) => [
      asset.path,
      { ...asset, brotli: Uint8Array.fromBase64(brotli), gzip: Uint8Array.fromBase64(gzip) },
    ]),
  );
}

async function getUi(exchange: Exchange): Promise<Response> {
  const asset = (await uiAssets()).get(exchange.path);
  if (asset === undefined)
    throw new HutchError(
      "no-such-route",
      `Cannot find "${exchange.path.slice(0, 64)}": no such page`,
    );
  const headers: HeaderBlock = {
    "Content-Type": asset.type,
    ...SECURITY_HEADERS,
    "Cache-Control": HASHED.test(asset.path) ? FOR_EVER : "no-cache",
    ETag: asset.etag,
    Vary: "Accept-Encoding",
    ...baseHeaders(exchange),
  };
  if (isKnown(exchange.header("if-none-match"), asset.etag))
    return new Response(null, { status: 304, headers });
  const accepted = exchange.header("accept-encoding") ?? "";
  if (accepts(accepted, "br")) return compressed(exchange, asset.brotli, "br", headers);
  if (accepts(accepted, "gzip")) return compressed(exchange, asset.gzip, "gzip", headers);
  asset.plain ??= unzipped(asset.gzip);
  return bytesAnswer(exchange, 200, await asset.plain, headers);
}

function compressed(
  exchange: Exchange,
  bytes: Bytes,
  encoding: string,
  headers: HeaderBlock,
): Response {
  headers["Content-Encoding"] = encoding;
  return bytesAnswer(exchange, 200, bytes, headers);
}

/** A proxy that compresses anew makes the tag a weak one. */
function isKnown(header: string | null, etag: string): boolean {
  if (header === null) return false;
  return header.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}

/** `br;q=0` says that it is not wanted. */
function accepts(header: string, encoding: string): boolean {
  return header.split(",").some((part) => {
    const [name = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase());
    return name === encoding && !parameters.some((text) => /^q=0(\.0*)?$/.test(text));
  });
}

async function unzipped(gzip: Bytes): Promise<Uint8Array> {
  const stream = new Blob([gzip]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function toUi(exchange: Exchange): Response {
  return emptyAnswer(exchange, 308, { Location: "/ui" });
}

const ROW = {
  method: "GET",
  role: "none",
  summary: "The dashboard",
  problems: ["no-such-route"],
} as const;

export const uiRoutes: readonly Route[] = [
  { ...ROW, path: "/ui", answers: { 200: "the page", 304: "not modified" }, handle: getUi },
  { ...ROW, path: "/ui/", answers: { 308: "the page is at /ui" }, handle: toUi },
  {
    ...ROW,
    path: "/ui/{file}",
    summary: "Script, style sheet and icon of the dashboard",
    answers: { 200: "the file", 304: "not modified" },
    handle: getUi,
  },
];
