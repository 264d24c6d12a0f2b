/** From an errno of the kernel to the kinds of `DiskError`. */
import { DiskError, type DiskErrorKind } from "../ports/disk.ts";

const KIND_OF_ERRNO: Readonly<Record<string, DiskErrorKind>> = {
  ENOENT: "not-found",
  EEXIST: "exists",
  ENOSPC: "no-space",
  EDQUOT: "no-space",
  EROFS: "read-only",
  EACCES: "permission",
  EPERM: "permission",
  ELOOP: "permission",
  EMFILE: "too-many-files",
  ENFILE: "too-many-files",
};

/** What `thrown` by a call of `node:fs` means; `action` is a verb: "open", "append to". */
export function diskErrorOf(action: string, path: string, thrown: unknown): DiskError {
  if (thrown instanceof DiskError) return thrown;
  const errno = errnoOf(thrown);
  const kind = KIND_OF_ERRNO[errno] ?? "io";
  const reason = errno === "ELOOP" ? "it is a symbolic link" : errno;
  return new DiskError(kind, path, `Cannot ${action} "${path}": ${reason}`, thrown);
}

/** Runs one file system call; what it throws arrives as a `DiskError`. */
export function calling<T>(action: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw diskErrorOf(action, path, thrown);
  }
}

function errnoOf(thrown: unknown): string {
  const code = (thrown as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : String(thrown);
}
