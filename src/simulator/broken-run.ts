/** Something did not come to be that has to, or a node ended that must not. */
export class BrokenRun extends Error {
  override readonly name = "BrokenRun";
  /** In short, equal for runs that are broken in the same way. */
  readonly what: string;

  /** What is known of it. */
  readonly how: string;

  /** @param words the end of the logs */
  constructor(what: string, how: string, words: string) {
    super(`${what}${how === "" ? "" : ": "}${how}\n${words}`);
    this.what = what;
    this.how = how;
  }
}
