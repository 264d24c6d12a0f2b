/** How many hints are held for whom: kept in memory, made from the store at start, moved with each batch (R29). */
import type { NodeId } from "../gossip/member.ts";

/** One target's. An account stays when it is empty: there are as many as nodes that ever had a hint here. */
export class HintAccount {
  count = 0;
  /** Keys and values. */
  bytes = 0;
  /** No hint was stored before it, Unix ms; `Infinity` with none. */
  oldestMs = Infinity;
  /** No hint was stored after it, Unix ms; 0 with none. */
  newestMs = 0;
  /** Is a hint of `oldestMs` known to be there still? Removing one makes it a bound until the next sweep. */
  isOldestExact = true;
  /** When it was last swept. */
  sweptMonoMs = -Infinity;
  /** Hints stored since the start; whoever sees it stand still knows that nobody adds. */
  additions = 0;
  /** Moves on when the account is closed: what was under way then must not be undone in the next. */
  era = 0;
}

export class HintAccounts {
  private readonly accounts = new Map<NodeId, HintAccount>();
  totalCount = 0;
  totalBytes = 0;

  of(target: NodeId): HintAccount {
    let account = this.accounts.get(target);
    if (account === undefined) this.accounts.set(target, (account = new HintAccount()));
    return account;
  }

  /** Who has hints here. */
  targets(): NodeId[] {
    const held: NodeId[] = [];
    for (const [target, { count }] of this.accounts) if (count > 0) held.push(target);
    return held;
  }

  /** No hint of anybody was stored after it. */
  get newestMs(): number {
    let newestMs = 0;
    for (const account of this.accounts.values()) newestMs = Math.max(newestMs, account.newestMs);
    return newestMs;
  }

  /** @returns what takes it back, if the batch is taken back */
  stored(account: HintAccount, count: number, bytes: number, storedAtMs: number): () => void {
    const undo = this.undoOf(account, count, bytes);
    this.change(account, count, bytes);
    account.additions++;
    account.oldestMs = Math.min(account.oldestMs, storedAtMs);
    account.newestMs = Math.max(account.newestMs, storedAtMs);
    return undo;
  }

  /** @returns what takes it back, if the batch is taken back */
  removed(account: HintAccount, bytes: number): () => void {
    // Damage at the start may have hidden it from the count.
    const counted = Math.min(1, account.count);
    const undo = this.undoOf(account, -counted, -bytes * counted);
    this.change(account, -counted, -bytes * counted);
    account.isOldestExact = account.count === 0;
    return undo;
  }

  private undoOf(account: HintAccount, count: number, bytes: number): () => void {
    const { oldestMs } = account;
    let { era } = account;
    return () => {
      if (era !== account.era) return;
      era = -1;
      this.change(account, -count, -bytes);
      account.isOldestExact = account.count === 0;
      if (account.count > 0) account.oldestMs = Math.min(account.oldestMs, oldestMs);
    };
  }

  /** The store holds nothing for this target. */
  reset(account: HintAccount): void {
    this.change(account, -account.count, -account.bytes);
    account.era++;
  }

  private change(account: HintAccount, count: number, bytes: number): void {
    account.count += count;
    account.bytes += bytes;
    this.totalCount += count;
    this.totalBytes += bytes;
    if (account.count > 0) return;
    account.oldestMs = Infinity;
    account.newestMs = 0;
    account.isOldestExact = true;
  }
}
