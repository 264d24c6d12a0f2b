/**
 * Counts operations under way by *epoch*, so that somebody can wait for those that began before a moment without waiting for later ones.
 *
 * Each wait closes the present epoch; an epoch is over when it is closed and nothing of it or of an earlier one is under way. Operations have deadlines,
 * so every wait ends.
 */
interface Epoch {
  count: number;
  /** Settled when this epoch and all before it are over. */
  readonly over: PromiseWithResolvers<void>;
}

export class OperationEpochs {
  /** The oldest first; the last one is open. One more for each wait that has not ended. */
  private readonly epochs: Epoch[] = [newEpoch()];

  /** @returns what to give to `leave` */
  enter(): Epoch {
    const epoch = this.epochs.at(-1)!; // one is always open
    epoch.count++;
    return epoch;
  }

  leave(epoch: Epoch): void {
    epoch.count--;
    if (epoch.count === 0) this.settle();
  }

  /** Settles when nothing is under way that has entered before this call. */
  olderEnded(): Promise<void> {
    const closed = this.epochs.at(-1)!; // one is always open
    this.epochs.push(newEpoch());
    this.settle();
    return closed.over.promise;
  }

  private settle(): void {
    while (this.epochs.length > 1 && this.epochs[0]!.count === 0)
      this.epochs.shift()!.over.resolve();
  }
}

function newEpoch(): Epoch {
  return { count: 0, over: Promise.withResolvers<void>() };
}
