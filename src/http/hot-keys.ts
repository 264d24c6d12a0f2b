/**
 * Which keys most requests ask for: SpaceSaving (Metwally, Agrawal, El Abbadi 2005, "Efficient Computation of Frequent and Top-k Elements in Data
 * Streams") over about one in thirty-two single-key requests.
 *
 *   a key that has a place: its count goes up by one
 *   else, with a place free: count 1
 *   else: it takes the place of the key with the least count c, as count c + 1 of which c may be wrong
 *
 * So a key with more than 1/PLACES of all samples is always among them, and no count is more than its `error` too high. Every `SAMPLES_KEPT` samples all counts
 * are halved, so what was hot an hour ago is not for ever. The gaps between samples vary, or a client that asks for 32 keys in turn would show one.
 * A request that is not looked at costs a subtraction and a comparison; one that is, a look into a map of 64 and,
 * for a key that is not there, over 64 numbers.
 */
import { pathEndOf, pathStartOf } from "./exchange.ts";
import type { HotKey, HotKeyReport } from "./live-api.ts";

const PLACES = 64;
const SAMPLE_EVERY = 32;
const SAMPLES_KEPT = 8192;
const SHOWN = 32;
/** The path of a longer key is cut: it is kept for people. */
const PATH_LENGTH_MAX = 1024;
const PREFIX = "/v1/kv/";

export class HotKeys {
  /** The place of each path. */
  readonly #places = new Map<string, number>();
  readonly #paths: string[] = [];
  readonly #counts = new Int32Array(PLACES);
  readonly #errors = new Int32Array(PLACES);
  readonly #writes = new Int32Array(PLACES);
  #samples = 0;
  #untilNext = 1;
  #seed = 0x9e3779b9 | 0;

  /** Called with every request for a single key, and with some that are not. */
  see(method: string, url: string): void {
    if (--this.#untilNext > 0) return;
    // A Weyl sequence: gaps of 17 to 47, 32 on average, and no need of chance.
    this.#seed = (this.#seed + 0x61c88647) | 0;
    this.#untilNext = SAMPLE_EVERY - 15 + ((this.#seed >>> 16) % 31);
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
    const keys = this.#paths.map((path, place) => this.#keyOf(path, place));
    keys.sort((a, b) => b.count - a.count || (a.path < b.path ? -1 : 1));
    const shown = keys.filter(({ count }) => count > 0).slice(0, SHOWN);
    return { sampleEvery: SAMPLE_EVERY, samples: this.#samples, keys: shown };
  }

  #keyOf(path: string, place: number): HotKey {
    const slash = path.indexOf("/");
    const [bucket, key] = slash < 0 ? [path, ""] : [path.slice(0, slash), path.slice(slash + 1)];
    return {
      bucket,
      path: key,
      count: this.#counts[place]!,
      error: this.#errors[place]!,
      writes: this.#writes[place]!,
    };
  }

  #count(path: string, isWrite: boolean): void {
    const place = this.#places.get(path) ?? this.#placeFor(path);
    this.#counts[place]!++;
    if (isWrite) this.#writes[place]!++;
    if (++this.#samples >= SAMPLES_KEPT) this.#halve();
  }

  /** A free place, or that of the least count, which stays as what may be wrong. */
  #placeFor(path: string): number {
    let place = this.#paths.length;
    if (place === PLACES) {
      place = leastOf(this.#counts);
      this.#places.delete(this.#paths[place]!);
    }
    this.#paths[place] = path;
    this.#places.set(path, place);
    this.#errors[place] = this.#counts[place]!;
    this.#writes[place] = 0;
    return place;
  }

  #halve(): void {
    this.#samples >>= 1;
    for (const column of [this.#counts, this.#errors, this.#writes])
      for (let place = 0; place < PLACES; place++) column[place]! >>= 1;
  }
}

function leastOf(counts: Int32Array): number {
  let least = 0;
  for (let place = 1; place < counts.length; place++)
    if (counts[place]! < counts[least]!) least = place;
  return least;
}
