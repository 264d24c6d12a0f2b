/**
 * Mistakes that somebody could make in hutch, each as the text that it would change. `plant.ts` makes them in the memory of a process that is told to;
 * `bun run planted` shows that the simulator finds each (issue: "to see that it bites"). A simulator that passes one of them proves nothing about what that
 * one would break.
 *
 * Each is small and looks right at a glance: a line too early, a line forgotten, a wrong word. None is more than one decision; one has two edits, because
 * hutch guards against it twice, and one, because runs are small.
 */

/** One text in one file under `src`, which occurs there exactly once. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

export interface PlantedBug {
  readonly name: string;
  /** What the programmer did, in one sentence. */
  readonly what: string;
  readonly edits: readonly Edit[];
}

/** Those that issue 5 asks for. */
const ASKED_FOR: readonly PlantedBug[] = [
  {
    name: "ack-before-sync",
    what: "The log answers as soon as a group is written and syncs it afterwards.",
    edits: [
      {
        file: "storage/log/write-ahead-log.ts",
        find: `      if (this.options.fsync !== "os") await this.syncAll();
      else await this.settleUnsynced();
      this.durableSequence = group.lastSequence;
      if (this.options.fsync !== "os") this.syncedSequence = group.lastSequence;
      group.resolve();`,
        replace: `      this.durableSequence = group.lastSequence;
      group.resolve();
      if (this.options.fsync !== "os") await this.syncAll();
      else await this.settleUnsynced();
      if (this.options.fsync !== "os") this.syncedSequence = group.lastSequence;`,
      },
    ],
  },
  {
    name: "no-directory-sync",
    what: "A new table gets its name and is listed in the manifest without the name being synced.",
    edits: [
      {
        file: "storage/table/table-writer.ts",
        find: `    this.state = "renamed";
    this.disk.syncDirectory("");
`,
        replace: `    this.state = "renamed";
`,
      },
    ],
  },
  {
    name: "dot-reused",
    what: "After a crash a node goes on under its old incarnation, and its clock does not begin where the last life may have been.",
    edits: [
      {
        file: "storage/data-directory.ts",
        find: "incarnation: this.wasClean ? before.incarnation : this.incarnationAfter(before),",
        replace: "incarnation: before.incarnation,",
      },
      {
        file: "cluster/replica.ts",
        find: "this.clock = new HybridClock(this.ceiling.stored);",
        replace: "this.clock = new HybridClock(0);",
      },
    ],
  },
  {
    name: "tombstone-compacted",
    what: "A compaction drops what is dead, as a store on one node may.",
    edits: [
      {
        file: "causality/retention.ts",
        find: "    if (mark !== IDEMPOTENCY_KEY_MARK) return true;",
        replace: `    if (mark <= SYSTEM_KEY_MARK || mark === HINT_KEY_MARK) return true;
    if (mark !== IDEMPOTENCY_KEY_MARK)
      return nowMs === 0 || deathOf(valueBytes.slice(valueStart, valueEnd)) > nowMs;`,
      },
    ],
  },
  {
    name: "syncing-counted",
    what: "A read counts the reply of an owner that has not caught up yet.",
    edits: [
      {
        file: "cluster/coordinate-get.ts",
        find: `const isCounted = replica.role === "primary" ? isServing : value !== undefined;`,
        replace: `const isCounted = replica.role === "primary" || value !== undefined;`,
      },
    ],
  },
  {
    name: "sibling-forgotten",
    what: "A merge takes only the first of the entries that are left on one side.",
    edits: [
      {
        file: "causality/siblings.ts",
        find: "  while (j < b.length) merged.push(b[j++]!);",
        replace: "  if (j < b.length) merged.push(b[j++]!);",
      },
    ],
  },
  {
    name: "hint-deleted-early",
    what: "A hint is removed when it is sent, not when it is acknowledged.",
    edits: [
      {
        file: "cluster/hint-replay.ts",
        find: "    const recipients = this.recipientsOf(stored.internalKey);\n",
        replace: `    const recipients = this.recipientsOf(stored.internalKey);
    await hints.remove(this.target, stored);
`,
      },
    ],
  },
  {
    name: "no-write-back",
    what: "A read answers with the merge of what it heard, and leaves the copies as they are.",
    edits: [
      {
        file: "cluster/coordinate-get.ts",
        find: '    if (this.isDifferent) this.repair();\n    else this.finish("");',
        replace: `    this.finish(this.isDifferent ? "done" : "");`,
      },
    ],
  },
];

