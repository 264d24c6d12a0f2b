/** What the two sides of a link's HTTP/2 stream agree on. */

/** The last part is the version of the framing; that of the messages is in the hello. */
export const PEER_PATH = "/hutch/peer/1";
/** The hello of who asks, base64url. That of who answers is the first message: Bun sends no headers before there is a body. */
export const HELLO_HEADER = "hutch-hello";

export function encodeHello(hello: Uint8Array): string {
  return hello.toBase64({ alphabet: "base64url", omitPadding: true });
}

/** Undefined when it is not base64url, or longer than a hello may be. */
export function decodeHello(text: string | null, bytesMax: number): Uint8Array | undefined {
  if (text === null || text.length > 2 * bytesMax) return undefined;
  try {
    const hello = Uint8Array.fromBase64(text, { alphabet: "base64url" });
    return hello.length <= bytesMax ? hello : undefined;
  } catch {
    return undefined;
  }
}
