/** `hutch/client` with a real cluster: in this process, and as built JavaScript in Node. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { HutchClient } from "../../src/client/index.ts";
import { type ClusterProcess, withCluster } from "./node-process.ts";

/** Whole programs start and stop here, on a machine that may be busy. */
setDefaultTimeout(60_000);

const ENTRY = new URL("../../src/client/index.ts", import.meta.url).pathname;
const KEYS = 40;

/** What runs in Node: its answer is its last line. */
const SCRIPT = `
import { HutchClient, json, text } from "./client.mjs";
const client = new HutchClient({ urls: JSON.parse(process.argv[2]), session: true });
const cart = client.bucket("node-cart", { codec: json() });
await cart.put("7", { items: ["apple"] });
await Promise.all([1, 2, 3].map(() => client.bucket("node-hits").update("n", (n = 0) => n + 1, {
  resolve: (siblings) => Math.max(...siblings.map(({ value }) => value ?? 0)),
})));
const keys = [];
for await (const key of cart.keys()) keys.push(key);
const ending = client.withSession();
await ending.bucket("node-text", { codec: text() }).put("../ü", "ü");
const carried = client.withSession(ending.sessionToken);
console.log(JSON.stringify({
  version: process.version.split(".")[0],
  cart: await cart.get("7"),
  keys,
  carried: await carried.bucket("node-text", { codec: text(), consistency: "ONE" }).get("../ü"),
  has: await cart.has("8"),
}));
`;

async function runInNode(cluster: ClusterProcess): Promise<unknown> {
  const built = await Bun.build({ entrypoints: [ENTRY], target: "browser", minify: true });
  writeFileSync(join(cluster.directory, "client.mjs"), await built.outputs[0]!.text());
  writeFileSync(join(cluster.directory, "script.mjs"), SCRIPT);
  const node = Bun.which("node");
  if (node === null) throw new Error("node is not on the PATH");
  const command = [node, join(cluster.directory, "script.mjs"), JSON.stringify(cluster.urls)];
  const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  expect([await child.exited, stderr]).toEqual([0, ""]);
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

test("a client keeps working when a node is killed, and runs as built JavaScript in Node", async () => {
  await withCluster(
    3,
    async (cluster) => {
      const client = new HutchClient({ urls: cluster.urls, session: true, retries: 8 });
      // A busy machine makes siblings: a first owner that answers too late has minted what another one mints, too.
      const resolve = (siblings: readonly { readonly value: number | undefined }[]): number =>
        Math.max(...siblings.map(({ value = 0 }) => value));
      const bucket = client.bucket<number>("demo", { consistency: "QUORUM", resolve });
      const all = Array.from({ length: KEYS }, (_, i) => `key-${i}`);
      const round = (value: number): Promise<unknown> =>
        Promise.all(
          all.map(async (key) => {
            await bucket.put(key, value);
            expect(await bucket.get(key, { consistency: "ONE" })).toBe(value);
          }),
        );
      await round(1);
      const killing = cluster.kill(1);
      await round(2);
      await killing;
      await round(3);
      const listed: string[] = [];
      for await (const key of bucket.keys({ limit: 7 })) listed.push(key);
      expect(listed).toEqual([...all].sort());
      expect(await runInNode(cluster)).toEqual({
        version: "v20",
        cart: { items: ["apple"] },
        keys: ["7"],
        carried: "ü",
        has: false,
      });
    },
    { args: ["--partitions", "16"] },
  );
});
