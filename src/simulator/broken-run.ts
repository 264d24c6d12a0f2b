/** Something did not come to be that has to, or a node ended that must not. */
export class BrokenRun extends Error {
  override readonly name = "BrokenRun";
  /** In short, equal for runs that are broken in the same way. */
  readonly what: string;

  constructor(what: string, message: string) {
    super(message);
    this.what = what;
  }
}
