/**
 * Bad links between namespaces, in user space: the packets of such a link come in through a TUN device, wait here, and go out through it again.
 *
 * It sees whole IP packets, so connections suffer as on a real network: segments are late, overtake each other, come twice. Loss is the
 * router's business (`namespaces.ts`).
 */
import { dlopen, FFIType, ptr } from "bun:ffi";
import { closeSync, constants, openSync, readSync, writeSync } from "node:fs";
import { Prng } from "../../src/base/prng.ts";
import { type LinkShape, ShapedLink } from "../support/link-shape.ts";

export const RELAY_DEVICE = "relay0";

const DEVICE = "/dev/net/tun";
const TUNSETIFF = 0x400454ca;
const IFF_TUN = 0x0001;
const IFF_NO_PI = 0x1000;
const IFREQ_BYTES = 40;
const FLAGS_OFFSET = 16;
const PACKET_BYTES_MAX = 65_536;
/** Offsets in an IPv4 header. */
const SOURCE_NODE_OFFSET = 14;
const TARGET_NODE_OFFSET = 18;
/** How often the device is looked at while any link is bad: what goes through is late anyway. */
const LOOK_MS = 1;
/** Packets that wait; more are dropped, as by any router. */
const WAITING_MAX = 20_000;

export class PacketRelay {
  private readonly device: number;
  private readonly links = new Map<string, ShapedLink>();
  private readonly bytes = new Uint8Array(PACKET_BYTES_MAX);
  private timer: NodeJS.Timeout | undefined;
  private waiting = 0;
  /** That came through. */
  packets = 0;

  private constructor(device: number) {
    this.device = device;
  }

  /** Makes the device, in the network namespace of this process. @throws Error where that is not allowed */
  static open(): PacketRelay {
    const device = openSync(DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
    const request = new Uint8Array(IFREQ_BYTES);
    new TextEncoder().encodeInto(RELAY_DEVICE, request);
    new DataView(request.buffer).setUint16(FLAGS_OFFSET, IFF_TUN | IFF_NO_PI, true);
    const { symbols, close } = dlopen("libc.so.6", {
      ioctl: { args: [FFIType.i32, FFIType.u64, FFIType.ptr], returns: FFIType.i32 },
    });
    const result = symbols.ioctl(device, TUNSETIFF, ptr(request));
    close();
    if (result === 0) return new PacketRelay(device);
    closeSync(device);
    throw new Error(`${DEVICE} gives no device: TUNSETIFF returned ${result}`);
  }

  /** Packets of a link without a shape are still passed on: some may be under way when it gets well. */
  shape(from: number, to: number, shape: LinkShape | undefined): void {
    const name = `${from}>${to}`;
    const link = this.links.get(name) ?? new ShapedLink(new Prng(`packet-relay/${name}`));
    link.become(shape);
    this.links.set(name, link);
    this.timer ??= setInterval(() => this.drain(), LOOK_MS);
  }

  close(): void {
    clearInterval(this.timer);
    closeSync(this.device);
  }

  private drain(): void {
    for (let length = this.read(); length > 0; length = this.read()) {
      this.packets++;
      this.pass(this.bytes.slice(0, length));
    }
  }

  /** 0 when nothing is there. */
  private read(): number {
    try {
      return readSync(this.device, this.bytes);
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "EAGAIN") return 0;
      throw thrown;
    }
  }

  private pass(packet: Uint8Array): void {
    const from = packet[SOURCE_NODE_OFFSET]! - 1;
    const to = packet[TARGET_NODE_OFFSET]! - 1;
    const link = this.links.get(`${from}>${to}`);
    if (link === undefined) return;
    for (const fateMs of link.fatesOf(packet.length, performance.now())) this.later(packet, fateMs);
  }

  private later(packet: Uint8Array, forMs: number): void {
    if (this.waiting >= WAITING_MAX) return;
    this.waiting++;
    setTimeout(() => {
      this.waiting--;
      this.write(packet);
    }, forMs);
  }

  private write(packet: Uint8Array): void {
    try {
      writeSync(this.device, packet);
    } catch {
      // The device is full or gone: a packet is lost, as packets are.
    }
  }
}
