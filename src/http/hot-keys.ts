/**
 * Which keys most requests ask for: SpaceSaving (Metwally, Agrawal, El Abbadi 2005, "Efficient Computation of Frequent and Top-k Elements in Data
 * Streams") over about one in sixteen single-key requests.
 *
 *   a key that has a place: its count goes up by one
 *   else, with a place free: count 1
 *   else: it takes the place of the key with the least count c, as count c + 1 of which c may be wrong
 *
 * So a key with more than 1/PLACES of all samples is always among them, and no count is more than its `error` too high. Every `SAMPLES_KEPT` samples all counts
 * are halved, so what was hot an hour ago is not for ever. The gaps between samples vary, or a client that asks for sixteen keys in turn would show one.
 * A request that is not looked at costs a subtraction and a comparison; one that is, a look into a map of 64.
 */
import { pathEndOf, pathStartOf } from "./exchange.ts";
import type { HotKey, HotKeyReport } from "./live-api.ts";

const PLACES = 64;
const SAMPLE_EVERY = 16;
const SAMPLES_KEPT = 8192;
const SHOWN = 32;
/** The path of a longer key is cut: it is kept for people. */
const PATH_LENGTH_MAX = 1024;
const PREFIX = "/v1/kv/";

interface Place {
  count: number;
  error: number;
  writes: number;
}

export class HotKeys {
  readonly #places = new Map<string, Place>();
  #samples = 0;
  #untilNext = 1;
  #seed = 0x9e3779b9 | 0;

  /** Called with every request for a single key, and with some that are not. */
  see(method: string, url: string): void {
    if (--this.#untilNext > 0) return;
    // A Weyl sequence: gaps of 9 to 23, 16 on average, and no need of chance.
    this.#seed = (this.#seed + 0x61c88647) | 0;
    this.#untilNext = SAMPLE_EVERY - 7 + ((this.#seed >>> 16) % 15);
    const start = pathStartOf(url);
    if (start < 0 || !url.startsWith(PREFIX, start)) return;
    const end = Math.min(pathEndOf(url, start), start + PATH_LENGTH_MAX);
    const path = url.slice(start + PREFIX.length, end);
    // A listing or a key of our own choice names a bucket only.
    const slash = path.indexOf("/");
    if (slash < 0 || slash === path.length - 1) return;
    this.#count(path, method !== "GET");
  }

  /** The keys with the highest counts. */
  report(): HotKeyReport {
    const keys = [...this.#places].map(([path, place]) => keyOf(path, place));
    keys.sort((a, b) => b.count - a.count || (a.path < b.path ? -1 : 1));
    return { sampleEvery: SAMPLE_EVERY, samples: this.#samples, keys: keys.slice(0, SHOWN) };
  }

  #count(path: string, isWrite: boolean): void {
    let place = this.#places.get(path);
    if (place === undefined) {
      const count = this.#places.size < PLACES ? 0 : this.#evict();
      place = { count, error: count, writes: 0 };
      this.#places.set(path, place);
    }
    place.count++;
    if (isWrite) place.writes++;
    if (++this.#samples >= SAMPLES_KEPT) this.#halve();
  }

  /** Frees the place of the least count and returns that. */
  #evict(): number {
    let least = "";
    let count = Infinity;
    for (const [path, place] of this.#places) {
      if (place.count >= count) continue;
      least = path;
      count = place.count;
    }
    this.#places.delete(least);
    return count;
  }

  #halve(): void {
    this.#samples >>= 1;
    for (const [path, place] of this.#places) {
      place.count >>= 1;
      place.error >>= 1;
      place.writes >>= 1;
      if (place.count === 0) this.#places.delete(path);
    }
  }
}

function keyOf(path: string, { count, error, writes }: Place): HotKey {
  const slash = path.indexOf("/");
  return { bucket: path.slice(0, slash), path: path.slice(slash + 1), count, error, writes };
}
