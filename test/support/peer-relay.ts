/**
 * Cuts the network between real nodes, from the test's own process: a relay of TCP and UDP in user space, in front of every node.
 *
 *   node X   listens on a loopback address of its own (`--peer 127.0.0.12:P`) and tells the others the relay's (`--advertise 127.0.0.1:R`)
 *   relay    knows who calls from the address that the call comes from, and who is meant from the port that it comes to
 *
 * A datagram from X leaves the relay through the port that stands in front of X, so its receiver sees the address that X advertises.
 *
 * A cut is one way, from one node to another, as on a network: what X sends to Y does not arrive, whoever opened the connection. Datagrams are gone.
 * The bytes of connections are held and arrive after the cut has healed, as TCP sends them again; or the connections are reset, at the cut or
 * when it heals (`reset`), as a network does that forgets them. A new connection into a cut is accepted and hears nothing.
 *
 * A link can be bad instead, one way too (`link-shape.ts`): what passes it is late, lost, doubled, reordered, or few bits a second.
 */
import type { Socket } from "bun";
import { Prng } from "../../src/base/prng.ts";
import { BunDatagrams } from "../../src/bun/datagrams.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { freePort } from "../e2e/node-process.ts";
import { type LinkShape, ShapedLink } from "./link-shape.ts";

/** More than a test sends into a cut; what comes after it is refused by ending the connection. */
const HELD_BYTES_MAX = 64 * 1024 * 1024;
const FRONT_HOST = "127.0.0.1";
/** The address of n1; n2 has the next. Not the one that clients and other tests use. */
const FIRST_HOST_NUMBER = 11;

export type CutMode = "hold" | "reset";

/** One node as the relay sees it. */
class Place {
  readonly host: string;
  readonly peerPort = freePort();
  readonly frontPort = freePort();
  datagrams: BunDatagrams | undefined;
  listener: { stop(closeActive?: boolean): void } | undefined;

  constructor(index: number) {
    this.host = `127.0.0.${FIRST_HOST_NUMBER + index}`;
  }
}

/** Bytes that were sent together, and when they arrive. */
interface Piece {
  bytes: Uint8Array;
  readonly dueMs: number;
}

/** One direction of one connection: bytes that are under way, or wait for the cut to heal, or for the socket to take more. */
class Lane {
  private queue: Piece[] = [];
  private queuedBytes = 0;
  private isEnding = false;
  private readonly link: ShapedLink;
  private readonly isCut: () => boolean;
  private readonly target: () => Socket<Side> | undefined;

  /** @param target undefined until the connection is there */
  constructor(link: ShapedLink, isCut: () => boolean, target: () => Socket<Side> | undefined) {
    this.link = link;
    this.isCut = isCut;
    this.target = target;
  }

  push(bytes: Uint8Array): void {
    const nowMs = performance.now();
    const dueMs = this.link.arrivalOf(bytes.length, nowMs);
    this.queue.push({ bytes: bytes.slice(), dueMs });
    if (dueMs > nowMs) setTimeout(() => this.flush(), dueMs - nowMs + 1);
    this.queuedBytes += bytes.length;
    if (this.queuedBytes > HELD_BYTES_MAX) throw new Error("the relay holds too much");
    this.flush();
  }

  /** The sender has closed; the receiver learns of it after the last byte. */
  end(): void {
    this.isEnding = true;
    this.flush();
  }

  flush(): void {
    const target = this.target();
    if (target === undefined || this.isCut()) return;
    for (let head = this.queue[0]; head !== undefined; head = this.queue[0]) {
      // A timer of its own comes for it.
      if (head.dueMs > performance.now()) return;
      const taken = target.write(head.bytes);
      // The receiver has gone; its side of the passage tells the sender.
      if (taken < 0) return;
      this.queuedBytes -= taken;
      if (taken < head.bytes.length) {
        head.bytes = head.bytes.subarray(taken);
        return;
      }
      this.queue.shift();
    }
    if (this.isEnding) target.end();
  }
}

/** A connection from node `from` to node `to`, with a socket on each side of the relay. */
class Passage {
  readonly from: number;
  readonly to: number;
  readonly caller: Socket<Side>;
  callee: Socket<Side> | undefined;
  readonly there: Lane;
  readonly back: Lane;

  constructor(relay: PeerRelay, from: number, to: number, caller: Socket<Side>) {
    this.from = from;
    this.to = to;
    this.caller = caller;
    this.there = new Lane(
      relay.link(from, to),
      () => relay.isCut(from, to),
      () => this.callee,
    );
    this.back = new Lane(
      relay.link(to, from),
      () => relay.isCut(to, from),
      () => this.caller,
    );
  }

  joins(one: number, other: number): boolean {
    return (this.from === one && this.to === other) || (this.from === other && this.to === one);
  }

  flush(): void {
    this.there.flush();
    this.back.flush();
  }

  reset(): void {
    this.caller.terminate();
    this.callee?.terminate();
  }
}

/** What a socket of the relay belongs to. */
interface Side {
  passage: Passage | undefined;
  readonly isCaller: boolean;
}

export class PeerRelay {
  private readonly places: readonly Place[];
  private readonly cuts = new Set<string>();
  private readonly passages = new Set<Passage>();
  private readonly links = new Map<string, ShapedLink>();

  private constructor(count: number) {
    this.places = Array.from({ length: count }, (_, index) => new Place(index));
  }

