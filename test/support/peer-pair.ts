/** A client at node a and a server at node b, in one process, on a clock that the test moves. */
import { utf8 } from "../../src/base/bytes.ts";
import { PeerClient, type PeerIdentity } from "../../src/cluster/peer-client.ts";
import { PeerError, type PeerReply, type PeerRequest } from "../../src/cluster/peer-messages.ts";
import { PeerServer } from "../../src/cluster/peer-server.ts";
import { Prng } from "../../src/base/prng.ts";
import type { LogFields, Logger } from "../../src/ports/logger.ts";
import { ManualClock } from "./manual-clock.ts";
import { MemoryNetwork } from "./memory-transport.ts";

export const A = "aaaaaaaaaaaaaaaa";
export const B = "bbbbbbbbbbbbbbbb";
export const B_ADDRESS = "b:1";

export const read: PeerRequest = {
  kind: "read",
  internalKey: utf8("key"),
  knownDigest: new Uint8Array(0),
};
export const absent: PeerReply = {
  kind: "record",
  isServing: true,
  state: "absent",
  record: new Uint8Array(0),
};

export function mergeOf(bytes: number): PeerRequest & { kind: "merge" } {
  return {
    kind: "merge",
    internalKey: utf8("key"),
    record: new Uint8Array(bytes).fill(7),
    purpose: "write",
    isConditional: false,
    side: undefined,
  };
}

const stored: PeerReply = { kind: "stored", isDurable: true };

/** What a node that holds nothing answers. */
export function answer({ kind }: PeerRequest): PeerReply {
  if (kind === "read") return absent;
  if (kind === "merge" || kind === "hint") return stored;
  return { kind: "failed", code: "not-implemented", message: "", retry: "no", data: {} };
}

type Handle = (
  request: PeerRequest,
  from: string,
  budgetMs: number,
) => PeerReply | Promise<PeerReply>;

export class PeerPair {
  readonly clock = new ManualClock();
  readonly network = new MemoryNetwork(this.clock);
  readonly logged: string[] = [];
  clientIdentity: PeerIdentity = identityOf(A);
  serverIdentity: PeerIdentity = identityOf(B);
  addresses = new Map([[B, B_ADDRESS]]);
  handle: Handle = answer;
  isDuplicate = false;
  inbound = 0;
  onInbound = (): void => undefined;
  readonly client: PeerClient;
  server: PeerServer;

  constructor() {
    this.client = new PeerClient({
      transport: this.network.transportAt("a:1"),
      clock: this.clock,
      random: new Prng("pair"),
      logger: this.logger(),
      identity: () => this.clientIdentity,
      addressOf: (node) => this.addresses.get(node),
      scheduleFlush: queueMicrotask,
    });
    this.server = this.serve();
  }

  /** Listens at b, again after `stop`. */
  serve(): PeerServer {
    return new PeerServer({
      transport: this.network.transportAt(B_ADDRESS),
      clock: this.clock,
      logger: this.logger(),
      handler: { handle: (request, from, budgetMs) => this.handle(request, from, budgetMs) },
      identity: () => this.serverIdentity,
      isDuplicate: () => this.isDuplicate,
      onInbound: () => {
        this.inbound++;
        this.onInbound();
      },
      scheduleFlush: queueMicrotask,
    });
  }

  /** The process at b is gone. */
  stop(): void {
    this.server.close();
    this.network.listeners.delete(B_ADDRESS);
  }

  call(request: PeerRequest = read, timeoutMs = 500): Promise<PeerReply> {
    return this.client.call(B, request, timeoutMs, "replica");
  }

  /** What became of a call, in a few words. */
  async outcome(request: PeerRequest = read, timeoutMs = 500): Promise<string> {
    return said(this.call(request, timeoutMs));
  }

  /** The same, with the clock moved on until the call has ended. */
  async outcomeLater(request: PeerRequest = read, timeoutMs = 500): Promise<string> {
    const outcome = said(this.call(request, timeoutMs));
    await settle();
    this.clock.advance(timeoutMs + 20);
    return outcome;
  }

  private logger(): Logger {
    const note = (event: string, fields: LogFields = {}): void => {
      this.logged.push(`${event} ${fields["code"] ?? fields["kind"] ?? fields["reason"] ?? ""}`);
    };
    return { debug: () => undefined, info: note, warn: note, error: note };
  }
}

export function identityOf(nodeId: string): PeerIdentity {
  return { clusterId: new Uint8Array(16).fill(9), clusterName: "test", nodeId, incarnation: 1 };
}

/** `record`, `failed overloaded`, `unknown lost` ... */
export async function said(call: Promise<PeerReply>): Promise<string> {
  try {
    const reply = await call;
    return reply.kind === "failed" ? `failed ${reply.code}` : reply.kind;
  } catch (error) {
    if (error instanceof PeerError) return `${error.outcome} ${error.reason}`;
    throw error;
  }
}

/** Lets everything that only waits for microtasks happen. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await Promise.resolve();
}
