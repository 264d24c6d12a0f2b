import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import type { PeerPorts } from "../../src/ports/transport.ts";
import { type SimNode, SimWorld } from "../../src/sim/world.ts";
import { bytesOf, Heard } from "../ports/peer-world.ts";

interface Three {
  readonly world: SimWorld;
  readonly nodes: Readonly<Record<"a" | "b" | "c", SimNode>>;
}

function three(seed: number | string): Three {
  const world = new SimWorld(seed);
  return { world, nodes: { a: world.node("a"), b: world.node("b"), c: world.node("c") } };
}

const portsOf = (node: SimNode): PeerPorts => node.peerPorts(`${node.name}:1`);

/** What arrives at a node, as `from text`. */
function listen(node: SimNode): string[] {
  const heard: string[] = [];
  portsOf(node).datagrams.onReceive((bytes, from) => {
    heard.push(`${from} ${new TextDecoder().decode(bytes)}`);
  });
  return heard;
}

/** A link from one to another that is open. */
function link(world: SimWorld, from: SimNode, to: SimNode): { asker: Heard; answerer: Heard } {
  const [asker, answerer] = [new Heard(), new Heard()];
  portsOf(to).transport.onConnect(() => ({
    kind: "accepted",
    hello: new Uint8Array(0),
    open: answerer.open,
  }));
  const { transport } = portsOf(from);
  world.runUntil(transport.connect(`${to.name}:1`, new Uint8Array(0), 1000, asker.open));
  return { asker, answerer };
}

function failureOf(world: SimWorld, promise: Promise<unknown>): string {
  return String(world.runUntil(promise.catch((thrown: unknown) => thrown)));
}

/** Sends `count` numbered datagrams from a to b, one each millisecond, and returns the numbers that arrived, in order. */
function numbersThrough(seed: number, disturb: (world: SimWorld) => void, count = 1000): number[] {
  const { world, nodes } = three(seed);
  const heard = listen(nodes.b);
  disturb(world);
  for (let i = 0; i < count; i++) {
    portsOf(nodes.a).datagrams.send("b:1", bytesOf(`${i}`));
    world.run(1);
  }
  world.run(1000);
  return heard.map((line) => Number(line.split(" ")[1]));
}

describe("SimNetwork: a narrow path", () => {
  test("links take the time that their bytes take, in order, and hold back who sends", () => {
    const { world, nodes } = three(4);
    const { asker, answerer } = link(world, nodes.a, nodes.b);
    world.network.path("a", "b").faults = { bytesPerSecond: 10_000 };
    const startMs = world.scheduler.nowMs();
    const arrivedMs: number[] = [];
    answerer.onMessage = () => void arrivedMs.push(world.scheduler.nowMs() - startMs);
    for (let i = 0; i < 5; i++) asker.link!.send(new Uint8Array(1000));
    asker.link!.send(new Uint8Array(1_000_000));
    expect(asker.link!.bufferedBytes).toBeGreaterThan(700_000);
    world.run(99_000);
    expect(arrivedMs.map((ms) => Math.round(ms / 100))).toEqual([1, 2, 3, 4, 5]);
    world.run(2000);
    expect(arrivedMs.at(-1)! / 1000).toBeCloseTo(100.5, 0);
    world.network.healAll();
    asker.link!.send(new Uint8Array(1_000_000));
    world.run(1);
    expect(arrivedMs).toHaveLength(7);
  });

  test("datagrams queue for a second at most; more are dropped", () => {
    const arrived = numbersThrough(
      4,
      (world) => (world.network.path("a", "b").faults = { bytesPerSecond: 1000 }),
    );
    // Three bytes each, one each millisecond: a third of them passes.
    expect(arrived).toEqual(arrived.toSorted((x, y) => x - y));
    expect(arrived.length).toBeGreaterThan(500);
    expect(arrived.length).toBeLessThan(800);
    const { world, nodes } = three(5);
    const heard = listen(nodes.b);
    world.network.path("a", "b").faults = { bytesPerSecond: 1000 };
    portsOf(nodes.a).datagrams.send("b:1", new Uint8Array(100));
    world.run(99);
    expect(heard).toHaveLength(0);
    world.run(3);
    expect(heard).toHaveLength(1);
  });
});

