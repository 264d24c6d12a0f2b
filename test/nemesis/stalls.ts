/** When this process itself did not get its time: what it measured meanwhile says nothing about others. */

const BEAT_MS = 50;
const LATE_MS = 200;

interface Stall {
  readonly fromMs: number;
  readonly toMs: number;
}

export class StallWatch {
  readonly stalls: Stall[] = [];
  private readonly nowMs: () => number;
  private timer: NodeJS.Timeout | undefined;
  private lastMs = 0;

  constructor(nowMs: () => number) {
    this.nowMs = nowMs;
  }

  get longestMs(): number {
    return Math.max(0, ...this.stalls.map(({ fromMs, toMs }) => toMs - fromMs));
  }

  start(): void {
    this.lastMs = this.nowMs();
    this.timer = setInterval(() => this.beat(), BEAT_MS);
  }

  stop(): void {
    clearInterval(this.timer);
  }

  /** At any time since `sinceMs`, or now: the beat may be late itself. */
  wasStalled(sinceMs: number): boolean {
    if (this.timer !== undefined) this.beat();
    return this.stalls.some(({ toMs }) => toMs >= sinceMs);
  }

  private beat(): void {
    const nowMs = this.nowMs();
    if (nowMs - this.lastMs > BEAT_MS + LATE_MS)
      this.stalls.push({ fromMs: this.lastMs, toMs: nowMs });
    this.lastMs = nowMs;
  }
}
