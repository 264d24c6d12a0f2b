/** What stands between a node and strangers: greetings and messages under the cluster's key, the file of keys, the file of tokens. */
import fc from "fast-check";
import { EMPTY_BYTES, utf8 } from "../../src/base/bytes.ts";
import { ByteReader } from "../../src/base/byte-reader.ts";
import { HutchError } from "../../src/base/errors.ts";
import { bunCipher } from "../../src/bun/cipher.ts";
import { formatKeyFile, KeyRing, parseKeyFile } from "../../src/cluster/key-ring.ts";
import * as greeting from "../../src/cluster/link-greeting.ts";
import {
  ENVELOPE_BYTES,
  SealedDatagrams,
  type SealParts,
} from "../../src/cluster/sealed-datagrams.ts";
import { SealedLink } from "../../src/cluster/sealed-link.ts";
import { SealedTransport } from "../../src/cluster/sealed-transport.ts";
import { parseTokenFile, showTokenFile, type TokenEntry } from "../../src/http/token-file.ts";
import { TokenTable } from "../../src/http/token-table.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { SEAL_NONCE_BYTES, SEAL_TAG_BYTES } from "../../src/ports/cipher.ts";
import {
  type AcceptedLink,
  type Link,
  LinkRefusedError,
  type RefusedLink,
  type Transport,
} from "../../src/ports/transport.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { KeptDatagrams, keyOf } from "../support/sealed-pair.ts";
import { type Decoder, decoder, encoded, isBeginning, REFUSED, settled } from "./decoder.ts";

const bytes = fc.uint8Array({ maxLength: 40 });
const nonce = fc.uint8Array({ minLength: 16, maxLength: 16 });
const CLOCK = new ManualClock();
const RING = new KeyRing(bunCipher, [keyOf(1), keyOf(2)]);
const CLUSTER_NAME = "hutch";
const ADDRESS = "127.0.0.1:7101";
const HELLO = utf8("hello");

/** The same in all runs, but for `chance`: what two ends draw is not the same. */
const partsWith = (chance: number): SealParts => ({
  cipher: bunCipher,
  ring: RING,
  clock: CLOCK,
  random: { u32: () => chance, bytes: (length) => new Uint8Array(length).fill(chance) },
  logger: silentLogger,
  clusterName: CLUSTER_NAME,
});

// Links.

const deadLink: Link = {
  bufferedBytes: 0,
  isOpen: true,
  send: () => undefined,
  close: () => undefined,
};
const nobody = { message: () => undefined, ended: () => undefined };

type Accept = Parameters<Transport["onConnect"]>[0];

/** What a node makes of somebody who opens a link with `input`. */
function openedBy(input: Uint8Array): AcceptedLink | RefusedLink {
  let accept: Accept | undefined;
  const inner = { onConnect: (given: Accept) => (accept = given) } as unknown as Transport; // nothing else is asked
  const transport = new SealedTransport(inner, { ...partsWith(3), addresses: [ADDRESS] });
  transport.onConnect((hello) => ({ kind: "accepted", hello: hello.slice(), open: () => nobody }));
  return accept!(input, "127.0.0.1:1", undefined);
}

const opening = (keyIndex: number, ownNonce: Uint8Array, hello: Uint8Array): Uint8Array => {
  const ring = new KeyRing(bunCipher, [keyOf(1 + keyIndex)]);
  const unsigned = { keyId: ring.first.id, sentMs: CLOCK.wallMs(), nonce: ownNonce, hello };
  const greeter = new greeting.LinkGreeter(bunCipher, ring.first);
  const mac = greeter.macOfOpening(unsigned, { clusterName: CLUSTER_NAME, address: ADDRESS });
  return greeting.encodeOpening({ ...unsigned, mac });
};

/** With the mac that belongs to it, where it has one. */
function signedOpening(damaged: Uint8Array): Uint8Array {
  const read = greeting.decodeOpening(damaged);
  const key = read && RING.find(read.keyId);
  if (read === undefined || key === undefined) return damaged;
  const greeter = new greeting.LinkGreeter(bunCipher, key);
  const mac = greeter.macOfOpening(read, { clusterName: CLUSTER_NAME, address: ADDRESS });
  return greeting.encodeOpening({ ...read, mac });
}

const OPENER = partsWith(5);
const OPENING_MAC = new greeting.LinkGreeter(bunCipher, RING.first).macOfOpening(
  { keyId: RING.first.id, sentMs: CLOCK.wallMs(), nonce: OPENER.random.bytes(16), hello: HELLO },
  { clusterName: CLUSTER_NAME, address: ADDRESS },
);

