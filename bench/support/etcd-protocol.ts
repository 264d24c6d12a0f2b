/** The bytes of requests for etcd's JSON gateway, and what their answers must be; keys and values are those of `src/load/protocol.ts`. */
import {
  KEY_BYTES,
  KEY_TEXT,
  type Protocol,
  WINDOWS,
  noiseWindows,
  patchKey,
} from "../../src/load/protocol.ts";

const KEY_BASE64_BYTES = 16;
const BASE64 = Buffer.from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const scratchKey = Buffer.from(KEY_TEXT);

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
