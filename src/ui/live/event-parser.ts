/**
 * Server-sent events out of a stream of text (WHATWG HTML, "Parsing an event stream"), for `fetch`, which can send an `Authorization` header where
 * `EventSource` cannot. Text comes in pieces that end anywhere; what is not a whole event yet waits.
 */

export interface LiveEvent {
  readonly event: string;
  readonly data: string;
}

/** A node sends far less; more than this without an end is no event stream. */
const WAITING_MAX = 16 * 1024 * 1024;

export class EventParser {
  #waiting = "";

  /** The events that `text` completes. */
  push(text: string): readonly LiveEvent[] {
    this.#waiting += text;
    if (this.#waiting.length > WAITING_MAX)
      throw new Error("Cannot read the events: one has no end");
    const blocks = this.#waiting.split(/\r?\n\r?\n/);
    this.#waiting = blocks.pop() ?? "";
    return blocks.map(eventOf).filter((event) => event !== undefined);
  }
}

/** `undefined` for a block of comments. */
function eventOf(block: string): LiveEvent | undefined {
  let event = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(":");
    if (colon === 0) continue;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") event = value;
    else if (field === "data") data.push(value);
  }
  return data.length === 0 ? undefined : { event, data: data.join("\n") };
}
