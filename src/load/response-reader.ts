/**
 * A minimal HTTP/1.1 response parser for a connection with one request in flight: status, head and a body of known length, from as many chunks as it
 * takes. Chunked bodies and anything after the response are refused: a load generator must not guess.
 */
const HEAD_END = Buffer.from("\r\n\r\n");
const CONTENT_LENGTH = Buffer.from("\r\nContent-Length: ");
const HEAD_BYTES_MAX = 64 * 1024;
const DIGIT_0 = 0x30;

export class ResponseReader {
  status = 0;
  /** The body is `bytes` from `bodyStart` to its end. Valid until the next `push`. */
  bytes: Buffer = Buffer.alloc(0);
  bodyStart = 0;
  #partial: Buffer | undefined;

  get bodyLength(): number {
    return this.bytes.length - this.bodyStart;
  }

  body(): Buffer {
    return this.bytes.subarray(this.bodyStart);
  }

  push(chunk: Buffer): "more" | "complete" | "broken" {
    const bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk]);
    this.#partial = undefined;
    const headEnd = bytes.indexOf(HEAD_END);
    if (headEnd < 0) return bytes.length > HEAD_BYTES_MAX ? "broken" : this.#wait(bytes);
    const status = statusOf(bytes);
    const bodyStart = headEnd + HEAD_END.length;
    const bodyLength = status === 204 || status === 304 ? 0 : contentLengthOf(bytes, headEnd);
    const isFinal = status >= 200 && status <= 599;
    if (!isFinal || bodyLength < 0 || bytes.length > bodyStart + bodyLength) return "broken";
    if (bytes.length < bodyStart + bodyLength) return this.#wait(bytes);
    this.status = status;
    this.bytes = bytes;
    this.bodyStart = bodyStart;
    return "complete";
  }

  reset(): void {
    this.#partial = undefined;
  }

  /** The chunk belongs to the socket: what is kept is a copy. */
  #wait(bytes: Buffer): "more" {
    this.#partial = Buffer.from(bytes);
    return "more";
  }
}

/** `HTTP/1.1 204 No Content`: three digits at 9; not a number where they are none. */
function statusOf(bytes: Buffer): number {
  const digit = (at: number): number => {
    const value = bytes[at]! - DIGIT_0;
    return value >= 0 && value <= 9 ? value : NaN;
  };
  return digit(9) * 100 + digit(10) * 10 + digit(11);
}

/** -1 where the head names none. */
function contentLengthOf(bytes: Buffer, headEnd: number): number {
  const at = bytes.indexOf(CONTENT_LENGTH);
  if (at < 0 || at > headEnd) {
    const found = /\r\ncontent-length:\s*(\d+)/i.exec(bytes.toString("latin1", 0, headEnd));
    return found === null ? -1 : Number(found[1]);
  }
  let length = 0;
  for (let i = at + CONTENT_LENGTH.length; i < headEnd; i++) {
    const digit = bytes[i]! - DIGIT_0;
    if (digit < 0 || digit > 9) break;
    length = length * 10 + digit;
  }
  return length;
}
