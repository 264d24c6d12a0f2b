/**
 * Why a node does not want a link: a status of HTTP and a small JSON text, the same for an operator with `curl` and for the code of another
 * version.
 */
import { equalBytes, utf8, utf8Text } from "../base/bytes.ts";
import { HELLO_BYTES_MAX, type RefusedLink } from "../ports/transport.ts";
import { commonVersion, type Hello, VERSIONS } from "./peer-protocol.ts";

export interface Refusal {
  /** 400 bad hello, 401 not authenticated, 403 wrong certificate, 409 duplicate node id, 421 wrong cluster or node, 426 version, 503 not now. */
  readonly status: number;
  readonly code: string;
  readonly message: string;
}

export const BAD_HELLO: Refusal = {
  status: 400,
  code: "bad-frame",
  message: "the hello does not follow its format",
};
export const DUPLICATE_NODE_ID: Refusal = {
  status: 409,
  code: "duplicate-node-id",
  message: "another process with this node id is alive",
};
export const NOT_NOW: Refusal = {
  status: 503,
  code: "unavailable",
  message: "this node takes no links now",
};
/** The same whatever was wrong: a stranger learns nothing from it. */
export const NOT_AUTHENTICATED: Refusal = {
  status: 401,
  code: "not-authenticated",
  message: "this node wants to be shown the key of its cluster (cluster-key-file)",
};
const WRONG_CLUSTER: Refusal = {
  status: 421,
  code: "wrong-cluster",
  message: "this node is of another cluster",
};
const VERSION_MISMATCH: Refusal = {
  status: 426,
  code: "version-mismatch",
  message: "no version of the peer protocol in common",
};

/** What speaks against a link between two nodes that have said who they are; `undefined` for nothing (N14, R52). */
export function objection(ours: Hello, theirs: Hello): Refusal | undefined {
  if (commonVersion(ours.versions, theirs.versions) === undefined) return VERSION_MISMATCH;
  if (ours.clusterName !== theirs.clusterName) return WRONG_CLUSTER;
  const isKnock = theirs.purpose === "knock" || ours.purpose === "knock";
  if (isKnock && (isZero(ours.clusterId) || isZero(theirs.clusterId))) return undefined;
  if (isZero(ours.clusterId)) return NOT_NOW;
  return equalBytes(ours.clusterId, theirs.clusterId) ? undefined : WRONG_CLUSTER;
}

const UNCERTIFIED: Refusal = {
  status: 403,
  code: "wrong-certificate",
  message: "the certificate does not name the node that shows it (node-id)",
};

/** Who shows a certificate has to be one of those that it names; nothing is held against a node that is not known yet. */
export function uncertified(
  certified: readonly string[] | undefined,
  name: string | undefined,
): Refusal | undefined {
  if (certified === undefined || name === undefined) return undefined;
  return certified.includes(name) ? undefined : UNCERTIFIED;
}

function isZero(id: Uint8Array): boolean {
  return id.every((byte) => byte === 0);
}

export function refusedLink({ status, code, message }: Refusal): RefusedLink {
  const supported = { min: VERSIONS.min, max: VERSIONS.max };
  return { kind: "refused", status, body: utf8(JSON.stringify({ code, message, supported })) };
}

/** What a refusal says; an answer that is none of ours has only its status. */
export function readRefusal(status: number, body: Uint8Array): Refusal {
  const text = body.length > HELLO_BYTES_MAX ? undefined : utf8Text(body);
  const { code, message } = parseObject(text ?? "");
  return {
    status,
    code: typeof code === "string" ? code : "unknown",
    message: typeof message === "string" ? message : "",
  };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}