describe("SimNetwork: datagrams", () => {
  test("take 0.1 to 0.5 ms, and all arrive where nothing is wrong", () => {
    const { world, nodes } = three(1);
    const heard = listen(nodes.b);
    portsOf(nodes.a).datagrams.send("b:1", bytesOf("x"));
    world.run(0.099);
    expect(heard).toEqual([]);
    world.run(0.402);
    expect(heard).toEqual(["a:1 x"]);
    expect(numbersThrough(1, () => undefined)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
  });

  test("loss, duplicates, reordering, delay and jitter each do what they say", () => {
    const path = (world: SimWorld) => world.network.path("a", "b");
    const lost =
      1000 - numbersThrough(2, (world) => (path(world).faults = { lossChance: 0.2 })).length;
    expect(lost).toBeGreaterThan(150);
    expect(lost).toBeLessThan(250);
    const doubled = numbersThrough(2, (world) => (path(world).faults = { duplicateChance: 0.2 }));
    expect(doubled.length - 1000).toBeGreaterThan(150);
    expect(new Set(doubled).size).toBe(1000);
    const mixed = numbersThrough(2, (world) => (path(world).faults = { reorderChance: 0.2 }));
    expect(mixed).not.toEqual(mixed.toSorted((x, y) => x - y));
    expect(mixed.length).toBe(1000);
    const { world, nodes } = three(2);
    const heard = listen(nodes.b);
    world.network.disturb({ delayMs: 50, jitterMs: 100 });
    for (let i = 0; i < 100; i++) portsOf(nodes.a).datagrams.send("b:1", bytesOf("x"));
    world.run(50);
    expect(heard.length).toBe(0);
    world.run(50);
    expect(heard.length).toBeGreaterThan(30);
    expect(heard.length).toBeLessThan(70);
    world.run(51);
    expect(heard.length).toBe(100);
  });

  test("corruption changes one byte, and not the sender's", () => {
    const { world, nodes } = three(3);
    const received: Uint8Array[] = [];
    portsOf(nodes.b).datagrams.onReceive((bytes) => received.push(bytes.slice()));
    world.network.path("a", "b").faults = { corruptChance: 1 };
    const sent = new Uint8Array(100);
    portsOf(nodes.a).datagrams.send("b:1", sent);
    world.run(10);
    expect(received[0]!.filter((byte) => byte !== 0).length).toBe(1);
    expect(sent.every((byte) => byte === 0)).toBe(true);
  });

  test("one kind of fault does not shift another", () => {
    const alone = numbersThrough(
      4,
      (world) => (world.network.path("a", "b").faults = { lossChance: 0.3 }),
    );
    const together = numbersThrough(4, (world) => {
      world.network.path("a", "b").faults = {
        lossChance: 0.3,
        duplicateChance: 0.3,
        reorderChance: 0.3,
        corruptChance: 0,
        jitterMs: 3,
      };
      world.network.path("b", "a").faults = { lossChance: 0.5 };
    });
    expect([...new Set(together)].sort((x, y) => x - y)).toEqual(alone);
  });

  test("the bytes are the receiver's only during the call", () => {
    const { world, nodes } = three(5);
    let kept: Uint8Array = new Uint8Array(0);
    portsOf(nodes.b).datagrams.onReceive((bytes) => (kept = bytes));
    portsOf(nodes.a).datagrams.send("b:1", bytesOf("x"));
    world.run(10);
    expect(kept).toEqual(new Uint8Array([0xdb]));
  });
});

describe("SimNetwork: cuts", () => {
  /** Who hears whom, as "from>to" of all pairs. */
  function audible(cut: (world: SimWorld) => void): string {
    const { world, nodes } = three(6);
    const all = Object.values(nodes);
    const heard = all.map(listen);
    cut(world);
    for (const from of all) {
      for (const to of all)
        if (to !== from) portsOf(from).datagrams.send(`${to.name}:1`, bytesOf(""));
    }
    world.run(10);
    return all
      .flatMap((to, i) => heard[i]!.map((line) => `${line[0]}>${to.name}`))
      .sort()
      .join(" ");
  }

  test("block, partition, bridge and isolate cut what they name", () => {
    expect(audible(() => undefined)).toBe("a>b a>c b>a b>c c>a c>b");
    expect(audible(({ network }) => network.block("a", "b"))).toBe("a>c b>a b>c c>a c>b");
    expect(audible(({ network }) => network.partition(["a"], ["b", "c"]))).toBe("b>c c>b");
    expect(audible(({ network }) => network.partition(["a"], ["b"], ["c"]))).toBe("");
    expect(audible(({ network }) => network.bridge(["a"], ["b"]))).toBe("a>c b>c c>a c>b");
    expect(audible(({ network }) => network.isolate("b", ["a", "b", "c"]))).toBe("a>c c>a");
  });

  test("each cut heals on its own", () => {
    const healed = audible(({ network }) => {
      const first = network.partition(["a"], ["b", "c"]);
      network.block("a", "b");
      first();
      first();
    });
    expect(healed).toBe("a>c b>a b>c c>a c>b");
    const calm = audible(({ network }) => {
      network.partition(["a"], ["b", "c"]);
      network.disturb({ lossChance: 1 });
      network.healAll();
    });
    expect(calm).toBe("a>b a>c b>a b>c c>a c>b");
  });

  test("a link stalls while its path is cut, and delivers when it heals soon", () => {
    for (const direction of ["a>b", "b>a"] as const) {
      const { world, nodes } = three(7);
      const { asker, answerer } = link(world, nodes.a, nodes.b);
      const heal = world.network.block(direction[0]!, direction[2]!);
      for (let i = 0; i < 10; i++) asker.link.send(bytesOf(`${i}`));
      world.run(3000);
      expect(answerer.messages.length).toBe(0);
      heal();
      world.run(1100);
      expect(answerer.texts().join("")).toBe("0123456789");
      expect(asker.endings).toEqual([]);
    }
  });

  test("a link whose path stays cut times out; the other end learns of it when it sends", () => {
    const { world, nodes } = three(8);
    const { asker, answerer } = link(world, nodes.a, nodes.b);
    const heal = world.network.partition(["a"], ["b"]);
    asker.link.send(bytesOf("x"));
    world.run(4900);
    expect(asker.endings).toEqual([]);
    world.run(15_000);
    expect(asker.endings).toEqual(["no acknowledgement: timed out"]);
    heal();
    world.run(60_000);
    expect([answerer.endings, answerer.messages]).toEqual([[], []]);
    answerer.link.send(bytesOf("x"));
    world.run(10);
    expect(answerer.endings).toEqual(["reset by the peer"]);
  });

  test("row 73: connecting across a cut, or to who is paused, times out", () => {
    const { world, nodes } = three(9);
    portsOf(nodes.b);
    const connect = (): Promise<unknown> =>
      portsOf(nodes.a).transport.connect("b:1", new Uint8Array(0), 500, new Heard().open);
    for (const [from, to] of [
      ["a", "b"],
      ["b", "a"],
    ] as const) {
      const heal = world.network.block(from, to);
      expect(failureOf(world, connect())).toContain("no answer within 500 ms");
      heal();
    }
    const answerer = new Heard();
    portsOf(nodes.b).transport.onConnect(() => ({
      kind: "accepted",
      hello: new Uint8Array(0),
      open: answerer.open,
    }));
    nodes.b.pause(2000);
    expect(failureOf(world, connect())).toContain("no answer within 500 ms");
    // The call waited in a buffer of the system: it is let in, and finds that nobody is there any more.
    world.run(2000);
    expect(answerer.endings.length).toBe(1);
  });

  test("bufferedBytes grows while nobody takes the messages", () => {
    const { world, nodes } = three(10);
    const { asker } = link(world, nodes.a, nodes.b);
    nodes.b.pause(5000);
    for (let i = 0; i < 100; i++) asker.link.send(new Uint8Array(100_000));
    world.run(1000);
    expect(asker.link.bufferedBytes).toBeGreaterThan(9_000_000);
    world.run(5000);
    expect(asker.link.bufferedBytes).toBe(0);
  });
});

describe("SimNetwork: death", () => {
  test("a killed process resets its links or falls silent, and after a power loss it is always silent", () => {
    const outcomes = new Set<string>();
    for (let seed = 0; seed < 40; seed++) {
      for (const how of ["crash", "powerLoss"] as const) {
        const { world, nodes } = three(seed);
        const { asker, answerer } = link(world, nodes.a, nodes.b);
        answerer.link.send(bytesOf("last words"));
        nodes.b[how]();
        world.run(50);
        const words = asker.messages.length > 0 ? " after its last words" : "";
        outcomes.add(`${how}: ${asker.endings.join() || "silent"}${words}`);
        expect(answerer.endings).toEqual([]);
        const connecting = portsOf(nodes.a).transport.connect(
          "b:1",
          new Uint8Array(0),
          100,
          asker.open,
        );
        expect(failureOf(world, connecting)).toContain(
          asker.endings.length > 0 ? "connection refused" : "no answer",
        );
      }
    }
    expect([...outcomes].sort()).toEqual([
      "crash: closed by the peer",
      "crash: closed by the peer after its last words",
      "crash: silent",
      "powerLoss: silent",
    ]);
  });

  test("who sends on a link to a silent machine times out, or is reset when it has come back", () => {
    for (const comesBack of [false, true]) {
      const { world, nodes } = three(11);
      const { asker } = link(world, nodes.a, nodes.b);
      nodes.b.powerLoss();
      asker.link.send(bytesOf("x"));
      world.run(2000);
      expect(asker.endings).toEqual([]);
      if (comesBack) {
        nodes.b.restart();
        portsOf(nodes.b);
      }
      world.run(20_000);
      expect(asker.endings).toEqual([
        comesBack ? "reset by the peer" : "no acknowledgement: timed out",
      ]);
    }
  });

  test("a dead process neither sends nor hears, and its next life starts with nothing", () => {
    const { world, nodes } = three(12);
    const old = portsOf(nodes.a);
    const heard = listen(nodes.a);
    const other = listen(nodes.b);
    portsOf(nodes.b).datagrams.send("a:1", bytesOf("x"));
    nodes.a.crash();
    old.datagrams.send("b:1", bytesOf("ghost"));
    world.run(10);
    nodes.a.restart();
    expect(portsOf(nodes.a)).not.toBe(old);
    portsOf(nodes.b).datagrams.send("a:1", bytesOf("y"));
    world.run(10);
    expect([heard, other]).toEqual([[], []]);
    expect(portsOf(nodes.a).datagrams.counters).toEqual({ sent: 0, received: 0, failed: 0 });
  });

  test("an address has one holder", () => {
    const { nodes } = three(13);
    const ports = nodes.a.peerPorts("here:1");
    expect(nodes.a.peerPorts("here:1")).toBe(ports);
    expect(() => nodes.b.peerPorts("here:1")).toThrow("another process has the port");
    nodes.a.crash();
    nodes.b.peerPorts("here:1");
  });
});

describe("SimNode.pause() and slowDown()", () => {
  test("what was due during a pause runs after it, late and in order", () => {
    const { world, nodes } = three(14);
    const { asker, answerer } = link(world, nodes.b, nodes.a);
    const heard = listen(nodes.a);
    const ran: string[] = [];
    answerer.onMessage = (bytes) => void ran.push(new TextDecoder().decode(bytes));
    nodes.a.clock.after(100, () => ran.push("timer 100"));
    nodes.a.clock.after(200, () => ran.push(`timer 200 at ${Math.round(nodes.a.clock.monoMs())}`));
    nodes.a.pause(1000);
    world.run(150);
    portsOf(nodes.b).datagrams.send("a:1", bytesOf("x"));
    for (let i = 0; i < 5; i++) asker.link.send(bytesOf(`${i}`));
    world.run(800);
    expect([ran, heard]).toEqual([[], []]);
    world.run(100);
    expect(ran.join()).toBe("timer 100,0,1,2,3,4,timer 200 at 1001");
    expect(heard.length).toBe(1);
  });

  test("one who is killed while paused never wakes up", () => {
    const { world, nodes } = three(15);
    let ran = 0;
    nodes.a.clock.after(1, () => ran++);
    nodes.a.pause(10);
    world.run(5);
    nodes.a.crash();
    world.run(100);
    expect(ran).toBe(0);
  });

  test("on a slow processor every event takes its time", () => {
    const { world, nodes } = three(16);
    const atMs: number[] = [];
    for (let i = 0; i < 5; i++) nodes.a.clock.after(10, () => atMs.push(world.scheduler.nowMs()));
    nodes.a.slowDown(3);
    world.run(100);
    const gaps = atMs.slice(1).map((ms, i) => ms - atMs[i]!);
    expect(gaps).toEqual([3, 3, 3, 3]);
  });
});

describe("SimNetwork: links under all faults", () => {
  /** Lets a link live through a random minute; what arrived, and what both ends heard. */
  function lifeOf(seed: number): { asker: Heard; answerer: Heard; sent: number } {
    const { world, nodes } = three(seed);
    const prng = new Prng(`faults/${seed}`);
    const { asker, answerer } = link(world, nodes.a, nodes.b);
    answerer.onMessage = (bytes, back) => back.send(bytes);
    const faults: (() => unknown)[] = [
      () => world.network.block("a", "b"),
      () => world.network.partition(["a"], ["b", "c"]),
      () => world.network.healAll(),
      () => world.network.disturb({ lossChance: 0.3, jitterMs: 20 }),
      () => nodes.a.pause(prng.below(3000)),
      () => nodes.b.pause(prng.below(3000)),
      () => nodes.b.slowDown(prng.below(3)),
      () => prng.chance(0.1) && asker.link.close(),
      () => prng.chance(0.1) && answerer.link.close(),
      () => prng.chance(0.1) && nodes.b.crash(),
      () => prng.chance(0.1) && nodes.b.powerLoss(),
    ];
    let sent = 0;
    for (let round = 0; round < 60; round++) {
      if (prng.chance(0.2)) prng.pick(faults)();
      for (let i = prng.below(4); i > 0; i--) asker.link.send(bytesOf(`${sent++}`));
      world.run(prng.below(1000));
    }
    world.network.healAll();
    world.run(60_000);
    return { asker, answerer, sent };
  }

  test("what arrives is a prefix of what was sent, in order, each once; ends come once, and nothing after them", () => {
    let ended = 0;
    let complete = 0;
    for (let seed = 0; seed < 150; seed++) {
      const { asker, answerer, sent } = lifeOf(seed);
      for (const { messages, endings, late, link } of [asker, answerer]) {
        const numbers = messages.map((bytes) => Number(new TextDecoder().decode(bytes)));
        expect(numbers).toEqual(numbers.map((_, i) => i));
        expect(endings.length).toBeLessThanOrEqual(1);
        if (endings.length > 0) expect(link.isOpen).toBe(false);
        expect(late).toBe(0);
      }
      expect(asker.messages.length).toBeLessThanOrEqual(answerer.messages.length);
      if (asker.endings.length > 0) ended++;
      else if (asker.messages.length === sent) complete++;
    }
    expect(ended).toBeGreaterThan(30);
    expect(complete).toBeGreaterThan(30);
    expect(ended + complete).toBe(150);
  });
});

describe("SimNetwork: determinism", () => {
  function digestOf(seed: number): string {
    const { world, nodes } = three(seed);
    world.network.disturb({
      lossChance: 0.1,
      jitterMs: 5,
      duplicateChance: 0.1,
      reorderChance: 0.1,
    });
    const { asker, answerer } = link(world, nodes.a, nodes.b);
    answerer.onMessage = (bytes, back) => back.send(bytes);
    listen(nodes.c);
    for (let i = 0; i < 200; i++) {
      asker.link.send(bytesOf(`${i}`));
      portsOf(nodes.b).datagrams.send("c:1", bytesOf(`${i}`));
      if (i === 50) nodes.b.pause(40);
      if (i === 100) world.network.block("a", "b");
      if (i === 150) world.network.healAll();
      world.run(10);
    }
    nodes.b.crash();
    world.run(1000);
    expect(asker.messages.length).toBeGreaterThan(100);
    return world.scheduler.trace.digest();
  }

  test("equal seeds give equal traces, others do not", () => {
    expect(digestOf(1)).toBe(digestOf(1));
    expect(digestOf(1)).not.toBe(digestOf(2));
  });

  test("a world whose network nobody uses runs as before", () => {
    const { world, nodes } = three(17);
    for (const node of Object.values(nodes)) node.clock.after(5, () => node.random.u32());
    world.run(10);
    expect(world.scheduler.trace.eventCount).toBe(3);
  });
});
