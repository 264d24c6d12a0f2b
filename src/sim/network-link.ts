/**
 * Links between simulated machines: two ends, and a lane of parcels in each direction.
 *
 *   send -> [ lane: in order, each after its delay ] -> [ inbox of the other process ] -> message()
 *
 * A lane whose path is cut, in either direction, since acknowledgements take the other one, keeps its parcels and tries
 * again, as TCP does; after some time, a draw of the seed, it gives up and its own end hears of it. The other end hears only when it
 * sends something to an end that is no more: the answer to that is a reset.
 *
 * The wire is a process of its own that never dies or pauses; what the two ends hear, they hear in events of theirs.
 */
import { assert } from "../base/assert.ts";
import type { Link, LinkEvents } from "../ports/transport.ts";
import { MESSAGE_BYTES_MAX } from "../ports/transport.ts";
import type { SimEndpoint, SimNetwork } from "./network.ts";
import type { SimPath } from "./network-path.ts";

/** What the buffers of two systems hold before `bufferedBytes` grows. */
const SOCKET_BYTES = 256 * 1024;
const RETRY_US_MIN = 200_000;
const RETRY_US_MAX = 1_000_000;
const GIVE_UP_MS_MIN = 5_000;
const GIVE_UP_MS_MAX = 15_000;

type Parcel =
  /** The answer to a hello, always first from the side that accepted. */
  | { readonly kind: "welcome"; readonly bytes: Uint8Array; readonly dueUs: number }
  | { readonly kind: "message"; readonly bytes: Uint8Array; readonly dueUs: number }
  /** `bytes` is empty. */
  | { readonly kind: "end"; readonly bytes: Uint8Array; readonly dueUs: number };

/** One direction of a link. */
class SimLane {
  waitingBytes = 0;
  private readonly network: SimNetwork;
  private readonly from: SimLinkEnd;
  private readonly to: SimLinkEnd;
  private parcels: Parcel[] = [];
  private lastDueUs = 0;
  private isMoving = false;
  private retryUs = RETRY_US_MIN;
  /** When it gives up; -1 while nothing is in its way. */
  private giveUpUs = -1;

  constructor(from: SimLinkEnd, to: SimLinkEnd) {
    this.network = from.endpoint.network;
    this.from = from;
    this.to = to;
  }

  add(kind: Parcel["kind"], bytes: Uint8Array): void {
    const nowUs = this.network.scheduler.nowUs();
    const path = this.path();
    const sentUs = nowUs + path.transferUs(nowUs, bytes.length);
    this.lastDueUs = Math.max(this.lastDueUs, sentUs + path.messageDelayUs());
    this.parcels.push({ kind, bytes, dueUs: this.lastDueUs });
    this.waitingBytes += bytes.length;
    if (!this.isMoving) this.move();
  }

  /** What is under way is lost. */
  clear(): void {
    this.parcels = [];
    this.waitingBytes = 0;
  }

  private path(): SimPath {
    return this.network.path(this.from.endpoint.machine.name, this.to.endpoint.machine.name);
  }

  private isCut(): boolean {
    const [from, to] = [this.from.endpoint.machine.name, this.to.endpoint.machine.name];
    return this.network.isCut(from, to) || this.network.isCut(to, from);
  }

  private move(): void {
    const head = this.parcels[0];
    this.isMoving = head !== undefined;
    if (head === undefined) return;
    const delayUs = Math.max(0, head.dueUs - this.network.scheduler.nowUs());
    this.network.later(delayUs, this.network.wire, `${head.kind} arrives`, () => this.arrive());
  }

  private arrive(): void {
    if (this.parcels.length > 0 && this.isCut()) return this.retryLater();
    this.giveUpUs = -1;
    this.retryUs = RETRY_US_MIN;
    this.hand();
    this.move();
  }

  private hand(): void {
    const head = this.parcels[0];
    // What this event was for may have been overtaken by the end of the link.
    if (head === undefined || head.dueUs > this.network.scheduler.nowUs()) return;
    this.parcels.shift();
    this.waitingBytes -= head.bytes.length;
    // An end that is no more answers with a reset.
    if (!this.to.take(head)) this.from.endSoon("reset by the peer");
  }

  private retryLater(): void {
    const { scheduler, wire } = this.network;
    if (this.giveUpUs < 0) {
      const patienceMs = this.path().stream("give-up").between(GIVE_UP_MS_MIN, GIVE_UP_MS_MAX);
      this.giveUpUs = scheduler.nowUs() + patienceMs * 1000;
    }
    if (scheduler.nowUs() >= this.giveUpUs) {
      this.clear();
      this.from.endSoon("no acknowledgement: timed out");
    }
    this.network.later(this.retryUs, wire, "retransmission", () => this.arrive());
    this.retryUs = Math.min(this.retryUs * 2, RETRY_US_MAX);
  }
}

