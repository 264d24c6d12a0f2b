/**
 * Thrown into code whose node has just died: the power went, or a read of a map hit a bad sector (SIGBUS).
 *
 * No real program ever sees it. A harness catches it where it would see the process gone, and goes on with
 * `powerLoss()` or `kill()`; whatever the dead code still tries to do with its disk throws it again.
 */
export class SimCrash extends Error {
  override readonly name = "SimCrash";
}
