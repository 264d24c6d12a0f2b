/**
 * The heap cache of blocks that were decompressed or read by `pread`; every block in it has passed its checksum.
 * Uncompressed blocks of mapped tables never come here: the page cache holds them already.
 *
 * Eviction is CLOCK (Corbató), the one-bit approximation of LRU: a hit only sets a mark; when room is needed, the oldest block
 * goes unless it is marked, in which case it loses the mark and becomes the youngest.
 *
 * Invariant: `usedBytes <= bytesMax`. A block larger than an eighth of the cache is not kept: one large value must not
 * drive out everything else.
 */
import { assert } from "../../base/assert.ts";

interface CachedBlock {
  readonly bytes: Uint8Array;
  wasUsed: boolean;
}

/** Blocks per table that get a key of their own; a table of 64 MiB has about 16,000. */
const BLOCKS_PER_TABLE_MAX = 2 ** 24;
/** What a block costs besides its bytes: array, map slot, object. */
const BLOCK_OVERHEAD_BYTES = 200;

export class BlockCache {
  readonly bytesMax: number;
  usedBytes = 0;
  hits = 0;
  misses = 0;
  private readonly blocks = new Map<number, CachedBlock>();
  private tableCount = 0;

  /** @param bytesMax zero keeps nothing */
  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get blockCount(): number {
    return this.blocks.size;
  }

  /** A key range of its own for a table that is being opened; never given out twice, so that nothing has to be purged. */
  tableKey(): number {
    return this.tableCount++ * BLOCKS_PER_TABLE_MAX;
  }

  get(tableKey: number, blockIndex: number): Uint8Array | undefined {
    const block = this.blocks.get(tableKey + blockIndex);
    if (block === undefined) {
      this.misses++;
      return undefined;
    }
    this.hits++;
    block.wasUsed = true;
    return block.bytes;
  }

  /** Keeps `bytes`, which the caller has verified and nobody will change. */
  add(tableKey: number, blockIndex: number, bytes: Uint8Array): void {
    assert(blockIndex < BLOCKS_PER_TABLE_MAX, "a table has fewer than 2^24 blocks");
    const cost = bytes.length + BLOCK_OVERHEAD_BYTES;
    const key = tableKey + blockIndex;
    if (cost > this.bytesMax / 8 || this.blocks.has(key)) return;
    this.makeRoom(cost);
    this.blocks.set(key, { bytes, wasUsed: false });
    this.usedBytes += cost;
  }

  /** Ends: each pass over a block either removes it or takes its mark away. */
  private makeRoom(cost: number): void {
    while (this.usedBytes + cost > this.bytesMax) {
      const [key, block] = this.blocks.entries().next().value!;
      this.blocks.delete(key);
      if (block.wasUsed) {
        block.wasUsed = false;
        this.blocks.set(key, block);
      } else {
        this.usedBytes -= block.bytes.length + BLOCK_OVERHEAD_BYTES;
      }
    }
  }
}
