/** A record holds every sibling of its key: what storage cannot hold is refused before it is written. */
import { expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import { utf8 } from "../../src/base/bytes.ts";
import { VALUE_BYTES_MAX } from "../../src/storage/store.ts";
import { OneNode } from "../support/one-node.ts";

const LARGE_BYTES = 14 * 1024 * 1024;
const FITTING = Math.floor(VALUE_BYTES_MAX / LARGE_BYTES);

test("R14: siblings that outgrow a record are 409, nothing is written, and what was acknowledged is flushed and found again", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("large", "put", {
    blindPut: "sibling",
    valueBytesMax: 16 * 1024 * 1024,
  });
  const write = (i: number) =>
    node.put("k", "", { value: new Uint8Array(LARGE_BYTES).fill(i) }, "large");
  for (let i = 1; i <= FITTING; i++) await write(i);
  const refused = await write(FITTING + 1).catch((error: unknown) => error);
  expect((refused as HutchError).code).toBe("too-many-siblings");
  await node.opened.store.flush();
  expect(node.opened.store.failure).toBeUndefined();
  const again = await node.restart();
  const state = await again.get("k", {}, "large");
  expect(state.siblings.map(({ value }) => `${value.length} x ${value[0]}`).sort()).toEqual(
    Array.from({ length: FITTING }, (_, i) => `${LARGE_BYTES} x ${i + 1}`),
  );
  await again.close();
}, 60_000);

test("a value of the largest size, 16 MiB, is stored, flushed and read back", async () => {
  const node = await OneNode.start();
  await node.coordinator.setBucket("large", "put", { valueBytesMax: 16 * 1024 * 1024 });
  const value = new Uint8Array(16 * 1024 * 1024).fill(7);
  await node.put("k", "", { value }, "large");
  await node.opened.store.flush();
  const state = await node.get("k", {}, "large");
  expect(Buffer.compare(state.siblings[0]!.value, value)).toBe(0);
  expect(node.opened.store.get(utf8("none"))).toBeUndefined();
  await node.close();
}, 60_000);
