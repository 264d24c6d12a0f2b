/** Chance. Real: the operating system's generator. Simulated: a stream of the seed. */
export interface Random {
  /** Uniform in 0..2^32-1. */
  u32(): number;
  /** `length` random bytes, good enough for secrets in the real world. */
  bytes(length: number): Uint8Array;
}
