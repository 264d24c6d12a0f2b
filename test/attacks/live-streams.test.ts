/** Somebody who was let in once and stays: streams that outlive the token they were opened with. */
import { createHash } from "node:crypto";
import { expect, test } from "bun:test";
import { Access } from "../../src/http/access.ts";
import { TokenTable } from "../../src/http/token-table.ts";
import { fixture } from "../http/fixture.ts";
import { ManualClock } from "../support/fake-kv.ts";
import { bearer, entry } from "./closed-node.ts";

const digest = (text: string): Uint8Array => createHash("sha256").update(text).digest();

/** Listens as `reader` and as `guest`, lets time pass after `change`, and says of which streams the end has come. */
async function endsAfter(
  change: (access: Access, clock: ManualClock) => void,
): Promise<readonly boolean[]> {
  const clock = new ManualClock();
  clock.nowMs = Date.parse("2026-01-01T00:00:00Z");
  const guest = entry("guest", ["read"], { expiresAt: "2026-01-01T00:01:00Z" });
  const table = new TokenTable([entry("reader", ["read"]), guest]);
  const access = new Access({ table, digest, clock });
  const { send } = fixture({ access, clock });
  const ended: boolean[] = [];
  const streams = await Promise.all(
    ["reader", "guest"].map((id) => send("GET /v1/admin/live", null, bearer(id))),
  );
  const readers = streams.map((stream) => stream.body!.getReader());
  for (const [index, reader] of readers.entries()) {
    ended[index] = false;
    void drain(reader).then(() => (ended[index] = true));
  }
  await pass(clock);
  expect(ended).toEqual([false, false]);
  change(access, clock);
  await pass(clock);
  const result = [...ended];
  for (const reader of readers) await reader.cancel();
  return result;
}

async function drain(reader: { read(): Promise<{ done: boolean }> }): Promise<void> {
  while (!(await reader.read()).done);
}

async function pass(clock: ManualClock): Promise<void> {
  for (let second = 0; second < 3; second++) {
    clock.advance(1000);
    for (let turn = 0; turn < 40; turn++) await Promise.resolve();
  }
}

test("Q2: the live events end when their token is withdrawn, takes other roles, or is over; others go on", async () => {
  const [reader, guest] = [entry("reader", ["read"]), entry("guest", ["read"])];
  const withdraw = (access: Access): void => access.replace(new TokenTable([reader]));
  expect(await endsAfter(withdraw)).toEqual([false, true]);
  const narrow = { scopes: [{ bucket: "b" }] };
  expect(
    await endsAfter((access) => access.replace(new TokenTable([{ ...reader, ...narrow }, guest]))),
  ).toEqual([true, false]);
  const demoted = entry("reader", ["write"]);
  expect(await endsAfter((access) => access.replace(new TokenTable([demoted, guest])))).toEqual([
    true,
    false,
  ]);
  expect(await endsAfter((_, clock) => clock.advance(60_000))).toEqual([false, true]);
});
