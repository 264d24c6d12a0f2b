/**
 * Runs tasks side by side, at most so many at once, but those of one key one after the other and in the order given.
 *
 *   a1 b1 a2 c1   with room for 2:   a1 ----> a2 -->
 *                                    b1 -> c1 ---->
 */
export class KeyLanes {
  readonly #runningMax: number;
  /** The last task of each key that has one under way. */
  readonly #lanes = new Map<string, Promise<void>>();
  #running = 0;
  #wake: (() => void) | undefined = undefined;

  constructor(runningMax: number) {
    this.#runningMax = runningMax;
  }

  /**
   * Settles when the task has a place, not when it is done. One caller at a time.
   *
   * @param task must not reject
   */
  async add(key: string, task: () => Promise<void>): Promise<void> {
    while (this.#running >= this.#runningMax) await this.#oneLess();
    this.#running++;
    const before = this.#lanes.get(key);
    const lane = (before === undefined ? task() : before.then(task)).then(() => {
      if (this.#lanes.get(key) === lane) this.#lanes.delete(key);
      this.#running--;
      this.#wake?.();
    });
    this.#lanes.set(key, lane);
  }

  /** Settles when all tasks are done. */
  async drained(): Promise<void> {
    while (this.#running > 0) await this.#oneLess();
  }

  #oneLess(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}