  /** A relay in front of `count` nodes, which may be started now. */
  static async start(count: number): Promise<PeerRelay> {
    const relay = new PeerRelay(count);
    for (let index = 0; index < count; index++) await relay.open(index);
    return relay;
  }

  /** For `hutch serve`, of node `index`, in place of whatever it was given before. */
  argsOf(index: number): readonly string[] {
    const { host, peerPort } = this.places[index]!;
    const peer = ["--peer", `${host}:${peerPort}`, "--advertise", this.frontOf(index)];
    const seeds = this.places.map((_, each) => this.frontOf(each)).join(",");
    return [...peer, "--seeds", seeds];
  }

  /** Where the others reach node `index`. */
  frontOf(index: number): string {
    return `${FRONT_HOST}:${this.places[index]!.frontPort}`;
  }

  isCut(from: number, to: number): boolean {
    return this.cuts.has(`${from}>${to}`);
  }

  /** Nothing of node `from` arrives at node `to` from now on. */
  cut(from: number, to: number, mode: CutMode = "hold"): void {
    this.cuts.add(`${from}>${to}`);
    if (mode === "reset") this.resetBetween(from, to);
  }

  /** Cuts every node of one side from every node of the other, both ways. */
  partition(one: readonly number[], other: readonly number[], mode: CutMode = "hold"): void {
    for (const a of one)
      for (const b of other) {
        this.cut(a, b, mode);
        this.cut(b, a, mode);
      }
  }

  /** Everything arrives again; what was held first, or, with `reset`, nothing that began before. */
  heal(mode: CutMode = "hold"): void {
    const cuts = [...this.cuts].map((cut) => cut.split(">").map(Number));
    this.cuts.clear();
    if (mode === "reset") for (const [from, to] of cuts) this.resetBetween(from!, to!);
    for (const passage of this.passages) {
      if (passage.callee === undefined) void this.dial(passage);
      passage.flush();
    }
  }

  /** The link from one node to another, one way. */
  link(from: number, to: number): ShapedLink {
    const name = `${from}>${to}`;
    const known = this.links.get(name);
    if (known !== undefined) return known;
    const link = new ShapedLink(new Prng(`peer-relay/${name}`));
    this.links.set(name, link);
    return link;
  }

  /** What the link is like from now on; a perfect one without `shape`. */
  shape(from: number, to: number, shape: LinkShape | undefined): void {
    this.link(from, to).become(shape);
  }

  stop(): void {
    for (const { listener, datagrams } of this.places) {
      listener?.stop(true);
      datagrams?.close();
    }
    for (const passage of this.passages) passage.reset();
  }

  private resetBetween(one: number, other: number): void {
    for (const passage of this.passages) if (passage.joins(one, other)) passage.reset();
  }

  private async open(index: number): Promise<void> {
    const place = this.places[index]!;
    const hostname = FRONT_HOST;
    const port = place.frontPort;
    place.datagrams = await BunDatagrams.bind({ hostname, port, logger: silentLogger });
    place.datagrams.onReceive((bytes, from) => this.pass(bytes, this.nodeAt(from), index));
    place.listener = Bun.listen<Side>({
      hostname,
      port,
      socket: {
        open: (socket) => this.accept(socket, index),
        ...socketEvents(this.passages),
      },
    });
  }

  /** A datagram for node `to`. */
  private pass(bytes: Uint8Array, from: number, to: number): void {
    if (from < 0 || this.isCut(from, to)) return;
    const { host, peerPort } = this.places[to]!;
    const deliver = (copy: Uint8Array): void =>
      this.places[from]!.datagrams?.send(`${host}:${peerPort}`, copy);
    const link = this.link(from, to);
    if (link.isPerfect) return deliver(bytes);
    const copy = bytes.slice();
    for (const fateMs of link.fatesOf(copy.length, performance.now()))
      setTimeout(() => deliver(copy), fateMs);
  }

  /** The node behind a source address; -1 for none. */
  private nodeAt(address: string): number {
    const host = address.split(":")[0];
    return this.places.findIndex((place) => place.host === host);
  }

  private accept(caller: Socket<Side>, to: number): void {
    const from = this.nodeAt(caller.remoteAddress);
    const passage = from < 0 ? undefined : new Passage(this, from, to, caller);
    caller.data = { passage, isCaller: true };
    if (passage === undefined) return void caller.terminate();
    this.passages.add(passage);
    if (!this.isCut(from, to)) void this.dial(passage);
  }

  private async dial(passage: Passage): Promise<void> {
    const { host, peerPort } = this.places[passage.to]!;
    try {
      const data = { passage, isCaller: false };
      const socket = socketEvents(this.passages);
      passage.callee = await Bun.connect<Side>({ hostname: host, port: peerPort, data, socket });
      passage.flush();
    } catch {
      // Nobody listens there: the caller is told in the same way.
      passage.caller.terminate();
    }
  }
}

/** Bytes from either side of a passage go into its lane; an end follows them. */
function socketEvents(passages: Set<Passage>) {
  return {
    data: ({ data: { passage, isCaller } }: Socket<Side>, bytes: Uint8Array): void => {
      (isCaller ? passage?.there : passage?.back)?.push(bytes);
    },
    drain: ({ data: { passage } }: Socket<Side>): void => passage?.flush(),
    close: ({ data }: Socket<Side>): void => {
      const { passage, isCaller } = data;
      if (passage === undefined) return;
      (isCaller ? passage.there : passage.back).end();
      if (isCaller && passage.callee === undefined) passages.delete(passage);
      if (!isCaller) passages.delete(passage);
    },
    error: (): void => undefined,
  };
}
