/** Time. The only way that anything outside `src/bun` learns what time it is or waits. */
export interface Clock {
  /** Unix time in milliseconds; may jump in both directions. For HLC, expiry and people. */
  wallMs(): number;
  /** Milliseconds since some instant in the past, fractional; never goes back. For durations and deadlines. */
  monoMs(): number;
  /** Runs `callback` once, `delayMs` from now (0 = in a later turn). */
  after(delayMs: number, callback: () => void): Timer;
  /** Settles `delayMs` from now. */
  sleep(delayMs: number): Promise<void>;
}

export interface Timer {
  /** The callback will not run; harmless when it already has. */
  cancel(): void;
}
