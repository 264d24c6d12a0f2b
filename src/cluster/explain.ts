/** One owner's part of `GET ...?explain=1`: what it holds of a key, or that it holds nothing (REST.md section 2). */
import { hex } from "../base/bytes.ts";
import { dotText } from "../causality/actor.ts";
import { hlcText } from "../causality/hlc.ts";
import { maxHlc } from "../causality/lww.ts";
import { stateDigest } from "../kernels/kernels.ts";
import type { ExplainedOwner } from "./answers.ts";
import { decodeStored } from "./replica-store.ts";

/** @param value the key's encoded state, `undefined` where there is none */
export function explainOwner(
  node: string,
  value: Uint8Array | undefined,
  latencyMs: number,
): ExplainedOwner {
  const record = value === undefined ? [] : decodeStored(value);
  return {
    node,
    role: "primary",
    state: "up",
    reachable: true,
    dots: record.flatMap(({ actor, values }) => values.map((own) => dotText(actor, own.counter))),
    hlc: record.length === 0 ? "" : hlcText(maxHlc(record)),
    stateHash: value === undefined ? "" : hex(stateDigest(value)),
    latencyMs,
  };
}
