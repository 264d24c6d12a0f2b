/** What stops a store: any error of its background work becomes one `HutchError`, so that the process ends with the right exit code. */
import { HutchError, messageOf } from "../base/errors.ts";
import { DiskError } from "../ports/disk.ts";

export function toFailure(error: unknown): HutchError {
  if (error instanceof HutchError && error.code !== "data-corrupt") return error;
  return new HutchError(
    "io-error",
    `Cannot keep the store going: ${messageOf(error)}; the node stops`,
    { cause: error },
  );
}

/** No space or no descriptors: there may be some again in a while. */
export function isPassing(error: unknown): boolean {
  return (
    error instanceof DiskError && (error.kind === "no-space" || error.kind === "too-many-files")
  );
}
