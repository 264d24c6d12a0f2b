/** How many reads may ask one replica more than they need (N5): a share of all reads, saved up to a few at once. */

const SHARE = 0.05;
const SAVED_MAX = 10;

export class HedgeBudget {
  private saved = SAVED_MAX;

  /** A read has begun. */
  earn(): void {
    this.saved = Math.min(SAVED_MAX, this.saved + SHARE);
  }

  take(): boolean {
    if (this.saved < 1) return false;
    this.saved--;
    return true;
  }
}
