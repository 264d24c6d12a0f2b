/** What the module exports: numbers in, numbers out; bytes travel through the map of `memory-map.ts`. */

export { RESULT, LINE, INPUT, INPUT_BYTES, KEY, KEY_BYTES, OUTPUT } from "./memory-map";
export { hashKey } from "./murmur3";
export { sipHash24 } from "./siphash";
export { crc32Prepare, crc32Update } from "./crc32";
export { bloomLineAdd, bloomLineMayContain } from "./bloom";
export { encodeBlock } from "./block-encode";
export { searchBlock } from "./block-search";
