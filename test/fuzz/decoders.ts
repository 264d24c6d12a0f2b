/** Every decoder of the program. `decoders.test.ts` holds that none is missing. */
import { ANSWER_DECODERS } from "./answer-decoders.ts";
import { CAUSALITY_DECODERS } from "./causality-decoders.ts";
import { FILE_DECODERS } from "./file-decoders.ts";
import { LOG_DECODERS } from "./log-decoders.ts";
import { OWN_ENTRIES_DECODERS } from "./own-entries-decoders.ts";
import { PEER_DECODERS } from "./peer-decoders.ts";
import { REPAIR_DECODERS } from "./repair-decoders.ts";
import { RING_DECODERS } from "./ring-decoders.ts";
import { SEALED_DECODERS } from "./sealed-decoders.ts";
import { TABLE_DECODERS } from "./table-decoders.ts";
import { TEXT_DECODERS } from "./text-decoders.ts";
import type { Decoder } from "./decoder.ts";

export const DECODERS: readonly Decoder[] = [
  ...LOG_DECODERS,
  ...TABLE_DECODERS,
  ...CAUSALITY_DECODERS,
  ...PEER_DECODERS,
  ...SEALED_DECODERS,
  ...RING_DECODERS,
  ...REPAIR_DECODERS,
  ...OWN_ENTRIES_DECODERS,
  ...TEXT_DECODERS,
  ...FILE_DECODERS,
  ...ANSWER_DECODERS,
];