function answering(ownNonce: Uint8Array, hello: Uint8Array): Uint8Array {
  const greeter = new greeting.LinkGreeter(bunCipher, RING.first);
  const mac = greeter.macOfAnswer(OPENING_MAC, ownNonce, hello);
  return greeting.encodeAnswering({ nonce: ownNonce, mac, hello });
}

/** The hello of whoever answers the same opening with `input`. */
function answeredBy(input: Uint8Array): Uint8Array | typeof REFUSED {
  const connect: Transport["connect"] = (_to, _hello, _timeoutMs, open) => {
    open(deadLink);
    return Promise.resolve(input);
  };
  const inner = { connect } as unknown as Transport; // nothing else is asked
  const transport = new SealedTransport(inner, { ...OPENER, addresses: [] });
  try {
    return settled(transport.connect(ADDRESS, HELLO, 1000, () => nobody));
  } catch (thrown) {
    if (thrown instanceof LinkRefusedError) return REFUSED;
    throw thrown;
  }
}

const SESSION_BYTES = 4;

const keyOfSession = (session: Uint8Array): Uint8Array => bunCipher.mac(keyOf(7), session);

function nonceOf(count: number): Uint8Array {
  const counted = new Uint8Array(SEAL_NONCE_BYTES);
  new DataView(counted.buffer).setUint32(4, count, true);
  return counted;
}

/** What was said in one session: its number, then each message with its length in front. */
const session = fc
  .tuple(
    fc.uint8Array({ minLength: SESSION_BYTES, maxLength: SESSION_BYTES }),
    fc.array(bytes, { maxLength: 4 }),
  )
  .map(([number, messages]) =>
    encoded((writer) => {
      const key = keyOfSession(number);
      writer.raw(number);
      for (const [count, message] of messages.entries())
        writer.bytes(bunCipher.seal(key, nonceOf(count), EMPTY_BYTES, message));
    }),
  );

/** What the owner of a link hears of it. */
function heardOf(input: Uint8Array): Uint8Array[] {
  const heard: Uint8Array[] = [];
  let isOpen = true;
  const inner: Link = {
    ...deadLink,
    get isOpen() {
      return isOpen;
    },
    close: () => (isOpen = false),
  };
  const reader = new ByteReader(input);
  const incoming = keyOfSession(reader.raw(SESSION_BYTES));
  const keys = { cipher: bunCipher, clusterKey: RING.first, outgoing: keyOf(8), incoming };
  const message = (plain: Uint8Array): void => void heard.push(plain.slice());
  const arriving = new SealedLink(inner, keys).begin(() => ({ ...nobody, message }));
  while (reader.remaining > 0) arriving.message(reader.view());
  return heard;
}

const links: readonly Decoder[] = [
  decoder({
    name: "opening of a sealed link",
    covers: ["cluster/link-greeting.ts decodeOpening", "cluster/sealed-transport.ts #meet"],
    valid: fc.tuple(fc.nat(1), nonce, bytes).map((parts) => opening(...parts)),
    decode: (input) => {
      const met = openedBy(input);
      if (met.kind === "refused") return REFUSED;
      const { keyId, sentMs, nonce: ownNonce, hello } = greeting.decodeOpening(input)!; // it was accepted
      return { keyId, sentMs, ownNonce, hello };
    },
    refusals: [],
    sealed: "whole",
    reseal: signedOpening,
  }),
  decoder({
    name: "answer of a sealed link",
    covers: ["cluster/link-greeting.ts decodeAnswering", "cluster/sealed-transport.ts connect"],
    valid: fc.tuple(nonce, bytes).map((parts) => answering(...parts)),
    decode: answeredBy,
    refusals: [],
    sealed: "whole",
    reseal: (damaged) => {
      const read = greeting.decodeAnswering(damaged);
      return read === undefined ? damaged : answering(read.nonce, read.hello);
    },
  }),
  decoder({
    name: "messages of a sealed link",
    covers: ["cluster/sealed-link.ts received"],
    valid: session,
    decode: heardOf,
    refusals: ["decode"],
    // What is cut off, left out, repeated or moved ends the link; what came before was said.
    sealed: (origin, value) => isBeginning(heardOf(origin), value),
  }),
];

// Datagrams.

const TIME_BYTES = 4;
const SEALED_AT = ENVELOPE_BYTES - TIME_BYTES - SEAL_TAG_BYTES;

function sealedDatagram(chance: number, plain: Uint8Array): Uint8Array {
  const wire = new KeptDatagrams();
  new SealedDatagrams(wire, partsWith(chance)).send(ADDRESS, plain);
  return wire.sent[0]!;
}

