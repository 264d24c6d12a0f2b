import { expect, test } from "bun:test";
import fc from "fast-check";
import { base64url } from "../../src/base/bytes.ts";
import { joinActor } from "../../src/causality/actor.ts";
import { ContextTokens } from "../../src/causality/context-token.ts";
import {
  EMPTY_SESSION,
  SESSION_KEYS_MAX,
  type Session,
  SessionTokens,
  remember,
  satisfies,
  seenOf,
} from "../../src/causality/session-token.ts";
import { type Siblings, append } from "../../src/causality/siblings.ts";

const CLUSTER = new Uint8Array(16).fill(7);
const SECRET = new Uint8Array(16).fill(9);
const tokens = new SessionTokens(CLUSTER, SECRET);
const ME = joinActor("00000000000000a1", 1);
const OTHER = joinActor("00000000000000b2", 1);
const key = (n: number) => ({ hashLow: n, hashHigh: n * 7 });
const NEVER: Siblings<string> = [];

test("R7: a session remembers what was seen of each key, the latest first, and survives its token", () => {
  let session: Session = EMPTY_SESSION;
  for (let n = 0; n < 10; n++)
    session = remember(session, key(n), append(NEVER, n % 2 ? ME : OTHER, 100 + n, "v"));
  session = remember(session, key(3), append(NEVER, ME, 500, "w"));
  expect(session.keys[0]).toEqual({ ...key(3), dots: [{ actor: ME, counter: 500 }] });
  expect(session.keys.length).toBe(10);
  expect(tokens.decode(tokens.encode(session))).toEqual(session);
});

test("R7: a state satisfies a session when it covers the dots seen, by value or by supersession", () => {
  const seen = seenOf(
    remember(EMPTY_SESSION, key(1), append(append(NEVER, ME, 5, "v"), OTHER, 9, "w")),
    key(1),
  )!;
  expect(satisfies(append(NEVER, ME, 5, "v"), seen)).toBe(false);
  expect(
    satisfies(
      [
        { actor: ME, counterMax: 6, values: [] },
        { actor: OTHER, counterMax: 9, values: [] },
      ],
      seen,
    ),
  ).toBe(true);
  expect(satisfies(NEVER, seen)).toBe(false);
});

test("R7: beyond 64 keys the oldest is forgotten and the floor raised to it", () => {
  let session: Session = EMPTY_SESSION;
  for (let n = 0; n <= SESSION_KEYS_MAX; n++)
    session = remember(session, key(n), append(NEVER, ME, 100 + n, "v"));
  expect(session.keys.length).toBe(SESSION_KEYS_MAX);
  expect(seenOf(session, key(0))).toBeUndefined();
  expect(session.floorHlc).toBe(100);
  expect(tokens.decode(tokens.encode(session)).floorHlc).toBe(100);
});

test("R7: `new` is the empty session; everything not made here is bad-session", () => {
  expect(tokens.decode("new")).toEqual(EMPTY_SESSION);
  const good = tokens.encode(remember(EMPTY_SESSION, key(1), append(NEVER, ME, 5, "v")));
  const foreign = new SessionTokens(CLUSTER, new Uint8Array(16)).encode(EMPTY_SESSION);
  const context = new ContextTokens(CLUSTER, SECRET).encode(0, { entries: [], dots: [] }, 0);
  for (const bad of ["", "New", "!", good.slice(1), `${good}AAAA`, foreign, context])
    expect(() => tokens.decode(bad)).toThrow(/Cannot use the session/);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) =>
      expect(() => tokens.decode(base64url(bytes))).toThrow(/Cannot use the session/),
    ),
  );
});
