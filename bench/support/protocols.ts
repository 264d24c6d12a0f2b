/**
 * The bytes of requests, and what their answers must be: hutch's REST and etcd's JSON gateway.
 *
 * A request is a template in which key and value are patched, so building one costs no allocation. A value begins with its key and goes on with one of
 * a few windows of noise that the key chooses: every byte of an answer can be checked.
 *
 *   key     user00000042                      12 bytes, a multiple of 3: its base64 is a piece of the value's base64
 *   value   user00000042 | noise window 42 % 64
 */
import { Prng } from "../../src/base/prng.ts";
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

const KEY_BYTES = 12;
const KEY_DIGITS = 8;
const KEY_BASE64_BYTES = 16;
const WINDOWS = 64;
const DIGIT_0 = 0x30;
const BASE64 = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");

const KEY_TEXT = "user00000000";
const scratchKey = Buffer.from(KEY_TEXT);

/** The digits of `key` into the last eight of the twelve bytes at `at`. */
function patchKey(target: Buffer, at: number, key: number): void {
  let left = key;
  for (let i = at + KEY_BYTES - 1; i >= at + KEY_BYTES - KEY_DIGITS; i--) {
    target[i] = DIGIT_0 + (left % 10);
    left = (left / 10) | 0;
  }
}

function patchKeyBase64(target: Buffer, at: number, key: number): void {
  patchKey(scratchKey, 0, key);
  for (let i = 0, to = at; i < KEY_BYTES; i += 3) {
    const bits = (scratchKey[i]! << 16) | (scratchKey[i + 1]! << 8) | scratchKey[i + 2]!;
    target[to++] = BASE64[bits >>> 18]!;
    target[to++] = BASE64[(bits >>> 12) & 63]!;
    target[to++] = BASE64[(bits >>> 6) & 63]!;
    target[to++] = BASE64[bits & 63]!;
  }
}

function noiseWindows(bytes: number): Buffer[] {
  const prng = new Prng("bench/values");
  return Array.from({ length: WINDOWS }, () => Buffer.from(prng.bytes(bytes)));
}

export function hutchProtocol(bucket: string, valueBytes: number): Protocol {
  const windows = noiseWindows(valueBytes - KEY_BYTES);
  const path = `/v1/kv/${bucket}/`;
  const get = Buffer.from(`GET ${path}${KEY_TEXT} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`);
  const head = `PUT ${path}${KEY_TEXT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${valueBytes}\r\n\r\n`;
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

/** Puts and linearizable ranges (etcd's default) of single keys. */
export function etcdProtocol(valueBytes: number): Protocol {
  const windows = noiseWindows(valueBytes - KEY_BYTES).map((window) =>
    Buffer.from(window.toString("base64")),
  );
  const blank = "A".repeat(KEY_BASE64_BYTES);
  const valueBase64Bytes = KEY_BASE64_BYTES + windows[0]!.length;
  const get = gatewayRequest("range", `{"key":"${blank}"}`);
  const put = gatewayRequest("put", `{"key":"${blank}","value":"${"A".repeat(valueBase64Bytes)}"}`);
  const getKeyAt = get.indexOf(blank);
  const putKeyAt = put.indexOf(blank);
  const valueAt = put.indexOf('"value":"') + '"value":"'.length;
  const expected = Buffer.alloc(valueBase64Bytes);
  return {
    read(key) {
      patchKeyBase64(get, getKeyAt, key);
      return get;
    },
    write(key) {
      patchKeyBase64(put, putKeyAt, key);
      patchKeyBase64(put, valueAt, key);
      windows[key % WINDOWS]!.copy(put, valueAt + KEY_BASE64_BYTES);
      return put;
    },
    // An absent key is 200 without "kvs".
    isPlausible: (answer) => answer.bodyLength > valueBase64Bytes,
    isRight(answer, key) {
      patchKeyBase64(expected, 0, key);
      windows[key % WINDOWS]!.copy(expected, KEY_BASE64_BYTES);
      return answer.body().includes(expected);
    },
  };
}

function gatewayRequest(call: "put" | "range", json: string): Buffer {
  return Buffer.from(
    `POST /v3/kv/${call} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: ${json.length}\r\n\r\n${json}`,
  );
}
