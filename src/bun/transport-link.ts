/**
 * One end of a link over a stream of bytes each way, whichever side opened it.
 *
 * Messages sent within one turn of the event loop leave in one write: many small answers cost one system call and one HTTP/2 frame
 * (docs/decisions/peer-links.md).
 */
import type { Link, LinkEvents } from "../ports/transport.ts";
import { MESSAGE_BYTES_MAX } from "../ports/transport.ts";
import { frameBytes, framesOf, MessageReader } from "./peer-frames.ts";

/** What carries a link. */
export interface ByteStream {
  /** `taken` is called when the network has taken the bytes, at once or later; not at all when the stream has ended. */
  write(bytes: Uint8Array, taken: () => void): void;
  /** Ends both directions. */
  end(): void;
}

export class StreamLink implements Link {
  isOpen = true;
  certified: readonly string[] | undefined = undefined;
  private readonly reader: MessageReader;
  private events: LinkEvents | undefined;
  private stream: ByteStream | undefined;
  private queue: Uint8Array[] = [];
  private queuedBytes = 0;
  /** Written, and not taken yet. */
  private writtenBytes = 0;
  private isFlushPlanned = false;
  private endReason = "";

  private onHello: ((hello: Uint8Array) => void) | undefined;

  /** @param onHello gets the first message, which is not one for the owner */
  constructor(onHello?: (hello: Uint8Array) => void) {
    this.onHello = onHello;
    this.reader = new MessageReader((message) => this.hear(message));
  }

  get bufferedBytes(): number {
    return this.queuedBytes + this.writtenBytes;
  }

  /** Lets the owner open it. Nothing may have been received before. */
  begin(open: (link: Link) => LinkEvents): void {
    const events = open(this);
    this.events = events;
    // Its owner may have closed it while it opened it.
    if (!this.isOpen) events.ended(this.endReason);
  }

  /** What was sent until now goes out, and what is sent later. */
  attach(stream: ByteStream): void {
    this.stream = stream;
    if (!this.isOpen) return stream.end();
    this.flush();
  }

  send(message: Uint8Array): void {
    if (!this.isOpen) return;
    if (message.length > MESSAGE_BYTES_MAX) return this.end("a message is too long");
    this.queue.push(message);
    this.queuedBytes += frameBytes(message);
    if (this.isFlushPlanned) return;
    this.isFlushPlanned = true;
    setImmediate(() => this.flush());
  }

  /** The next bytes from the other side. */
  received(chunk: Uint8Array): void {
    if (this.isOpen && !this.reader.take(chunk)) this.end("the peer sends what is no message");
  }

  close(): void {
    this.end("closed");
  }

  end(reason: string): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.endReason = reason;
    this.queue = [];
    this.queuedBytes = 0;
    this.writtenBytes = 0;
    this.stream?.end();
    this.events?.ended(reason);
  }

  private hear(message: Uint8Array): void {
    const { onHello } = this;
    this.onHello = undefined;
    if (onHello !== undefined) onHello(message);
    else if (this.isOpen) this.events?.message(message);
  }

  private flush(): void {
    this.isFlushPlanned = false;
    const { stream, queue } = this;
    if (stream === undefined || queue.length === 0) return;
    this.queue = [];
    this.writtenBytes += this.queuedBytes;
    this.queuedBytes = 0;
    for (const piece of framesOf(queue)) {
      stream.write(piece, () => {
        if (this.isOpen) this.writtenBytes -= piece.length;
      });
    }
  }
}
