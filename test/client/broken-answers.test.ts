/** Answers that are not what a node sends: a proxy's page, a newer server, bytes that were changed. All that is thrown is the client's own error. */
import { describe, expect, test } from "bun:test";
import { HutchClient } from "../../src/client/hutch-client.ts";
import { RequestError } from "../../src/client/index.ts";
import { FakeWorld, reply } from "./fake-world.ts";

type Ask = (client: HutchClient) => Promise<unknown>;

const get: Ask = (client) => client.bucket("demo").getEntry("k");
const list: Ask = (client) => client.bucket("demo").list();
const entries: Ask = async (client) => Array.fromAsync(client.bucket("demo").entries());
const batch: Ask = (client) => client.bucket("demo").batch([{ op: "get", key: "k" }]);

async function expectUnreadable(status: number, body: string, ask: Ask): Promise<void> {
  const world = new FakeWorld(() => reply(status, body));
  const client = new HutchClient({
    urls: ["http://one"],
    retries: 0,
    platform: world.platform,
  });
  const thrown = await world.run(ask(client).catch((error: unknown) => error));
  expect(thrown).toBeInstanceOf(RequestError);
  expect(thrown).toMatchObject({ code: "internal", status });
  expect((thrown as RequestError).message).toStartWith("Cannot read the node's answer");
}

const listed = (row: object): string => JSON.stringify({ keys: [row], partial: false });
const row = { key: "a", etag: '"e"', size: 1, siblings: 1, value: "1" };

describe("answers that cannot be read", () => {
  test.each<[string, number, string, Ask]>([
    ["siblings that are nothing", 300, "null", get],
    ["siblings that are missing", 300, '{"sibling":[]}', get],
    ["a sibling that is none", 300, '{"siblings":[null]}', get],
    ["a sibling that is no base64url", 300, '{"siblings":[{"valueB64":"a$"}]}', get],
    ["a sibling whose value is no text", 300, '{"siblings":[{"value":7}]}', get],
    ["a page that is nothing", 200, "null", list],
    ["a page without keys", 200, '{"partial":false}', list],
    ["a key that is none", 200, '{"keys":[null],"partial":false}', list],
    ["a key that is no base64url", 200, listed({ ...row, keyB64: "a$" }), list],
    ["a key with siblings that are none", 200, listed({ ...row, siblings: "x" }), list],
    ["groups that are none", 200, '{"keys":[],"prefixes":[null],"partial":false}', list],
    ["a listed value that is no base64url", 200, listed({ ...row, valueB64: "a$" }), entries],
    ["a page that leads to itself", 200, '{"keys":[],"cursor":"c","partial":false}', entries],
    ["results that are missing", 200, "{}", batch],
    ["a result that is none", 200, '{"results":[null]}', batch],
    ["a result whose siblings are none", 200, '{"results":[{"siblings":7}]}', batch],
    ["a result whose problem is none", 200, '{"results":[{"problem":null,"value":7}]}', batch],
  ])("%s", async (_, status, body, ask) => {
    await expectUnreadable(status, body, ask);
  });
});
