/** How close the process is to the end of its memory. */
export interface MemoryPressure {
  /** New bodies should be refused. */
  readonly isOver: boolean;
}
