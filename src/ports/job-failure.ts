/**
 * How a thrown error crosses the border of a worker: structured clone keeps neither the class nor the own fields of an
 * error, so it travels as plain data and is built again on the other side.
 */
import {
  CorruptionError,
  type ErrorCode,
  HutchError,
  messageOf,
  type Retry,
} from "../base/errors.ts";
import { DiskError, type DiskErrorKind } from "./disk.ts";

export interface JobFailure {
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
  readonly kind?: DiskErrorKind;
  readonly path?: string;
  readonly code?: ErrorCode;
  readonly retry?: Retry;
  readonly data?: Readonly<Record<string, unknown>>;
  readonly file?: string;
  readonly offset?: number;
}

/** Plain data that `rebuildError` understands. */
export function describeError(thrown: unknown): JobFailure {
  if (!(thrown instanceof Error)) return { name: "Error", message: messageOf(thrown) };
  const { name, message, stack } = thrown;
  const base = { name, message, stack };
  if (thrown instanceof DiskError) return { ...base, kind: thrown.kind, path: thrown.path };
  if (!(thrown instanceof HutchError)) return base;
  const { code, retry, data } = thrown;
  if (!(thrown instanceof CorruptionError)) return { ...base, code, retry, data };
  return { ...base, code, retry, data, file: thrown.file, offset: thrown.offset };
}

/** An error of the class that was thrown, as far as a caller handles that class differently. */
export function rebuildError(failure: JobFailure): Error {
  const error = errorFrom(failure);
  if (failure.stack !== undefined) error.stack = failure.stack;
  return error;
}

function errorFrom(failure: JobFailure): Error {
  const { name, message, kind, code } = failure;
  if (kind !== undefined) return new DiskError(kind, failure.path ?? "", message);
  if (failure.file !== undefined) {
    return new CorruptionError(message, failure.file, failure.offset ?? -1);
  }
  if (code !== undefined) {
    return new HutchError(code, message, {
      retry: failure.retry ?? "no",
      data: failure.data ?? {},
    });
  }
  return Object.defineProperty(new Error(message), "name", { value: name });
}
