/**
 * Damage at rest: what a medium does to bytes that nobody writes.
 *
 * It hits the durable bytes. Readers see it once the page cache has let the file go, which happens at once unless
 * `isCached` says otherwise; then a restart after a power loss, or `dropCache`, brings it out.
 */
import { assert } from "../base/assert.ts";
import type { Prng } from "../base/prng.ts";
import type { DiskImage, Inode } from "./disk-image.ts";

const BLOCK_BYTES = 4096;
const FLIPPED_BITS_MAX = 64;

export interface DamageOptions {
  /** The page cache still holds the good bytes. */
  readonly isCached?: boolean;
}

export class DiskDamage {
  private readonly image: DiskImage;
  private readonly prng: Prng;

  constructor(image: DiskImage, prng: Prng) {
    this.image = image;
    this.prng = prng;
  }

  /** Flips 1 to 64 bits at random places, all different. Returns their bit offsets. */
  flipBits(
    path: string,
    count = this.prng.between(1, FLIPPED_BITS_MAX),
    options: DamageOptions = {},
  ): number[] {
    const inode = this.inode(path);
    const bitCount = inode.durable.length * 8;
    assert(count <= bitCount, "the file has that many durable bits");
    const bits = new Set<number>();
    while (bits.size < count) bits.add(this.prng.below(bitCount));
    for (const bit of bits) this.flipBit(path, bit, options);
    return [...bits];
  }

  /** Flips the bit `bitOffset & 7` of byte `bitOffset >> 3`. */
  flipBit(path: string, bitOffset: number, options: DamageOptions = {}): void {
    const inode = this.inode(path);
    const offset = Math.floor(bitOffset / 8);
    const byte = inode.durable.slice(offset, offset + 1);
    assert(byte.length === 1, "the bit is inside the durable bytes");
    byte[0] = byte[0]! ^ (1 << (bitOffset % 8));
    replace(inode, byte, offset, options);
  }

  /** Zeros one aligned block of 4 KiB, or what the file has of it. */
  zeroBlock(path: string, blockIndex: number, options: DamageOptions = {}): void {
    const inode = this.inode(path);
    const block = durableBlock(inode, blockIndex);
    replace(inode, block.fill(0), blockIndex * BLOCK_BYTES, options);
  }

  /** Fills one aligned block of 4 KiB with random bytes. */
  garbleBlock(path: string, blockIndex: number, options: DamageOptions = {}): void {
    const inode = this.inode(path);
    const { length } = durableBlock(inode, blockIndex);
    replace(inode, this.prng.bytes(length), blockIndex * BLOCK_BYTES, options);
  }

  /** Overwrites durable bytes by hand. */
  overwrite(path: string, bytes: Uint8Array, offset: number, options: DamageOptions = {}): void {
    replace(this.inode(path), bytes, offset, options);
  }

  /** Cuts durable bytes off by hand. */
  truncate(path: string, size: number): void {
    const inode = this.inode(path);
    inode.durable.resize(size);
    inode.dropCache();
  }

  /** Latent sector errors: from now on, reading any byte of [start, end) fails, and mapping the file kills the process. */
  failReads(path: string, start: number, end: number): void {
    this.inode(path).badRanges.push({ start, end });
  }

  /** The page cache lets the file go. */
  dropCache(path: string): void {
    this.inode(path).dropCache();
  }

  private inode(path: string): Inode {
    const entry = this.image.visible.get(path);
    assert(entry !== undefined && entry !== "directory", `there is a file "${path}"`);
    return entry;
  }
}

function durableBlock(inode: Inode, blockIndex: number): Uint8Array {
  const start = blockIndex * BLOCK_BYTES;
  assert(start < inode.durable.length, "the block is inside the durable bytes");
  return inode.durable.slice(start, start + BLOCK_BYTES);
}

function replace(inode: Inode, bytes: Uint8Array, offset: number, options: DamageOptions): void {
  inode.durable.write(bytes, offset);
  if (options.isCached !== true) inode.dropCache();
}
