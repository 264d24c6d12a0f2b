/**
 * The network between the nodes of a nemesis run, and how it is broken: one interface, two ways.
 *
 *   loopback     every node on the loopback interface, behind a relay in user space (`peer-relay.ts`); needs nothing
 *   namespaces   every node in a network namespace of its own, and a router between them (`namespaces.ts`); needs root
 *
 * Everything is one way, from one node to another: what is both ways is done twice. Clients talk to nodes past all of it.
 */
import type { LinkShape } from "../support/link-shape.ts";
import { freePort } from "../e2e/node-process.ts";
import { PeerRelay } from "../support/peer-relay.ts";

/** `hold`: what is sent into a cut waits, or is sent again. `reset`: connections break. */
export type CutMode = "hold" | "reset";

export interface Network {
  /** For `hutch serve`, of node `index`: where it listens, and whom it asks. */
  argsOf(index: number): readonly string[];
  /** For clients. */
  urlOf(index: number): string;
  /** A command that runs `command` where node `index` lives. */
  commandOf(index: number, command: readonly string[]): readonly string[];
  /** Nothing of `from` arrives at `to` from now on. */
  cut(from: number, to: number, mode: CutMode): Promise<void>;
  /** All cuts end. */
  heal(mode: CutMode): Promise<void>;
  /** What the link is like from now on; a perfect one without `shape`. */
  shape(from: number, to: number, shape: LinkShape | undefined): Promise<void>;
  close(): Promise<void>;
}

export class LoopbackNetwork implements Network {
  private readonly relay: PeerRelay;
  private readonly ports: readonly number[];

  private constructor(relay: PeerRelay, count: number) {
    const ports = new Set<number>();
    while (ports.size < count) ports.add(freePort());
    this.relay = relay;
    this.ports = [...ports];
  }

  static async open(count: number): Promise<LoopbackNetwork> {
    return new LoopbackNetwork(await PeerRelay.start(count), count);
  }

  argsOf(index: number): readonly string[] {
    return ["--listen", `127.0.0.1:${this.ports[index]}`, ...this.relay.argsOf(index)];
  }

  urlOf(index: number): string {
    return `http://127.0.0.1:${this.ports[index]}`;
  }

  commandOf(_: number, command: readonly string[]): readonly string[] {
    return command;
  }

  async cut(from: number, to: number, mode: CutMode): Promise<void> {
    this.relay.cut(from, to, mode);
  }

  async heal(mode: CutMode): Promise<void> {
    this.relay.heal(mode);
  }

  async shape(from: number, to: number, shape: LinkShape | undefined): Promise<void> {
    this.relay.shape(from, to, shape);
  }

  async close(): Promise<void> {
    this.relay.stop();
  }
}
