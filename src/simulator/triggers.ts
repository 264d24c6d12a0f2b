/**
 * What faults may wait for (FAULTS.md 2.8), by the names that plans write, and what they stand for (`happenings.ts`).
 *
 *   { "on": "manifest-switch", "nth": 3 }     the third time that any node is about to rename its CURRENT
 *   { "on": "disk sync log", "nth": 40 }      a plan may also name a happening itself
 *
 * A trigger with `after` waits, at each node, for that first, and then for the next of its own happenings. Where the happening is a call of the disk the fault
 * strikes at that very call: a power loss at a manifest-switch leaves the old CURRENT.
 */
import type { Prng } from "../base/prng.ts";
import type { PeerReply, PeerRequest } from "../cluster/peer-messages.ts";
import type { PeerAddress } from "../ports/transport.ts";
import type { SimNode } from "../sim/world.ts";
import { diskCallName, type Happening, jobName, messageNames } from "./happenings.ts";

interface Trigger {
  /** For people. */
  readonly what: string;
  readonly on: string;
  readonly after?: string;
  /** How far a plan counts: about as often as it happens in a run of seconds. */
  readonly nthMax: number;
}

export const TRIGGERS = {
  // One node's disk.
  "wal-append": { what: "writes go to the log", on: "disk append log", nthMax: 1000 },
  "wal-sync": { what: "the log is synced", on: "disk sync log", nthMax: 600 },
  "wal-rotate": { what: "a new log segment is made", on: "disk create log", nthMax: 20 },
  "flush-begin": { what: "a flush begins to write its table", on: "job flush", nthMax: 20 },
  "flush-install": {
    what: "the manifest is about to list what a flush has written",
    on: "disk append manifest",
    after: "job flush ends",
    nthMax: 20,
  },
  "compaction-begin": { what: "a compaction begins", on: "job compact", nthMax: 3 },
  "compaction-install": {
    what: "the manifest is about to list what a compaction has written",
    on: "disk append manifest",
    after: "job compact ends",
    nthMax: 3,
  },
  "table-create": { what: "a table is begun", on: "disk create table.tmp", nthMax: 20 },
  "table-rename": { what: "a table gets its name", on: "disk rename table.tmp", nthMax: 20 },
  "table-remove": { what: "a table is removed", on: "disk unlink table", nthMax: 12 },
  "table-quarantine": { what: "a damaged table is put aside", on: "disk rename table", nthMax: 2 },
  "manifest-edit": { what: "an edit goes to the manifest", on: "disk append manifest", nthMax: 80 },
  "manifest-sync": { what: "the manifest is synced", on: "disk sync manifest", nthMax: 60 },
  "manifest-switch": {
    what: "CURRENT is about to name a new manifest",
    on: "disk rename current.tmp",
    nthMax: 4,
  },
  "dir-sync": { what: "the directory is synced", on: "disk syncDirectory directory", nthMax: 60 },
  "alive-mark": {
    what: "the mark of being alive is replaced",
    on: "disk rename alive.tmp",
    nthMax: 4,
  },
  recovery: { what: "a node opens its log again", on: "disk open log", nthMax: 6 },
  scrub: { what: "a table is read through", on: "job verify", nthMax: 40 },
  salvage: { what: "what is whole of a damaged table is saved", on: "job salvage", nthMax: 2 },

  // Between nodes.
  "ack-sent": {
    what: "an acknowledgement arrives, at who has given it",
    on: "sent answer stored",
    nthMax: 300,
  },
  "hint-store": { what: "a hint for another node arrives", on: "hint", nthMax: 40 },
  "hint-replay": { what: "a kept hint arrives at its target", on: "merge handoff", nthMax: 60 },
  "hint-sent": { what: "the same, at who kept it", on: "sent merge handoff", nthMax: 60 },
  "hints-asked": { what: "a node asks for what it missed", on: "hints-held", nthMax: 30 },
  "read-repair": { what: "a read mends a copy", on: "merge repair", nthMax: 20 },
  forward: { what: "a write arrives at who may mint it", on: "coordinate", nthMax: 150 },
  "tree-roots": { what: "two nodes compare their trees", on: "repair roots", nthMax: 150 },
  "tree-hashes": { what: "they go down a tree", on: "repair hashes", nthMax: 60 },
  "range-compare": { what: "they compare records", on: "repair compare", nthMax: 20 },
  "stream-chunk": { what: "records arrive from another owner", on: "repair store", nthMax: 30 },
  "stream-sent": { what: "the same, at who has sent them", on: "sent repair store", nthMax: 30 },
  "tree-rebuild": { what: "trees are to be built anew", on: "log trees_to_be_rebuilt", nthMax: 3 },
  "collect-phase-1": { what: "is a deletion the same here?", on: "collect compare", nthMax: 20 },
  "collect-phase-2": { what: "it is to be forgotten", on: "collect drop", nthMax: 20 },
  "suspect-asked": { what: "is a suspect state known here?", on: "repair held", nthMax: 6 },

  // The ring.
  vote: { what: "a layout is put to the vote", on: "exchange propose", nthMax: 6 },
  join: { what: "a node asks to be let in", on: "exchange join", nthMax: 6 },
  "layout-spread": { what: "a layout travels", on: "exchange layout", nthMax: 100 },
  "layout-apply": { what: "a node applies a layout", on: "log layout_applied", nthMax: 6 },
  "handover-waits": {
    what: "a partition cannot be handed over",
    on: "log push_incomplete",
    nthMax: 3,
  },
  syncing: { what: "a node begins to catch up", on: "log syncing", nthMax: 6 },
  serving: { what: "it has caught up", on: "log serving", nthMax: 6 },
  leave: { what: "a node finds that it has left", on: "log gone_from_the_cluster", nthMax: 2 },
} as const satisfies Readonly<Record<string, Trigger>>;

