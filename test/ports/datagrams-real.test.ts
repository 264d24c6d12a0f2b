/** What only real sockets do to datagrams. */
import { afterAll, describe, expect, test } from "bun:test";
import * as dgram from "node:dgram";
import type { BoundPeerPorts } from "../../src/bun/transport.ts";
import { bunPeers } from "./bun-peers.ts";
import { bytesOf } from "./peer-world.ts";

const peers = bunPeers();
afterAll(() => peers.closeAll());

describe("BunDatagrams", () => {
  test("row 71: with one of five dead, at least 99.9 % of the datagrams between the others arrive", async () => {
    const five: BoundPeerPorts[] = [];
    for (let i = 0; i < 5; i++) five.push(await peers.bind());
    const received = five.map(() => 0);
    five.forEach(({ datagrams }, i) => datagrams.onReceive(() => received[i]!++));
    const dead = five[4]!;
    dead.datagrams.close();
    await dead.transport.close();
    const alive = five.slice(0, 4);
    const rounds = 500;
    for (let round = 0; round < rounds; round++) {
      for (const from of alive) {
        for (const to of five)
          if (to !== from) from.datagrams.send(to.address, bytesOf(`${round}`));
      }
      if (round % 10 === 0) await Bun.sleep(1);
    }
    await Bun.sleep(200);
    const expected = alive.length * 3 * rounds;
    const arrived = received.reduce((sum, count) => sum + count, 0);
    expect(arrived / expected).toBeGreaterThanOrEqual(0.999);
    expect(received[4]).toBe(0);
    const failed = alive.reduce((sum, { datagrams }) => sum + datagrams.counters.failed, 0);
    expect(failed / expected).toBeLessThan(0.001);
  });

  test("row 67: datagrams of 0, 1, 13 and 65,507 bytes of noise reach the receiver whole and harm nothing", async () => {
    const node = await peers.bind();
    const lengths: number[] = [];
    node.datagrams.onReceive((bytes) => lengths.push(bytes.length));
    const stranger = dgram.createSocket("udp4");
    const port = Number(node.address.split(":")[1]);
    for (const length of [0, 1, 13, 65_507]) {
      stranger.send(new Uint8Array(length).fill(length & 0xff), port, "127.0.0.1");
      await Bun.sleep(10);
    }
    const isLargest = (): boolean => lengths.includes(65_507);
    await peers.until(isLargest);
    stranger.close();
    expect(lengths.filter((length) => length > 0)).toEqual([1, 13, 65_507]);
  });

  test("the error queue of a socket without peers alone ends no process", async () => {
    const node = await peers.bind();
    const nobody = await peers.nobody();
    for (let i = 0; i < 200; i++) {
      node.datagrams.send(nobody, bytesOf("x"));
      if (i % 20 === 0) await Bun.sleep(1);
    }
    await Bun.sleep(20);
    const { sent, failed } = node.datagrams.counters;
    expect(sent + failed).toBe(200);
  });
});
