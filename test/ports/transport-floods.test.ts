/** Row 72: what a hostile or broken HTTP/2 client may send for ever. */
import { afterAll, describe, expect, test } from "bun:test";
import * as net from "node:net";
import { bunPeers } from "./bun-peers.ts";
import { echoProcess, stopEchoProcesses } from "./echo-process.ts";
import { bytesOf, Heard } from "./peer-world.ts";

const peers = bunPeers();
afterAll(() => peers.closeAll());
afterAll(stopEchoProcesses);

const FLOOD_MS = 5000;
const FRAMES_PER_WRITE = 500;
const GROWTH_BYTES_MAX = 64 * 1024 * 1024;

const FrameType = { headers: 1, reset: 3, settings: 4, ping: 6, continuation: 9 } as const;
const END_HEADERS = 4;

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(streamId, 5);
  return Buffer.concat([head, payload]);
}

/** A header field that is not put into any table (RFC 7541, 6.2.2). */
function literal(name: string, value: string): Buffer {
  return Buffer.from(
    `\0${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
  );
}

/** POST over http to the path of links. */
const linkHeaders = Buffer.concat([
  Buffer.from([0x83, 0x86]),
  literal(":path", "/hutch/peer/1"),
  literal(":authority", "x"),
  literal("hutch-hello", "aGVsbG8"),
]);

/** The nth frame or two of each flood. */
const floods: Readonly<Record<string, (index: number) => Uint8Array>> = {
  "PING that nobody reads the answers of": () => frame(FrameType.ping, 0, 0, new Uint8Array(8)),
  SETTINGS: () => frame(FrameType.settings, 0, 0, new Uint8Array(0)),
  "streams that are reset as soon as they are open": (index) => {
    const id = 2 * index + 1;
    const reset = frame(FrameType.reset, 0, id, Uint8Array.of(0, 0, 0, 8));
    return Buffer.concat([frame(FrameType.headers, END_HEADERS, id, linkHeaders), reset]);
  },
  "headers without an end": (index) =>
    index === 0
      ? frame(FrameType.headers, 0, 1, linkHeaders)
      : frame(FrameType.continuation, 0, 1, literal(`a${index}`, "b".repeat(100))),
};

/** Sends until the other side closes or the time is over; true when it closed. */
async function flood(address: string, make: (index: number) => Uint8Array): Promise<boolean> {
  const { hostname, port } = new URL(`http://${address}`);
  const socket = net.connect({ host: hostname, port: Number(port) });
  let isClosed = false;
  socket.on("close", () => (isClosed = true));
  socket.on("error", () => undefined);
  socket.pause();
  socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  socket.write(frame(FrameType.settings, 0, 0, new Uint8Array(0)));
  const startMs = performance.now();
  for (let index = 0; !isClosed && performance.now() - startMs < FLOOD_MS;) {
    const frames = Array.from({ length: FRAMES_PER_WRITE }, () => make(index++));
    const isRoomLeft = socket.write(Buffer.concat(frames));
    await Bun.sleep(isRoomLeft ? 0 : 5);
  }
  socket.destroy();
  return isClosed;
}

describe("row 72: a flood ends its own connection, takes little memory and leaves other links alone", () => {
  test.each(Object.keys(floods))(
    "%s",
    async (name) => {
      const echo = await echoProcess();
      const client = await peers.bind();
      const asker = new Heard();
      await client.transport.connect(echo.address, bytesOf("x"), 2000, asker.open);
      asker.onMessage = (bytes, link) => void setTimeout(() => link.send(bytes), 1);
      asker.link.send(bytesOf("round and round"));
      const beforeBytes = echo.rssBytes();
      expect(await flood(echo.address, floods[name]!)).toBe(true);
      expect(echo.rssBytes() - beforeBytes).toBeLessThan(GROWTH_BYTES_MAX);
      const { length } = asker.messages;
      await peers.until(() => asker.messages.length > length + 5);
      expect(asker.endings).toEqual([]);
      echo.signal("SIGKILL");
    },
    15_000,
  );
});
