/**
 * Is it them or is it me? (Lifeguard, "local health multiplier".) A node whose probes fail without even the helpers answering, or whose own timers
 * come late, is itself the likelier cause. It then gives the others more time: its timeouts are multiplied by 1 + score.
 */
export const HEALTH_SCORE_MAX = 8;

export class LocalHealth {
  /** 0: well. */
  score = 0;

  get factor(): number {
    return 1 + this.score;
  }

  worsen(): void {
    if (this.score < HEALTH_SCORE_MAX) this.score++;
  }

  improve(): void {
    if (this.score > 0) this.score--;
  }
}
