import { expect, test } from "bun:test";
import { bunCipher } from "../../src/bun/cipher.ts";
import { formatKeyFile, KeyRing, parseKeyFile } from "../../src/cluster/key-ring.ts";
import { SENDERS_MAX, ReplayWindow } from "../../src/cluster/replay-window.ts";
import { NONCES_MAX, NonceCache } from "../../src/cluster/nonce-cache.ts";
import { keyOf } from "../support/sealed-pair.ts";

test("Q7: a key file is read as it was written, and what is no key is refused without a byte of it", () => {
  const secrets = [keyOf(1), keyOf(2)];
  expect(parseKeyFile(formatKeyFile(secrets))).toEqual(secrets);
  const secret = keyOf(9).toBase64();
  for (const line of [`${secret}x`, secret.slice(4), "c2hvcnQ="]) {
    expect(() => parseKeyFile(`${line}\n`)).toThrow("key 1 is not the base64 of 32 bytes");
  }
  expect(() => new KeyRing(bunCipher, parseKeyFile("# nothing\n"))).toThrow("there are 0");
  expect(() => new KeyRing(bunCipher, [1, 2, 3, 4].map(keyOf))).toThrow("there are 4");
  expect(() => new KeyRing(bunCipher, [keyOf(1), keyOf(1)])).toThrow("twice");
});

test("Q7: a ring that is set anew keeps the keys that stay and marks those that are gone", () => {
  const ring = new KeyRing(bunCipher, [keyOf(1), keyOf(2)]);
  const [first, second] = [ring.first, ring.find(new KeyRing(bunCipher, [keyOf(2)]).first.id)!];
  ring.set([keyOf(2), keyOf(3)]);
  expect(ring.first).toBe(second);
  expect([first.isRemoved, second.isRemoved]).toEqual([true, false]);
  expect(ring.find(first.id)).toBeUndefined();
});

test("Q6: a replay window agrees with a set of all that was seen", () => {
  const window = new ReplayWindow(1000);
  const seen = new Set<number>();
  let highest = 0;
  let counter = 1_800_000_000_000_000;
  for (let i = 0; i < 20_000; i++) {
    counter += ((i * 7919) % 41) - 19 + (i % 997 === 0 ? 1500 : 0);
    const isTaken = !seen.has(counter) && (highest === 0 || counter > highest - 1024);
    expect(window.note(7, counter, 0)).toBe(isTaken ? "new" : "replayed");
    seen.add(counter);
    highest = Math.max(highest, counter);
  }
});

test("Q6: senders and nonces that are remembered are bounded, and forgotten when they are too old to come again", () => {
  const window = new ReplayWindow(1000);
  for (let sender = 0; sender < SENDERS_MAX; sender++) window.note(sender, 1, 0);
  expect(window.note(SENDERS_MAX, 1, 1000)).toBe("too-many-senders");
  expect(window.note(0, 2, 1000)).toBe("new");
  expect(window.note(SENDERS_MAX, 1, 1001)).toBe("new");
  expect(window.senderCount).toBe(2);
  const nonces = new NonceCache(1000);
  for (let nonce = 0; nonce < NONCES_MAX; nonce++) nonces.note(`${nonce}`, 0);
  expect([nonces.note("0", 1), nonces.note("x", 1), nonces.note("x", 1000)]).toEqual([
    "seen",
    "full",
    "new",
  ]);
});
