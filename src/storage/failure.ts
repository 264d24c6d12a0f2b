/** What stops a store: any error of its background work becomes one `HutchError`, so that the process ends with the right exit code. */
import { HutchError, messageOf } from "../base/errors.ts";

export function toFailure(error: unknown): HutchError {
  if (error instanceof HutchError && error.code !== "data-corrupt") return error;
  return new HutchError(
    "io-error",
    `Cannot keep the store going: ${messageOf(error)}; the node stops`,
    { cause: error },
  );
}
