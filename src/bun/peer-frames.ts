/**
 * Messages in a stream of bytes.
 *
 *   u32 length, little-endian | that many bytes | u32 length | ...
 *
 * The reader copies every message out of the chunks that the network brings, so a small message does not keep a large chunk alive. For a
 * message that is announced but not there yet it takes memory as the bytes come, never more than twice what has come: a length is
 * only a claim.
 */
import { MESSAGE_BYTES_MAX } from "../ports/transport.ts";

const PREFIX_BYTES = 4;
/** Messages up to this are copied together into one write; longer ones are written as they are. */
const COPY_BYTES_MAX = 32 * 1024;
const FIRST_ALLOCATION_BYTES_MAX = 64 * 1024;

/** The bytes on the wire of `messages`, in as few pieces as copying is worth. */
export function framesOf(messages: readonly Uint8Array[]): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let start = 0; start < messages.length;) {
    const end = endOfGroup(messages, start);
    pieces.push(groupOf(messages, start, end));
    const last = messages[end - 1]!;
    if (last.length > COPY_BYTES_MAX) pieces.push(last);
    start = end;
  }
  return pieces;
}

export function frameBytes(message: Uint8Array): number {
  return PREFIX_BYTES + message.length;
}

/** A group ends with a long message, of which it has only the prefix, or with all. */
function endOfGroup(messages: readonly Uint8Array[], start: number): number {
  let end = start;
  while (end < messages.length && messages[end]!.length <= COPY_BYTES_MAX) end++;
  return Math.min(end + 1, messages.length);
}

function groupOf(messages: readonly Uint8Array[], start: number, end: number): Uint8Array {
  let byteCount = 0;
  for (let i = start; i < end; i++) byteCount += PREFIX_BYTES + copiedBytes(messages[i]!);
  // What streams take as it is; of anything else they make one, and that costs more than the copy.
  const bytes = Buffer.allocUnsafe(byteCount);
  let at = 0;
  for (let i = start; i < end; i++) {
    const message = messages[i]!;
    const { length } = message;
    bytes[at] = length;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length >>> 16;
    bytes[at + 3] = length >>> 24;
    if (length <= COPY_BYTES_MAX) bytes.set(message, at + PREFIX_BYTES);
    at += PREFIX_BYTES + copiedBytes(message);
  }
  return bytes;
}

function copiedBytes(message: Uint8Array): number {
  return message.length <= COPY_BYTES_MAX ? message.length : 0;
}

export class MessageReader {
  private readonly receive: (message: Uint8Array) => void;
  /** Of a prefix that is not complete. */
  private prefixFilled = 0;
  private length = 0;
  private isInMessage = false;
  private message: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  private filled = 0;

  constructor(receive: (message: Uint8Array) => void) {
    this.receive = receive;
  }

  /** Takes the next bytes of the stream. False when they cannot be a message: the stream is of no use any more. */
  take(chunk: Uint8Array): boolean {
    let at = 0;
    while (at < chunk.length) {
      if (this.isInMessage) {
        at = this.fill(chunk, at);
        continue;
      }
      at = this.readPrefix(chunk, at);
      if (this.prefixFilled < PREFIX_BYTES) return true;
      if (this.length > MESSAGE_BYTES_MAX) return false;
      at = this.start(chunk, at);
    }
    return true;
  }

  private readPrefix(chunk: Uint8Array, start: number): number {
    let at = start;
    while (at < chunk.length && this.prefixFilled < PREFIX_BYTES) {
      // Unsigned, or the highest bit would make a length negative and so acceptable.
      this.length = (this.length | (chunk[at++]! << (8 * this.prefixFilled++))) >>> 0;
    }
    return at;
  }

  private start(chunk: Uint8Array, at: number): number {
    const { length } = this;
    if (chunk.length - at < length) {
      this.isInMessage = true;
      this.filled = 0;
      this.message = new Uint8Array(Math.min(length, FIRST_ALLOCATION_BYTES_MAX));
      return this.fill(chunk, at);
    }
    // A chunk may be a Buffer, whose own `slice` does not copy.
    this.hand(Uint8Array.prototype.slice.call(chunk, at, at + length));
    return at + length;
  }

  private fill(chunk: Uint8Array, at: number): number {
    const taken = Math.min(this.length - this.filled, chunk.length - at);
    this.makeRoom(this.filled + taken);
    this.message.set(chunk.subarray(at, at + taken), this.filled);
    this.filled += taken;
    if (this.filled === this.length) this.hand(this.message);
    return at + taken;
  }

  private makeRoom(wanted: number): void {
    if (wanted <= this.message.length) return;
    const grown = new Uint8Array(Math.min(this.length, Math.max(wanted, 2 * this.message.length)));
    grown.set(this.message.subarray(0, this.filled));
    this.message = grown;
  }

  private hand(message: Uint8Array): void {
    this.isInMessage = false;
    this.prefixFilled = 0;
    this.length = 0;
    this.message = new Uint8Array(0);
    this.receive(message);
  }
}
