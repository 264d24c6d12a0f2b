/**
 * One keep-alive connection of the load generator: raw TCP, one request in flight, and the operation that is under way on it. A connection that is lost is
 * opened again, to the next target in turn, until the lane is closed.
 */
import { ResponseReader } from "./response-reader.ts";
import type { Operation } from "./workload.ts";

export interface Target {
  readonly hostname: string;
  readonly port: number;
  /** Where the connection is encrypted. */
  readonly tls?: { readonly ca?: string };
}

export interface LaneOwner {
  /** The lane can take an operation. */
  connected(lane: Lane): void;
  /** `lane.reader` holds the answer. */
  answered(lane: Lane): void;
  /** The connection ended, or sent what is no response; `wasBusy` in the middle of an operation. */
  lost(lane: Lane, wasBusy: boolean): void;
}

/** Between two attempts to connect. */
const RECONNECT_MS = 20;

const HANDLERS: Bun.SocketHandler<Lane> = {
  data: (socket, chunk) => socket.data.received(socket, chunk),
  drain: (socket) => socket.data.drained(socket),
  close: (socket) => socket.data.ended(socket),
  // One of the handlers above threw, which is a mistake in the bench.
  error: (_, error) =>
    queueMicrotask(() => {
      throw error;
    }),
};

export class Lane {
  readonly reader = new ResponseReader();
  readonly operation: Operation = { kind: "read", key: 0 };
  /** When the operation should have begun. */
  dueMs = 0;
  /** In the second half of a read-modify-write. */
  isModifying = false;
  isBusy = false;
  wantsHome = false;
  readonly #owner: LaneOwner;
  readonly #targets: readonly Target[];
  readonly #home: number;
  #current: number;
  #socket: Bun.Socket<Lane> | undefined;
  #unsent: Buffer | undefined;
  #isClosed = false;

  constructor(owner: LaneOwner, targets: readonly Target[], home: number) {
    this.#owner = owner;
    this.#targets = targets;
    this.#home = home;
    this.#current = home;
  }

  get isHome(): boolean {
    return this.#current === this.#home;
  }

  async connect(): Promise<void> {
    const { hostname, port, tls } = this.#targets[this.#current]!;
    // What cannot prove who it is gets no request.
    const how = tls === undefined ? {} : { tls: { ...tls, rejectUnauthorized: true } };
    const socket = await Bun.connect<Lane>({
      hostname,
      port,
      socket: HANDLERS,
      data: this,
      ...how,
    });
    if (this.#isClosed) return void socket.end();
    this.reader.reset();
    this.#unsent = undefined;
    this.#socket = socket;
    this.#owner.connected(this);
  }

  send(request: Buffer): void {
    this.isBusy = true;
    const written = this.#socket?.write(request) ?? 0;
    // The request is a template that the next caller patches: what is left is kept as a copy.
    if (written < request.length)
      this.#unsent = Buffer.from(request.subarray(Math.max(0, written)));
  }

  goHome(): void {
    this.wantsHome = false;
    this.#current = this.#home;
    this.#leave();
    this.#reconnect(0);
  }

  /** To the next target: this one wants no more on this connection. */
  goOn(): void {
    this.#leave();
    this.#reconnect(RECONNECT_MS);
  }

  close(): void {
    this.#isClosed = true;
    this.#leave();
  }

  received(socket: Bun.Socket<Lane>, chunk: Buffer): void {
    if (socket !== this.#socket) return;
    const progress = this.isBusy ? this.reader.push(chunk) : "broken";
    if (progress === "more") return;
    if (progress === "broken") return this.#lose();
    this.isBusy = false;
    this.#owner.answered(this);
  }

  drained(socket: Bun.Socket<Lane>): void {
    const unsent = this.#unsent;
    if (unsent === undefined || socket !== this.#socket) return;
    this.#unsent = undefined;
    this.send(unsent);
  }

  ended(socket: Bun.Socket<Lane>): void {
    if (socket === this.#socket) this.#lose();
  }

  #lose(): void {
    this.#leave();
    const wasBusy = this.isBusy;
    this.isBusy = false;
    if (this.#isClosed) return;
    this.#owner.lost(this, wasBusy);
    this.#reconnect(RECONNECT_MS);
  }

  #leave(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    if (this.isBusy) socket?.terminate();
    else socket?.end();
  }

  #reconnect(delayMs: number): void {
    if (this.#isClosed) return;
    if (delayMs > 0) this.#current = (this.#current + 1) % this.#targets.length;
    setTimeout(() => {
      this.connect().catch(() => this.#reconnect(RECONNECT_MS));
    }, delayMs);
  }
}
