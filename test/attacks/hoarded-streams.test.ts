/** Somebody who opens answers that go on and on, and reads none of them. */
import { createHash } from "node:crypto";
import { expect, test } from "bun:test";
import { Access } from "../../src/http/access.ts";
import { LISTENERS_MAX, LISTENERS_OF_TOKEN_MAX } from "../../src/http/live-feed.ts";
import { STREAMS_MAX, STREAMS_OF_TOKEN_MAX } from "../../src/http/ndjson.ts";
import { TokenTable } from "../../src/http/token-table.ts";
import { fixture, problemOf } from "../http/fixture.ts";
import { ManualClock } from "../support/fake-kv.ts";
import { bearer, entry } from "./closed-node.ts";

const digest = (text: string): Uint8Array => createHash("sha256").update(text).digest();

/** A node with one key: an export of it is not over before its line has been taken. */
async function stocked(isClosed: boolean) {
  const table = new TokenTable(
    ["hoarder", "boss", "third"].map((id) => entry(id, ["read", "write"])),
  );
  const clock = new ManualClock();
  const access = new Access({ table, digest, clock });
  const f = fixture(isClosed ? { access, clock } : { clock });
  const response = await f.send("PUT /v1/kv/demo/a", "x", bearer("boss"));
  expect(response.status).toBe(204);
  return f;
}

type Send = Awaited<ReturnType<typeof stocked>>["send"];

async function hold(send: Send, line: string, count: number, id?: string): Promise<Response[]> {
  const held: Response[] = [];
  while (held.length < count) {
    const response = await send(line, null, id === undefined ? {} : bearer(id));
    expect(response.status).toBe(200);
    held.push(response);
  }
  return held;
}

const letGo = (held: readonly Response[]) =>
  Promise.all(held.map((response) => response.body!.cancel()));

const KINDS = [
  ["exports", "GET /v1/export/demo", STREAMS_MAX, STREAMS_OF_TOKEN_MAX],
  ["live events", "GET /v1/admin/live", LISTENERS_MAX, LISTENERS_OF_TOKEN_MAX],
] as const;

for (const [what, line, max, ofTokenMax] of KINDS) {
  test(`Q25: one token holds at most half of the ${what}; others get in, and what it lets go it may have again`, async () => {
    const { send } = await stocked(true);
    const held = await hold(send, line, ofTokenMax, "hoarder");
    const refused = await send(line, null, bearer("hoarder"));
    expect((await problemOf(refused, 503, "overloaded"))["detail"]).toContain('"hoarder"');
    const others = await hold(send, line, max - ofTokenMax, "boss");
    await problemOf(await send(line, null, bearer("third")), 503, "overloaded");
    await held.pop()!.body!.cancel();
    await letGo(await hold(send, line, 1, "hoarder"));
    await letGo([...held, ...others]);
    await letGo(await hold(send, line, ofTokenMax, "hoarder"));
  });

  test(`Q25: without tokens there is one bound for the ${what} of all`, async () => {
    const { send } = await stocked(false);
    const held = await hold(send, line, max);
    await problemOf(await send(line), 503, "overloaded");
    await letGo(held);
  });
}
