/**
 * Host names of peers and the numbers behind them: where nodes move between addresses and keep their names, as in Kubernetes.
 *
 *   find(name)    asks the resolver at every attempt to connect, because a node that moved is found only so
 *   known(name)   the last answer, at once, for datagrams; asks in the background where the answer is old or missing
 *
 * Callers of one name share one question. A failed question keeps the answer before it for `known`. IPv4 is taken where a name has both.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

/** All addresses of a name, in the resolver's order; rejects where it has none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** Dots and letters, digits, dashes and underscores between them; at most what DNS takes. */
const NAME_PATTERN =
  /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_-]+)*\.?$/;
const LETTER_PATTERN = /[A-Za-z]/;

/** Names that are remembered; all are forgotten at the limit, and those in use are back with their next message. */
const NAMES_MAX = 1024;
/** Questions at the same time: names come from other nodes too. */
const QUESTIONS_MAX = 64;
/** An answer this old is asked for again when a datagram needs it; so is a failure. */
const FRESH_MS = 2000;

interface Entry {
  host: string | undefined;
  askedMs: number;
  question: Promise<string> | undefined;
}

/** True for what may be a name: a numeric address is none. */
export function isHostName(host: string): boolean {
  return NAME_PATTERN.test(host) && LETTER_PATTERN.test(host) && isIP(host) === 0;
}

export class PeerNames {
  private readonly entries = new Map<string, Entry>();
  private readonly resolve: Resolve;
  private questions = 0;

  constructor(resolve: Resolve = addressesOf) {
    this.resolve = resolve;
  }

  /** Numeric; `undefined` where no answer has come yet. */
  known(name: string): string | undefined {
    const entry = this.entryOf(name);
    const isOld = performance.now() - entry.askedMs >= FRESH_MS;
    // Who waits for the answer hears of a failure; here the next datagram asks again.
    if (isOld && entry.question === undefined) this.ask(name, entry).catch(() => undefined);
    return entry.host;
  }

  /** Numeric. Rejects where the resolver knows none, with its reason. */
  find(name: string): Promise<string> {
    const entry = this.entryOf(name);
    return entry.question ?? this.ask(name, entry);
  }

  private entryOf(name: string): Entry {
    const known = this.entries.get(name);
    if (known !== undefined) return known;
    if (this.entries.size >= NAMES_MAX) this.entries.clear();
    const entry: Entry = { host: undefined, askedMs: -Infinity, question: undefined };
    this.entries.set(name, entry);
    return entry;
  }

  private async ask(name: string, entry: Entry): Promise<string> {
    if (this.questions >= QUESTIONS_MAX) throw new Error("too many names are being resolved");
    this.questions++;
    entry.askedMs = performance.now();
    entry.question = this.answerTo(name);
    try {
      return (entry.host = await entry.question);
    } finally {
      entry.question = undefined;
      this.questions--;
    }
  }

  private async answerTo(name: string): Promise<string> {
    const hosts = (await this.resolve(name)).filter((host) => isIP(host) !== 0);
    const host = hosts.find((each) => isIP(each) === 4) ?? hosts[0];
    if (host === undefined) throw new Error("the name has no address");
    return host;
  }
}

async function addressesOf(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