/** Others, of all layers. */
const FURTHER: readonly PlantedBug[] = [
  {
    name: "segment-name-unsynced",
    what: "A new log segment is listed in the manifest without its name being synced.",
    edits: [
      {
        file: "storage/write-path.ts",
        find: `        await ports.disk.syncDirectorySoon("");
`,
        replace: "",
      },
    ],
  },
  {
    name: "write-back-later",
    what: "A read answers before what it mends is mended.",
    edits: [
      {
        file: "cluster/coordinate-get.ts",
        find: "    this.writeBack(stale, value, needed - holders, deadlineMonoMs);",
        replace: `    this.repairLater(stale, value);
    this.resolve("done");`,
      },
    ],
  },
  {
    name: "collected-by-some",
    what: "A deletion is collected when one other owner agrees, not all.",
    edits: [
      {
        file: "cluster/collection-round.ts",
        find: `      answers.every((verdicts) => verdicts[i] === "equal" || verdicts[i] === "gone"),`,
        replace: `      answers.some((verdicts) => verdicts[i] === "equal" || verdicts[i] === "gone"),`,
      },
    ],
  },
  {
    name: "no-first-phase",
    what: "A deletion is collected without making sure that all owners have it.",
    edits: [
      {
        file: "cluster/collection-round.ts",
        find: `    const agreed = await this.keepAgreed(candidates, (node, some) => this.ensure(node, some));
    const dropped = await this.keepAgreed(agreed, (node, some) => this.ask(node, "drop", some));`,
        replace: `    const dropped = await this.keepAgreed(candidates, (node, some) => this.ask(node, "drop", some));`,
      },
    ],
  },
  {
    name: "no-provenance",
    what: "The floor of collected deletions is compared in milliseconds, and dots are ticks: no state is ever found to be old.",
    edits: [
      {
        file: "causality/provenance.ts",
        find: "  return entry.counterMax <= floor && newLiveCounters",
        replace: "  return entry.counterMax <= floor / 2048 && newLiveCounters",
      },
    ],
  },
  {
    name: "reads-turn-early",
    what: "Reads use the newest layout before everybody has handed over to it.",
    edits: [
      {
        file: "ring/layout-state.ts",
        find: "    return this.trackers.readVersion();",
        replace: "    return this.trackers.newest;",
      },
    ],
  },
  {
    name: "empty-handover",
    what: "A handover pushes only where owners become fewer: && instead of ||.",
    edits: [
      {
        file: "cluster/handover.ts",
        find: "          if (target !== self && (areFewer || !reading.includes(target)))",
        replace: "          if (target !== self && areFewer && !reading.includes(target))",
      },
    ],
  },
  {
    name: "tree-misses-update",
    what: "A Merkle tree takes the old record out only when the key goes.",
    edits: [
      {
        file: "cluster/merkle-index.ts",
        find: "    if (before !== undefined) {",
        replace: "    if (before !== undefined && after === undefined) {",
      },
    ],
  },
  {
    name: "no-manifest-sync",
    what: "A flush removes its log segment after the manifest is written and before it is synced.",
    edits: [
      {
        file: "storage/levels/manifest.ts",
        find: "    this.write(writer.view());\n    await this.sync();\n",
        replace: "    this.write(writer.view());\n",
      },
    ],
  },
  {
    name: "torn-tail-accepted",
    what: "A record of the log is taken for whole when its lengths are right; nobody looks at its checksum.",
    edits: [
      {
        file: "storage/log/log-format.ts",
        find: `  if (readU32(bytes, offset) !== maskChecksum(crc32(bytes.subarray(offset + 4, end))))
    return undefined;
`,
        replace: "",
      },
    ],
  },
  {
    name: "delete-ignores-context",
    what: "A delete removes all that its minter holds, also what its client has never seen.",
    edits: [
      {
        file: "cluster/write-decision.ts",
        find: `  if (context !== undefined) return context;
  if (request.kind === "delete" ||`,
        replace: `  if (context !== undefined && request.kind !== "delete") return context;
  if (request.kind === "delete" ||`,
      },
    ],
  },
  {
    name: "lww-by-arrival",
    what: "Of two writes with one timestamp the replica keeps the one that came first.",
    edits: [
      {
        file: "cluster/replica.ts",
        find: `    const after = bucket.properties.conflicts === "lww" ? collapse(joined) : joined;`,
        replace: `    const isLater = before.length === 0 || maxHlc(incoming) > maxHlc(before);
    const latest = isLater ? collapse(joined) : before;
    const after = bucket.properties.conflicts === "lww" ? latest : joined;`,
      },
    ],
  },
  {
    name: "retry-minted-anew",
    what: "A retry under its Idempotency-Key is refused where it differs from the first attempt, and minted again where it does not.",
    edits: [
      {
        file: "cluster/replica.ts",
        find: "    if (replayed !== undefined) return replayed;",
        replace: `    if (replayed?.kind === "refused") return replayed;`,
      },
    ],
  },
  {
    name: "repair-stops-early",
    what: "An exchange of copies ends after its first page; pages are made small here, because runs have few keys.",
    edits: [
      {
        file: "cluster/range-compare.ts",
        find: "    return isLast ? undefined : next;",
        replace: "    return undefined;",
      },
      {
        file: "cluster/exchange-codec.ts",
        find: "export const HASHES_MAX = 4096;",
        replace: "export const HASHES_MAX = 1;",
      },
    ],
  },
];

export const BUGS: readonly PlantedBug[] = [...ASKED_FOR, ...FURTHER];
