/**
 * sfc32 (Chris Doty-Humphrey's Small Fast Counting generator, 32 bit): the pseudo-random numbers of the simulator,
 * of jitter and of tests. Not for secrets. `fork(label)` gives an independent stream, so that drawing more
 * from one never shifts another.
 */
export class Prng {
  private a: number;
  private b: number;
  private c: number;
  private counter: number;
  private readonly seed: string;

  constructor(seed: number | string) {
    this.seed = String(seed);
    let h = 0x811c9dc5;
    const words: number[] = [];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < this.seed.length; i++)
        h = Math.imul(h ^ this.seed.charCodeAt(i), 0x01000193);
      h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
      h = Math.imul(h ^ (h >>> 12), 0x297a2d39) ^ round;
      words.push(h | 0);
    }
    this.a = words[0]!;
    this.b = words[1]!;
    this.c = words[2]!;
    this.counter = 1;
    for (let i = 0; i < 12; i++) this.u32();
  }

  /** An independent generator for `label`. */
  fork(label: string): Prng {
    return new Prng(`${this.seed}/${label}`);
  }

  /** Uniform in 0..2^32-1. */
  u32(): number {
    const t = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = ((this.c << 21) | (this.c >>> 11)) + t;
    this.c |= 0;
    return t >>> 0;
  }

  /** Uniform in [0, 1). */
  float(): number {
    return this.u32() / 4294967296;
  }

  /** Uniform integer in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.float() * bound);
  }

  /** Uniform integer in [from, to], both included. */
  between(from: number, to: number): number {
    return from + this.below(to - from + 1);
  }

  chance(probability: number): boolean {
    return this.float() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new RangeError("Cannot pick from an empty list");
    return item;
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    for (let i = 0; i < length; i++) bytes[i] = this.u32() >>> 24;
    return bytes;
  }
}
