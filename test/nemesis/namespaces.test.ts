/** The network of a nemesis run breaks in the way that it is told to: a nemesis that does not bite proves nothing. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { abilitiesOfThisMachine } from "./abilities.ts";
import { run } from "./command.ts";
import { entering, hubOf, makeNamespaces } from "./namespaces.ts";
import { leftoversOf, makeDirectory, removeRun, runNameOf } from "./scratch.ts";

setDefaultTimeout(120_000);

interface Seen {
  readonly whole: readonly [string, string, number];
  readonly "held one way": readonly [string, number, number];
  readonly reset: readonly [string];
  readonly healed: readonly [string, number];
  readonly loss: readonly [number, number];
  readonly slow?: readonly [number, number];
  readonly bad?: readonly [number, number, number];
  readonly perfect: readonly [number, string, number];
}

test("row 111: namespaces: cuts are one way, links lose, slow down, delay and double, and heal", async () => {
  const { namespaces, packetRelay, trafficControl } = await abilitiesOfThisMachine();
  if (namespaces !== undefined) return console.log(`no namespaces here: ${namespaces}`);
  const name = runNameOf(process.pid);
  const directory = makeDirectory(name);
  try {
    await makeNamespaces(name, 2);
    const flags = [packetRelay, trafficControl].map((why) => String(why === undefined));
    const trial = join(import.meta.dir, "namespace-trial.ts");
    const own = [process.execPath, "--no-orphans", trial, name, ...flags];
    const command = entering(hubOf(name), ["env", "BUN_BE_BUN=1", `TMPDIR=${directory}`, ...own]);
    const seen = JSON.parse(await run(command)) as Seen;
    expect(seen.whole).toEqual(["ok", "ok", 100]);
    expect(seen["held one way"]).toEqual(["TimeoutError", 0, 100]);
    expect(seen.reset).toEqual(["ECONNREFUSED"]);
    expect(seen.healed).toEqual(["ok", 100]);
    expect(seen.loss[0]).toBeGreaterThan(700);
    expect(seen.loss[0]).toBeLessThan(900);
    expect(seen.loss[1]).toBe(1000);
    if (trafficControl === undefined) expectSlow(seen.slow!);
    else console.log(`links are not slowed down here: ${trafficControl}`);
    if (packetRelay === undefined) expectBad(seen.bad!);
    else console.log(`links are not delayed here: ${packetRelay}`);
    expect(seen.perfect[0]).toBeLessThan(100);
    expect(seen.perfect.slice(1)).toEqual(["ok", 100]);
  } finally {
    await removeRun(name);
  }
  expect(leftoversOf(name)).toEqual([]);
});

/** 64,000 bytes take two seconds on 256 kbit/s; a burst goes at once, and the other direction knows no limit. */
function expectSlow([slowMs, fastMs]: readonly [number, number]): void {
  expect(slowMs).toBeGreaterThan(1500);
  expect(fastMs).toBeLessThan(slowMs / 3);
}

/** A connection needs the delayed way at least twice. */
function expectBad([askMs, doubled, single]: readonly [number, number, number]): void {
  expect(askMs).toBeGreaterThan(200);
  expect(doubled).toBe(200);
  expect(single).toBe(100);
}
