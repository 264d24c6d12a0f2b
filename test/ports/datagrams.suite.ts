/** What datagrams do in both worlds. */
import { expect, test } from "bun:test";
import { DATAGRAM_BYTES_MAX } from "../../src/ports/datagrams.ts";
import { bytesOf, type Peer, type PeerWorld } from "./peer-world.ts";

function heardBy(peer: Peer): { readonly bytes: Uint8Array; readonly from: string }[] {
  const heard: { bytes: Uint8Array; from: string }[] = [];
  peer.ports.datagrams.onReceive((bytes, from) => heard.push({ bytes: bytes.slice(), from }));
  return heard;
}

export function datagramsSuite(world: PeerWorld): void {
  test("a datagram arrives whole, from the address of who sent it", async () => {
    const [a, b] = [await world.peer(), await world.peer()];
    const heard = heardBy(b);
    const largest = new Uint8Array(DATAGRAM_BYTES_MAX).map((_, i) => i & 0xff);
    for (const bytes of [bytesOf("one"), largest, new Uint8Array(1)]) {
      a.ports.datagrams.send(b.address, bytes);
      await world.pass(20);
    }
    await world.until(() => heard.length === 3);
    expect(heard.map(({ bytes }) => bytes.length)).toEqual([3, DATAGRAM_BYTES_MAX, 1]);
    expect(heard[1]!.bytes).toEqual(largest);
    expect(heard.map(({ from }) => from)).toEqual([a.address, a.address, a.address]);
    expect(a.ports.datagrams.counters).toMatchObject({ sent: 3, failed: 0 });
    expect(b.ports.datagrams.counters).toMatchObject({ received: 3 });
  });

  test("the sender may use its bytes again at once", async () => {
    const [a, b] = [await world.peer(), await world.peer()];
    const heard = heardBy(b);
    const scratch = bytesOf("first");
    a.ports.datagrams.send(b.address, scratch);
    scratch.fill(0);
    await world.until(() => heard.length === 1);
    expect(heard[0]!.bytes).toEqual(bytesOf("first"));
  });

  test("N18: a datagram that is too long is counted and not sent", async () => {
    const [a, b] = [await world.peer(), await world.peer()];
    const heard = heardBy(b);
    a.ports.datagrams.send(b.address, new Uint8Array(DATAGRAM_BYTES_MAX + 1));
    await world.pass(50);
    expect(a.ports.datagrams.counters).toEqual({ sent: 0, received: 0, failed: 1 });
    expect(heard).toEqual([]);
  });

  test("sending to nobody, to a strange address or after close() never throws", async () => {
    const a = await world.peer();
    const { datagrams } = a.ports;
    for (const to of [
      await world.nobody(),
      "",
      ":",
      "x",
      "example.invalid:99",
      "127.0.0.1:99999",
    ]) {
      datagrams.send(to, bytesOf("x"));
    }
    await world.pass(20);
    datagrams.close();
    datagrams.close();
    const { failed } = datagrams.counters;
    datagrams.send(await world.nobody(), bytesOf("x"));
    expect(datagrams.counters.failed).toBe(failed + 1);
  });
}
