/**
 * Request bodies: bounded in size and in slowness (FAULTS.md Q9, Q10; rows 5, 17, 20).
 *
 * 1. A `Content-Length` above the limit is refused before a byte is read; a chunked body when it crosses.
 * 2. A small body of known length is read in one call. It has `bodyGraceMs`, or the time that the minimum rate gives it
 *    where that is longer.
 * 3. Any other body is read chunk by chunk. Only time spent *waiting for the client* counts, so a server that is slow to
 *    take the body never blames the client for it.
 *
 * 4. Each slow body holds a connection and memory, so there may be so many of one address and so many in all; the younger
 *    ones give way.
 *
 * One timer watches all waiting bodies once a second and is off while none waits.
 */
import { EMPTY_BYTES } from "../base/bytes.ts";
import { HutchError, messageOf } from "../base/errors.ts";
import type { Clock, Timer } from "../ports/clock.ts";
import type { Exchange } from "./exchange.ts";
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
  readonly exchange: Exchange;
  /** When the body was begun. */
  readonly sinceMs: number;
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
  read(exchange: Exchange, bytesMax: number): Promise<Uint8Array> {
    const { request } = exchange;
    const length = contentLengthOf(request);
    if (length > bytesMax) return Promise.reject(tooLarge(bytesMax));
    if (length < 0 || length > WHOLE_BYTES_MAX) return this.#readChunks(exchange, bytesMax);
    const allowedMs = Math.max(
      this.#limits.bodyGraceMs,
      (length / this.#limits.bodyBytesPerSecondMin) * 1000,
    );
    const sinceMs = this.#clock.monoMs();
    return this.#within({ exchange, sinceMs, allowedMs }, request.arrayBuffer(), asBytes);
  }

  async #readChunks(exchange: Exchange, bytesMax: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of this.chunks(exchange)) {
      length += chunk.length;
      if (length > bytesMax) throw tooLarge(bytesMax);
      chunks.push(chunk);
    }
    return chunks.length === 1 ? chunks[0]! : joined(chunks, length);
  }

  /** The body as it arrives, at no less than the minimum rate. */
  async *chunks(exchange: Exchange): AsyncGenerator<Uint8Array, void, undefined> {
    const { body } = exchange.request;
    if (body === null) return;
    const reader = body.getReader();
    const beginMs = this.#clock.monoMs();
    let receivedBytes = 0;
    let waitedMs = 0;
    try {
      for (;;) {
        const startMs = this.#clock.monoMs();
        const allowedMs = this.#allowanceMs(receivedBytes) - waitedMs;
        const wait = { exchange, sinceMs: beginMs, allowedMs };
        const next = await this.#within(wait, reader.read(), asItIs);
        waitedMs += this.#clock.monoMs() - startMs;
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

  /** `reading`, unless the client needs longer than `allowedMs` from now for it or leaves. */
  #within<Read, Result>(
    wait: Omit<WaitingBody, "dueMs" | "reject"> & { readonly allowedMs: number },
    reading: Promise<Read>,
    convert: (read: Read) => Result,
  ): Promise<Result> {
    return new Promise((resolve, reject) => {
      const { exchange, sinceMs, allowedMs } = wait;
      const dueMs = this.#clock.monoMs() + allowedMs;
      const waiting: WaitingBody = { exchange, sinceMs, dueMs, reject };
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

  #refuse(waiting: WaitingBody, error: HutchError): void {
    this.#waiting.delete(waiting);
    this.#counters.slowBodies.add();
    waiting.reject(error);
  }

  /** Those that were waited for longest stay. */
  #thinOut(nowMs: number): void {
    const { slowBodiesMax, slowBodiesPerAddressMax } = this.#limits;
    if (this.#waiting.size <= Math.min(slowBodiesMax, slowBodiesPerAddressMax)) return;
    const counts = new Map<string, number>();
    let count = 0;
    for (const waiting of this.#waiting) {
      if (nowMs - waiting.sinceMs < SWEEP_MS) continue;
      const { clientAddress } = waiting.exchange;
      const ofAddress = (counts.get(clientAddress) ?? 0) + 1;
      if (count >= slowBodiesMax || ofAddress > slowBodiesPerAddressMax) {
        this.#refuse(waiting, tooMany());
        continue;
      }
      counts.set(clientAddress, ofAddress);
      count++;
    }
  }

  #sweep(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monoMs();
    for (const waiting of this.#waiting)
      if (waiting.dueMs <= nowMs) this.#refuse(waiting, tooSlow(this.#limits));
    this.#thinOut(nowMs);
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

function tooMany(): HutchError {
  return new HutchError(
    "body-timeout",
    "Cannot wait for the body: it comes slowly, and too many others from there or in all do, too",
  );
}

function tooSlow(limits: HttpLimits): HutchError {
  return new HutchError(
    "body-timeout",
    `Cannot take the body: it comes too slowly, want at least ${limits.bodyBytesPerSecondMin} bytes per second after ${limits.bodyGraceMs} ms`,
  );
}
