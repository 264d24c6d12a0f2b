/** Chance from the seed: one stream per process life, so that a restarted node does not repeat itself. */
import type { Prng } from "../base/prng.ts";
import type { Random } from "../ports/random.ts";

export class SimRandom implements Random {
  private readonly prng: Prng;

  constructor(prng: Prng) {
    this.prng = prng;
  }

  u32(): number {
    return this.prng.u32();
  }

  bytes(length: number): Uint8Array {
    return this.prng.bytes(length);
  }
}
