/**
 * The fingerprint of a run: FNV-1a in two 32-bit lanes over everything that happened, in order. Two runs of one seed must
 * agree on it; where they do not, the checkpoints say between which events they parted.
 */
const PRIME = 0x01000193;
const CHECKPOINT_EVENTS = 1000;
/** Ten million events; later ones are hashed but leave no checkpoint. */
const CHECKPOINTS_MAX = 10_000;

export class TraceHash {
  /** The digest after every 1,000th event. */
  readonly checkpoints: string[] = [];
  eventCount = 0;
  private low = 0x811c9dc5;
  private high = 0x9e3779b9;

  /** Adds one event. */
  add(text: string): void {
    for (let i = 0; i < text.length; i++) this.mix(text.charCodeAt(i));
    this.mix(0x1ffff);
    this.eventCount++;
    if (this.eventCount % CHECKPOINT_EVENTS === 0 && this.checkpoints.length < CHECKPOINTS_MAX) {
      this.checkpoints.push(this.digest());
    }
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    const hex = (lane: number): string => (lane >>> 0).toString(16).padStart(8, "0");
    return hex(this.high) + hex(this.low);
  }

  private mix(word: number): void {
    this.low = Math.imul(this.low ^ word, PRIME);
    // Rotated as well, so that the lanes do not collide together.
    this.high = Math.imul(((this.high << 13) | (this.high >>> 19)) ^ word, PRIME);
  }
}