export type TriggerName = keyof typeof TRIGGERS;
export const TRIGGER_NAMES = Object.keys(TRIGGERS) as TriggerName[];

const RAW =
  /^(?:(?:log|job|disk|sent|answer|merge|repair|collect|exchange) .+|[a-z]+(?:-[a-z]+)*)$/;

/** May a plan wait for that? A name of the table, or of a happening. */
export const isTrigger = (name: string): boolean => name in TRIGGERS || RAW.test(name);

export function drawTrigger(prng: Prng): { on: TriggerName; nth: number } {
  const on = prng.pick(TRIGGER_NAMES);
  return { on, nth: prng.between(1, TRIGGERS[on].nthMax) };
}

/** Triggers by the happening that they stand for. */
const BY_HAPPENING: ReadonlyMap<string, readonly TriggerName[]> = Map.groupBy(
  TRIGGER_NAMES,
  (name) => TRIGGERS[name].on,
);
/** What has to come before some of them. */
const FIRSTS: ReadonlySet<string> = new Set(
  TRIGGER_NAMES.map((name) => afterOf(name)).filter((after) => after !== undefined),
);

function afterOf(name: TriggerName): string | undefined {
  const trigger: Trigger = TRIGGERS[name];
  return trigger.after;
}

/** Hears all happenings of a cluster and tells each by its own name, then by those of its triggers. Costs nothing while nobody listens. */
export class TriggerSource {
  listener: ((happening: Happening) => void) | undefined;
  private readonly indexes = new Map<PeerAddress, number>();
  /** `index event` of what has come first and has not been followed yet. */
  private readonly begun = new Set<string>();

  /** From now on the disk and the workers of this machine, in all its lives, are heard, and who has sent a message from that address is known. */
  hear(machine: SimNode, index: number, address: PeerAddress): void {
    this.indexes.set(address, index);
    machine.onDiskCall = (call) => {
      if (this.listener !== undefined) this.tell(index, diskCallName(call), true);
    };
    machine.onJob = (kind, stage) => this.tell(index, jobName(kind, stage));
  }

  /** A message of `from` arrives. */
  tellMessage(
    index: number,
    body: PeerRequest | PeerReply,
    isReply: boolean,
    from: PeerAddress,
  ): void {
    if (this.listener === undefined) return;
    const sender = this.indexes.get(from);
    for (const name of messageNames(body, isReply)) {
      this.tell(index, name);
      if (sender !== undefined) this.tell(sender, `sent ${name}`);
    }
  }

  tell(index: number, event: string, isDiskCall = false): void {
    const { listener } = this;
    if (listener === undefined) return;
    listener({ index, event, isDiskCall });
    for (const name of BY_HAPPENING.get(event) ?? [])
      if (this.follows(index, name)) listener({ index, event: name, isDiskCall });
    if (FIRSTS.has(event)) this.begun.add(`${index} ${event}`);
  }

  private follows(index: number, name: TriggerName): boolean {
    const after = afterOf(name);
    return after === undefined || this.begun.delete(`${index} ${after}`);
  }
}
