/**
 * Request bodies: bounded in size and in slowness (FAULTS.md Q9, Q10; rows 5, 17, 20).
 *
 * 1. A `Content-Length` above the limit is refused before a byte is read; a chunked body when it crosses.
 * 2. A small body of known length is read in one call. It has `bodyGraceMs`, or the time that the minimum rate gives it
 *    where that is longer.
 * 3. Any other body is read chunk by chunk. Only time spent *waiting for the client* counts, so a server that is slow to
 *    take the body never blames the client for it.
 *
 * One timer watches all waiting bodies once a second and is off while none waits.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { HttpCounters } from "./http-counters.ts";
import type { HttpLimits } from "./limits.ts";

/** Larger ones are read in chunks; at the minimum rate this much takes 8 s. */
const WHOLE_BYTES_MAX = 32 * 1024;
const SWEEP_MS = 1000;

/** The client went away: there is nobody to answer. */
export class ClientAborted extends Error {
  override readonly name = "ClientAborted";
}

interface WaitingBody {
  readonly dueMs: number;
  readonly reject: (error: Error) => void;
}

export class BodyReader {
  readonly #clock: Clock;
  readonly #limits: HttpLimits;
  readonly #counters: HttpCounters;
  /** Bounded by the server's connections. */
  readonly #waiting = new Set<WaitingBody>();
  #timer: Timer | undefined = undefined;

  constructor(clock: Clock, limits: HttpLimits, counters: HttpCounters) {
    this.#clock = clock;
    this.#limits = limits;
    this.#counters = counters;
  }

  /**
   * The whole body.
   *
   * @throws HutchError `value-too-large` above `bytesMax`, `body-timeout`; ClientAborted
   */
  read(request: Request, bytesMax: number): Promise<Uint8Array> {
    const length = contentLengthOf(request);
    if (length > bytesMax) return Promise.reject(tooLarge(bytesMax));
    if (length < 0 || length > WHOLE_BYTES_MAX) return this.#readChunks(request, bytesMax);
    const dueMs = Math.max(
      this.#limits.bodyGraceMs,
      (length / this.#limits.bodyBytesPerSecondMin) * 1000,
    );
    return this.#within(dueMs, request.arrayBuffer(), asBytes);
  }

  async #readChunks(request: Request, bytesMax: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.chunks(request)) {
      length += chunk.length;
      if (length > bytesMax) throw tooLarge(bytesMax);
      chunks.push(chunk);
    }
    return chunks.length === 1 ? chunks[0]! : joined(chunks, length);
  }

  /** The body as it arrives, at no less than the minimum rate. */
  async *chunks(request: Request): AsyncGenerator<Uint8Array, void, undefined> {
    if (request.body === null) return;
    const reader = request.body.getReader();
    let receivedBytes = 0;
    let waitedMs = 0;
    try {
      for (;;) {
        const sinceMs = this.#clock.monoMs();
        const next = await this.#within(
          this.#allowanceMs(receivedBytes) - waitedMs,
          reader.read(),
          asItIs,
        );
        waitedMs += this.#clock.monoMs() - sinceMs;
        if (next.done) return;
        receivedBytes += next.value.length;
        yield next.value;
      }
    } finally {
      // Harmless at the end of the body; before it, it says that nobody wants the rest.
      reader.cancel().catch(() => undefined);
    }
  }

  /** How long a client may take for the first `receivedBytes` and the next chunk. */
  #allowanceMs(receivedBytes: number): number {
    return this.#limits.bodyGraceMs + (receivedBytes / this.#limits.bodyBytesPerSecondMin) * 1000;
  }

  /** `reading`, unless the client needs longer than `allowedMs` for it or leaves. */
  #within<Read, Result>(
    allowedMs: number,
    reading: Promise<Read>,
    convert: (read: Read) => Result,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const waiting: WaitingBody = { dueMs: this.#clock.monoMs() + allowedMs, reject };
      this.#watch(waiting);
      reading.then(
        (read) => {
          this.#waiting.delete(waiting);
          resolve(convert(read));
        },
        (error: unknown) => {
          this.#waiting.delete(waiting);
          this.#counters.clientAborted.add();
          reject(new ClientAborted(messageOf(error)));
        },
      );
    });
  }

  #watch(waiting: WaitingBody): void {
    this.#waiting.add(waiting);
    this.#timer ??= this.#clock.after(SWEEP_MS, () => this.#sweep());
  }

  #sweep(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monoMs();
    for (const waiting of this.#waiting) {
      if (waiting.dueMs > nowMs) continue;
      this.#waiting.delete(waiting);
      this.#counters.slowBodies.add();
      waiting.reject(tooSlow(this.#limits));
    }
    if (this.#waiting.size > 0) this.#timer = this.#clock.after(SWEEP_MS, () => this.#sweep());
  }
}

/** -1 where the request does not say. The HTTP parser has refused what is no number. */
export function contentLengthOf(request: Request): number {
  const text = request.headers.get("content-length");
  return text === null ? -1 : Number(text);
}

function asBytes(buffer: ArrayBuffer): Uint8Array {
  return buffer.byteLength === 0 ? EMPTY_BYTES : new Uint8Array(buffer);
}

function asItIs<Read>(read: Read): Read {
  return read;
}

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

function tooLarge(bytesMax: number): HutchError {
  return new HutchError("value-too-large", `Cannot take the body: want at most ${bytesMax} bytes`);
}

function tooSlow(limits: HttpLimits): HutchError {
  return new HutchError(
    "body-timeout",
    `Cannot take the body: it comes too slowly, want at least ${limits.bodyBytesPerSecondMin} bytes per second after ${limits.bodyGraceMs} ms`,
  );
}