function datagramIn(input: Uint8Array): Uint8Array | typeof REFUSED {
  const wire = new KeptDatagrams();
  const heard: Uint8Array[] = [];
  const end = new SealedDatagrams(wire, partsWith(2));
  end.onReceive((plain) => heard.push(plain.slice()));
  wire.arrive(input, ADDRESS);
  // Whoever sends it again is not heard again.
  wire.arrive(input, ADDRESS);
  if (heard.length > 1) throw new Error("it is taken twice");
  return heard[0] ?? REFUSED;
}

/** Somebody with the key seals what is where the sealed bytes are. */
function resealedDatagram(damaged: Uint8Array): Uint8Array {
  if (damaged.length < SEALED_AT) return damaged;
  const head = damaged.slice(0, SEALED_AT);
  const key = RING.find(new DataView(head.buffer).getUint32(1, true)) ?? RING.first;
  new DataView(head.buffer).setUint32(1, key.id, true);
  const [ownNonce, named] = [head.subarray(5), [head.subarray(0, 5), utf8(CLUSTER_NAME)]];
  const plain = damaged.slice(SEALED_AT);
  if (plain.length >= TIME_BYTES && (plain[0]! & 1) === 0)
    new DataView(plain.buffer).setUint32(0, Math.floor(CLOCK.wallMs() / 1000), true);
  return Buffer.concat([
    head,
    bunCipher.seal(key.datagrams, ownNonce, Buffer.concat(named), plain),
  ]);
}

const datagrams: readonly Decoder[] = [
  decoder({
    name: "sealed datagram",
    covers: ["cluster/sealed-datagrams.ts #open"],
    valid: fc.tuple(fc.integer({ min: 10, max: 99 }), bytes).map((two) => sealedDatagram(...two)),
    decode: datagramIn,
    refusals: [],
    sealed: "whole",
    reseal: resealedDatagram,
  }),
];

// Files.

const textOf = (input: Uint8Array): string => Buffer.from(input).toString("utf8");

/** Runs `read`; a refusal tells nothing of what `secret` finds in `text`. */
function keepingSecrets<T>(text: string, secret: RegExp, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    const message = thrown instanceof HutchError ? thrown.message : "";
    if (text.match(secret)?.some((found) => message.includes(found)))
      throw new Error(`it tells a secret: ${message}`, { cause: thrown });
    throw thrown;
  }
}

const secrets = fc.uniqueArray(fc.uint8Array({ minLength: 32, maxLength: 32 }), {
  minLength: 1,
  maxLength: 3,
  selector: (secret) => secret.join(),
});

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((some) => some.toHex());
const scope = fc.record(
  { bucket: fc.constantFrom("demo", "users"), prefix: fc.string({ maxLength: 6 }) },
  { requiredKeys: ["bucket"] },
);
const token: fc.Arbitrary<TokenEntry> = fc.record(
  {
    id: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,8}$/),
    sha256: digest,
    roles: fc.constantFrom(["read" as const], ["read" as const, "write" as const]),
    scopes: fc.array(scope, { minLength: 1, maxLength: 3 }),
    expiresAt: fc.constantFrom("2027-01-01T00:00:00Z", "2030-06-05T04:03:02.001+01:00"),
    requestsPerSecond: fc.integer({ min: 1, max: 1000 }),
  },
  { requiredKeys: ["id", "sha256", "roles"] },
);
const tokens = fc.uniqueArray(token, { maxLength: 4, selector: ({ id }) => id });

const files: readonly Decoder[] = [
  decoder({
    name: "file of keys",
    covers: ["cluster/key-ring.ts parseKeyFile", "cluster/key-ring.ts KeyRing"],
    valid: secrets.map((some) => utf8(formatKeyFile(some))),
    decode: (input) => {
      const text = textOf(input);
      return keepingSecrets(text, /[A-Za-z0-9+/]{12,}/g, () => {
        const parsed = parseKeyFile(text);
        new KeyRing(bunCipher, parsed);
        return parsed;
      });
    },
    encode: (parsed: Uint8Array[]) => utf8(formatKeyFile(parsed)),
    refusals: ["bad-config"],
  }),
  decoder({
    name: "file of tokens",
    covers: ["http/token-file.ts parseTokenFile", "http/token-table.ts TokenTable"],
    valid: tokens.map((some) => utf8(showTokenFile(some))),
    decode: (input) => {
      const text = textOf(input);
      return keepingSecrets(text, /[0-9a-f]{16,}/g, () => {
        const parsed = parseTokenFile(text);
        const table = new TokenTable(parsed);
        for (const { sha256 } of parsed)
          if (table.find(Uint8Array.fromHex(sha256)) === undefined)
            throw new Error("a token is not found by its digest");
        return parsed;
      });
    },
    encode: (parsed: TokenEntry[]) => utf8(showTokenFile(parsed)),
    refusals: ["bad-config"],
  }),
];

export const SEALED_DECODERS: readonly Decoder[] = [...links, ...datagrams, ...files];
