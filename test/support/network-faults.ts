/** Bad moments of the network between real nodes, drawn from a seed (row 111); each ends with everything connected again. */
import type { Prng } from "../../src/base/prng.ts";
import type { CutMode, PeerRelay } from "./peer-relay.ts";

/**
 *   one-way   what one node sends reaches some of the others no more; it hears all of them
 *   bridge    two sides that only one node can speak with both of
 *   split     two sides
 *   isolate   one node alone
 *   flap      one node comes and goes, a second each
 */
export const NETWORK_FAULTS = ["one-way", "bridge", "split", "isolate", "flap"] as const;
export type NetworkFault = (typeof NETWORK_FAULTS)[number];

const FLAP_MS = 500;
const CUT_MODES: readonly CutMode[] = ["hold", "reset"];

/** For about `lastsMs`, on nodes that are drawn. Returns what was done, for the log. */
export async function networkFault(
  relay: PeerRelay,
  size: number,
  fault: NetworkFault,
  prng: Prng,
  lastsMs: number,
): Promise<string> {
  const order = shuffled(size, prng);
  const mode = prng.pick(CUT_MODES);
  if (fault === "flap") await flap(relay, order, prng, lastsMs);
  else {
    cut(relay, order, fault, mode);
    await Bun.sleep(lastsMs);
    relay.heal(prng.pick(CUT_MODES));
  }
  return `${fault}, ${mode}, ${order.map((index) => `n${index + 1}`).join(" ")}`;
}

function cut(
  relay: PeerRelay,
  order: readonly number[],
  fault: Exclude<NetworkFault, "flap">,
  mode: CutMode,
): void {
  const small = order.slice(0, Math.floor(order.length / 2));
  const large = order.slice(small.length);
  const first = order[0]!;
  if (fault === "one-way") for (const other of large) relay.cut(first, other, mode);
  else if (fault === "isolate") relay.partition([first], order.slice(1), mode);
  else relay.partition(small, fault === "bridge" ? large.slice(1) : large, mode);
}

async function flap(
  relay: PeerRelay,
  order: readonly number[],
  prng: Prng,
  lastsMs: number,
): Promise<void> {
  for (let ms = 0; ms < lastsMs; ms += 2 * FLAP_MS) {
    relay.partition(order.slice(0, 1), order.slice(1), prng.pick(CUT_MODES));
    await Bun.sleep(FLAP_MS);
    relay.heal(prng.pick(CUT_MODES));
    await Bun.sleep(FLAP_MS);
  }
}

function shuffled(size: number, prng: Prng): number[] {
  return Array.from({ length: size }, (_, index) => ({ index, place: prng.float() }))
    .sort((a, b) => a.place - b.place)
    .map(({ index }) => index);
}
