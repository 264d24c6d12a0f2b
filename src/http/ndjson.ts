/**
 * Newline-delimited JSON, out as a stream that is made only as fast as it is read, and in as lines of bounded length.
 */
import { EMPTY_BYTES, concatBytes, utf8 } from "../base/bytes.ts";
import { HutchError } from "../base/errors.ts";
import { type HeaderBlock, baseHeaders } from "./answers.ts";
import type { Exchange } from "./exchange.ts";

export const NDJSON_TYPE = "application/x-ndjson";
/** Lines are gathered up to this many bytes before they are handed to the connection. */
const CHUNK_BYTES = 64 * 1024;
/** A client that takes nothing for so long is let go: its snapshot keeps old tables on the disk. */
const SILENCE_SECONDS = 120;
/** Streams under way at once; each pins a snapshot. */
export const STREAMS_MAX = 16;
/** Of one token: whoever opens them and does not read must not keep all others out (Q25). */
export const STREAMS_OF_TOKEN_MAX = STREAMS_MAX / 2;

/** Counts the streams under way, and how many of them each token holds. */
export class StreamSlots {
  #taken = 0;
  /** By the id of the token; those who hold none are not in it. */
  readonly #held = new Map<string, number>();

  /** Throws `overloaded` where all are taken, or the token holds its share. `token` is its id, `undefined` where there are none. */
  take(token: string | undefined): void {
    if (this.#taken >= STREAMS_MAX)
      throw overloaded(`Cannot begin another stream: ${this.#taken} are under way`);
    if (token !== undefined) {
      const held = this.#held.get(token) ?? 0;
      if (held >= STREAMS_OF_TOKEN_MAX)
        throw overloaded(`Cannot begin another stream of token "${token}": it has ${held}`);
      this.#held.set(token, held + 1);
    }
    this.#taken++;
  }

  release(token: string | undefined): void {
    this.#taken--;
    if (token === undefined) return;
    const held = this.#held.get(token)! - 1;
    if (held === 0) this.#held.delete(token);
    else this.#held.set(token, held);
  }
}

function overloaded(message: string): HutchError {
  return new HutchError("overloaded", message, { retry: "safe" });
}

/**
 * An answer of one line per value. The first chunk is made before the answer begins, so that what fails at once is a problem
 * document; what fails later breaks the connection, because a truncated list must not look complete.
 */
export async function ndjsonAnswer(
  exchange: Exchange,
  values: AsyncIterator<unknown>,
  headers: HeaderBlock = {},
): Promise<Response> {
  const { streams } = exchange.services;
  const headerBlock = {
    "Content-Type": NDJSON_TYPE,
    "X-Content-Type-Options": "nosniff",
    ...baseHeaders(exchange),
    ...headers,
  };
  if (exchange.request.method === "HEAD") return new Response(null, { headers: headerBlock });
  const token = exchange.grant?.id;
  streams.take(token);
  exchange.allowSilence(SILENCE_SECONDS);
  let first: string;
  try {
    first = await chunkOf(values);
  } catch (error) {
    streams.release(token);
    throw error;
  }
  const stream = streamOf(exchange, first, values, () => streams.release(token));
  return new Response(stream, { headers: headerBlock });
}

/** `first`, then what `values` has left. @param onEnd told once, however it ends */
function streamOf(
  exchange: Exchange,
  first: string,
  values: AsyncIterator<unknown>,
  onEnd: () => void,
): ReadableStream<Uint8Array> {
  let next: string | undefined = first;
  let isOpen = true;
  const end = (): void => {
    if (isOpen) onEnd();
    isOpen = false;
  };
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const chunk = next ?? (await chunkOf(values));
        next = undefined;
        if (chunk !== "") return controller.enqueue(utf8(chunk));
        end();
        controller.close();
      } catch (error) {
        end();
        exchange.services.logger.error("stream_failed", {
          requestId: exchange.id,
          message: String(error),
        });
        // Logged already; an error of ours would be printed once more by the server.
        controller.error(undefined);
      }
    },
    async cancel() {
      end();
      await values.return?.();
    },
  });
}

/** About `CHUNK_BYTES` of lines; "" at the end. */
async function chunkOf(values: AsyncIterator<unknown>): Promise<string> {
  let chunk = "";
  while (chunk.length < CHUNK_BYTES) {
    const next = await values.next();
    if (next.done === true) break;
    chunk += `${JSON.stringify(next.value)}\n`;
  }
  return chunk;
}

export interface Line {
  /** From 1. */
  readonly number: number;
  /** `undefined` where the line was longer than allowed. A trailing CR is dropped. */
  readonly bytes: Uint8Array | undefined;
}

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Lines of a body. Of a line that grows above `lineBytesMax` nothing is kept but its number. */
export async function* linesOf(
  chunks: AsyncIterable<Uint8Array>,
  lineBytesMax: number,
): AsyncGenerator<Line, void, undefined> {
  let parts: Uint8Array[] = [];
  let partsBytes = 0;
  let number = 1;
  const take = (part: Uint8Array): void => {
    partsBytes += part.length;
    if (partsBytes > lineBytesMax) parts = [];
    else if (part.length > 0) parts.push(part);
  };
  const finish = (): Line => {
    const bytes = partsBytes > lineBytesMax ? undefined : withoutReturn(concatBytes(...parts));
    parts = [];
    partsBytes = 0;
    return { number: number++, bytes };
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      take(chunk.subarray(start, end));
      yield finish();
      start = end + 1;
    }
    take(chunk.subarray(start));
  }
  if (partsBytes > 0) yield finish();
}

function withoutReturn(line: Uint8Array): Uint8Array {
  if (line.length === 0) return EMPTY_BYTES;
  return line[line.length - 1] === CARRIAGE_RETURN ? line.subarray(0, line.length - 1) : line;
}
