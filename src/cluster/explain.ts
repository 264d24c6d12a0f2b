/** `GET ...?explain=1`: what each owner of a key holds, and what fallbacks keep for owners that are down (REST.md section 2). */
import { CorruptionError } from "../base/errors.ts";
import { hex } from "../base/bytes.ts";
import { dotText } from "../causality/actor.ts";
import { hlcText } from "../causality/hlc.ts";
import { maxHlc } from "../causality/lww.ts";
import type { NodeId } from "../gossip/member.ts";
import { stateDigest } from "../kernels/kernels.ts";
import type { ReplicaRole } from "../quorum/read-quorum.ts";
import type { KeyAddress } from "../ring/partition.ts";
import type { Explained, ExplainedOwner } from "./answers.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { CoordinationParts } from "./coordination-parts.ts";
import type { Copies } from "./copies.ts";
import { ReplicaSet } from "./replica-set.ts";
import { decodeStored } from "./replica-store.ts";

/** Nobody waits longer to be told why. */
const EXPLAIN_MS = 1000;
/** Fallbacks behind the owners that are asked. */
const FALLBACKS_MAX = 8;

/** What one node said. */
interface Heard {
  readonly isReachable: boolean;
  readonly value: Uint8Array | undefined;
  /** It has spoken, and what it has of the key cannot be read. */
  readonly isUnreadable: boolean;
}

/** `stateHash` of a copy that nobody can read: like no other, another unreadable one included. */
const UNREADABLE = "unreadable";

export async function explainKey(
  parts: CoordinationParts,
  address: KeyAddress,
  copies: Copies,
): Promise<Explained> {
  const view = parts.view();
  const set = new ReplicaSet(view, parts.peers, address.partition, copies);
  const [owners, fallbacks] = await Promise.all([
    Promise.all(set.owners.map((node) => explainNode(parts, view, address, node, "primary"))),
    Promise.all(
      set
        .fallbacks()
        .slice(0, FALLBACKS_MAX)
        .map((node) => explainNode(parts, view, address, node, "fallback")),
    ),
  ]);
  return {
    partition: address.partition,
    owners,
    fallbacks: fallbacks.filter(({ dots }) => dots.length > 0),
    isEqual: owners.every(
      ({ reachable, stateHash }) =>
        reachable && stateHash !== UNREADABLE && stateHash === owners[0]!.stateHash,
    ),
  };
}

async function explainNode(
  parts: CoordinationParts,
  view: ClusterView,
  address: KeyAddress,
  node: NodeId,
  role: ReplicaRole,
): Promise<ExplainedOwner> {
  const startMs = parts.clock.monoMs();
  const heard =
    node === view.self
      ? await hearSelf(parts, address, role)
      : await hearPeer(parts, address, node);
  const latencyMs = parts.clock.monoMs() - startMs;
  return {
    node: view.nameOf(node),
    role,
    state: stateOf(view, node),
    reachable: heard.isReachable,
    ...contentOf(heard),
    latencyMs,
  };
}

function contentOf({
  value,
  isUnreadable,
}: Heard): Pick<ExplainedOwner, "dots" | "hlc" | "stateHash"> {
  const nothing = { dots: [], hlc: "", stateHash: isUnreadable ? UNREADABLE : "" };
  if (value === undefined) return nothing;
  try {
    const record = decodeStored(value);
    return {
      dots: record.flatMap(({ actor, values }) => values.map((own) => dotText(actor, own.counter))),
      hlc: hlcText(maxHlc(record)),
      stateHash: hex(stateDigest(value)),
    };
  } catch (thrown) {
    if (!(thrown instanceof CorruptionError)) throw thrown;
    return { ...nothing, stateHash: UNREADABLE };
  }
}

async function hearSelf(
  { readLocal }: CoordinationParts,
  address: KeyAddress,
  role: ReplicaRole,
): Promise<Heard> {
  try {
    const { value, durable } = readLocal(address, role);
    await durable;
    return { isReachable: true, value, isUnreadable: false };
  } catch (thrown) {
    if (!(thrown instanceof CorruptionError)) throw thrown;
    return { isReachable: true, value: undefined, isUnreadable: true };
  }
}

async function hearPeer(
  { peers }: CoordinationParts,
  { internalKey }: KeyAddress,
  node: NodeId,
): Promise<Heard> {
  const message = { kind: "read", internalKey, knownDigest: new Uint8Array(0) } as const;
  try {
    const reply = await peers.call(node, message, EXPLAIN_MS, "client");
    if (reply.kind !== "record" || reply.state === "same")
      return { isReachable: true, value: undefined, isUnreadable: true };
    const value = reply.state === "present" ? reply.record : undefined;
    return { isReachable: true, value, isUnreadable: false };
  } catch {
    // Who does not answer is shown as that.
    return { isReachable: false, value: undefined, isUnreadable: false };
  }
}

function stateOf(view: ClusterView, node: NodeId): string {
  const member = view.members.get(node);
  if (member === undefined) return "down";
  if (member.liveness === "down" || member.liveness === "suspect") return member.liveness;
  return member.record.phase === "serving" ? "up" : member.record.phase;
}
