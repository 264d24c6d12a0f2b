/** A node's state as a mark and a word: the word is what counts, the colour only helps. */
import type { NodeSummary } from "../../http/admin-api.ts";

export function NodeState({ state }: { readonly state: NodeSummary["state"] }) {
  return (
    <span class="state">
      <i class={`dot is-${state}`} aria-hidden="true" />
      {state}
    </span>
  );
}

/** `dc1 / rack2`, without what is not told. */
export function zoneText({ dc, rack }: NodeSummary["zone"]): string {
  return [dc, rack].filter((part) => part !== "").join(" / ");
}