/** One end, in the hands of one process. */
export class SimLinkEnd implements Link {
  readonly endpoint: SimEndpoint;
  isOpen = false;
  /** Ended, or given up before it was open. */
  isOver = false;
  private outgoing: SimLane | undefined;
  private peer: SimLinkEnd | undefined;
  private events: LinkEvents | undefined;
  private readonly inbox: Parcel[] = [];
  private inboxBytes = 0;
  private readonly onWelcome: (hello: Uint8Array) => void;
  private readonly onEnded: (reason: string) => void;

  /** @param onEnded called with the end of a link that never was open as well */
  constructor(
    endpoint: SimEndpoint,
    onWelcome: (hello: Uint8Array) => void,
    onEnded: (reason: string) => void,
  ) {
    this.endpoint = endpoint;
    this.onWelcome = onWelcome;
    this.onEnded = onEnded;
  }

  static join(client: SimLinkEnd, server: SimLinkEnd): void {
    client.peer = server;
    server.peer = client;
    client.outgoing = new SimLane(client, server);
    server.outgoing = new SimLane(server, client);
    if (!client.isOver) client.endpoint.links.add(client);
    server.endpoint.links.add(server);
  }

  get bufferedBytes(): number {
    const { lane, peer } = this.joined();
    return Math.max(0, lane.waitingBytes + peer.inboxBytes - SOCKET_BYTES);
  }

  welcome(hello: Uint8Array): void {
    this.joined().lane.add("welcome", hello.slice());
  }

  /** Open from now on, for the owner as well. */
  begin(open: (link: Link) => LinkEvents): void {
    this.isOpen = true;
    const events = open(this);
    this.events = events;
    // It may have been closed meanwhile.
    if (this.isOver) events.ended("closed");
  }

  send(message: Uint8Array): void {
    if (!this.isOpen || !this.endpoint.owner.isAlive) return;
    const { network, owner } = this.endpoint;
    const { lane, peer } = this.joined();
    network.scheduler.noteCall(owner, `message to ${peer.endpoint.address} ${message.length}`);
    if (message.length > MESSAGE_BYTES_MAX) return this.finish("a message is too long");
    lane.add("message", message.slice());
  }

  close(): void {
    if (this.isOpen && this.endpoint.owner.isAlive) this.finish("closed");
  }

  /** Gives up before the welcome has come. The other side may have let us in meanwhile. */
  abandon(): void {
    this.isOver = true;
    this.endpoint.links.delete(this);
    if (this.peer !== undefined) this.sendEnd();
  }

  /** The process has died: its system ends the link properly, or (`isSilent`) nobody is left to do so. */
  die(isSilent: boolean): void {
    this.isOver = true;
    this.isOpen = false;
    if (isSilent) this.joined().lane.clear();
    else this.sendEnd();
  }

  endSoon(reason: string): void {
    if (this.isOver) return;
    const { network, owner } = this.endpoint;
    network.later(0, owner, `link ends: ${reason}`, () => this.end(reason));
  }

  /** Takes a parcel from the wire; false when there is nobody to take it. */
  take(parcel: Parcel): boolean {
    if (this.isOver) return parcel.kind === "end";
    this.inbox.push(parcel);
    this.inboxBytes += parcel.bytes.length;
    const { network, owner } = this.endpoint;
    const from = this.joined().peer.endpoint.address;
    const label = `${parcel.kind} from ${from} ${parcel.bytes.length}`;
    network.later(0, owner, label, () => this.open());
    return true;
  }

  /** Opens the oldest parcel in the inbox: ties between events must not change the order of messages. */
  private open(): void {
    const parcel = this.inbox.shift();
    if (parcel === undefined) return;
    this.inboxBytes -= parcel.bytes.length;
    if (this.isOver) return;
    if (parcel.kind === "welcome") this.onWelcome(parcel.bytes);
    else if (parcel.kind === "message") this.events?.message(parcel.bytes);
    else this.end("closed by the peer");
  }

  private finish(reason: string): void {
    this.sendEnd();
    this.end(reason);
  }

  /** What was under way comes before the end, or is overtaken by it: both happen. */
  private sendEnd(): void {
    const { network, machine } = this.endpoint;
    const { lane, peer } = this.joined();
    const path = network.path(machine.name, peer.endpoint.machine.name);
    if (path.stream("end").chance(0.5)) lane.clear();
    lane.add("end", new Uint8Array(0));
  }

  private joined(): { readonly lane: SimLane; readonly peer: SimLinkEnd } {
    const { outgoing: lane, peer } = this;
    assert(lane !== undefined && peer !== undefined, "an end that is used is joined to another");
    return { lane, peer };
  }

  private end(reason: string): void {
    if (this.isOver) return;
    this.isOver = true;
    this.isOpen = false;
    this.endpoint.links.delete(this);
    this.onEnded(reason);
    this.events?.ended(reason);
  }
}
