/**
 * The bytes of requests, and what their answers must be, for hutch's REST.
 *
 * A request is a template in which key and value are patched, so building one costs no allocation. A value begins with its key and goes on with one of
 * a few windows of noise that the key chooses: every byte of an answer can be checked.
 *
 *   key     user00000042                      12 bytes, a multiple of 3: in base64 it is a piece of its value
 *   value   user00000042 | noise window 42 % 64
 */
import { Prng } from "../base/prng.ts";
import type { ResponseReader } from "./response-reader.ts";

export interface Protocol {
  /** The request; valid until the next call. */
  read(key: number): Buffer;
  write(key: number): Buffer;
  /** A 2xx answer to a read carries a body as long as a value takes. Cheap: asked of every read. */
  isPlausible(answer: ResponseReader): boolean;
  /** The body is the value of the key, byte for byte. Asked of a sample. */
  isRight(answer: ResponseReader, key: number): boolean;
}

export const KEY_BYTES = 12;
const KEY_DIGITS = 8;
export const WINDOWS = 64;
const DIGIT_0 = 0x30;

export const KEY_TEXT = "user00000000";

/** The digits of `key` into the last eight of the twelve bytes at `at`. */
export function patchKey(target: Buffer, at: number, key: number): void {
  let left = key;
  for (let i = at + KEY_BYTES - 1; i >= at + KEY_BYTES - KEY_DIGITS; i--) {
    target[i] = DIGIT_0 + (left % 10);
    left = (left / 10) | 0;
  }
}

export function noiseWindows(bytes: number): Buffer[] {
  const prng = new Prng("bench/values");
  return Array.from({ length: WINDOWS }, () => Buffer.from(prng.bytes(bytes)));
}

/** @param headers for every request, as `Name: value` */
export function hutchProtocol(
  bucket: string,
  valueBytes: number,
  headers: readonly string[] = [],
): Protocol {
  const windows = noiseWindows(valueBytes - KEY_BYTES);
  const path = `/v1/kv/${bucket}/`;
  const common = ["Host: 127.0.0.1", ...headers].join("\r\n");
  const get = Buffer.from(`GET ${path}${KEY_TEXT} HTTP/1.1\r\n${common}\r\n\r\n`);
  const head = `PUT ${path}${KEY_TEXT} HTTP/1.1\r\n${common}\r\nContent-Length: ${valueBytes}\r\n\r\n`;
  const put = Buffer.concat([Buffer.from(head), Buffer.alloc(valueBytes)]);
  const keyAt = "GET ".length + path.length;
  put.write(KEY_TEXT, head.length);
  const expected = Buffer.from(put.subarray(head.length));
  return {
    read(key) {
      patchKey(get, keyAt, key);
      return get;
    },
    write(key) {
      patchKey(put, keyAt, key);
      patchKey(put, head.length, key);
      windows[key % WINDOWS]!.copy(put, head.length + KEY_BYTES);
      return put;
    },
    isPlausible: (answer) => answer.bodyLength === valueBytes,
    isRight(answer, key) {
      patchKey(expected, 0, key);
      windows[key % WINDOWS]!.copy(expected, KEY_BYTES);
      return expected.equals(answer.body());
    },
  };
}
