/**
 * What must hold between knobs, each with the sentence that says why. Checked at start, before anything is opened.
 *
 * R41: a deletion may be forgotten only when no older write can still be under way. The oldest one that can arrive was
 * accepted `request-timeout-max` ago at the latest, waited `hint-ttl` as a hint, and was stamped by a clock that is
 * `drift-max` off; so gc-delay must be more than their sum.
 */

import type { Config } from "../config.ts";
import { formatAddress, formatDurationMs } from "./knob-kinds.ts";

/** A relation that does not hold: the knob to name first, and the sentence. */
export interface Breach {
  readonly key: keyof Config;
  readonly message: string;
}

/** True for addresses that only this machine reaches. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** True for what a machine listens on to be reached by all its addresses. */
function isEverywhere(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

/** All relations that `config` breaks; empty when it is sound. */
export function breachesOf(config: Config): Breach[] {
  return [
    ...replicationBreaches(config),
    ...addressBreaches(config),
    ...tlsBreaches(config),
    ...peerTlsBreaches(config),
    ...timeBreaches(config),
    ...storageBreaches(config),
  ];
}

function replicationBreaches(config: Config): Breach[] {
  const breaches: Breach[] = [];
  if (config.r > config.n)
    breaches.push({
      key: "r",
      message: `r is ${config.r} and n is ${config.n}: more answers than copies`,
    });
  if (config.w > config.n)
    breaches.push({
      key: "w",
      message: `w is ${config.w} and n is ${config.n}: more acknowledgements than copies`,
    });
  return breaches;
}

function addressBreaches(config: Config): Breach[] {
  const breaches: Breach[] = [];
  if (formatAddress(config.listen) === formatAddress(config.peer))
    breaches.push({
      key: "peer",
      message: `${formatAddress(config.peer)} is the address of listen too; give each its own port`,
    });
  if (config.seeds.length > 0 && config.advertise === "" && isEverywhere(config.peer.host))
    breaches.push({
      key: "peer",
      message: `${formatAddress(config.peer)} means all addresses of this machine, and the other nodes need one; say with advertise where they reach this node`,
    });
  return [...breaches, ...openBreaches(config)];
}

/** Q1: what other machines reach must ask who is there. */
function openBreaches(config: Config): Breach[] {
  if (config.insecureBindPublic) return [];
  return openPorts(config).map((key) => ({
    key,
    message:
      `${formatAddress(config[key])} can be reached from other machines, and ${WANTED[key]}; ` +
      `or listen on 127.0.0.1, or accept with insecure-bind-public that everybody who reaches the port can read and delete everything`,
  }));
}

const WANTED = {
  listen: "nobody asks clients who they are: set auth-tokens, best with tls-cert and tls-key",
  peer: "nobody asks nodes who they are: set cluster-key-file",
} as const;

/** The listeners that other machines reach and that let everybody in. */
export function openPorts(config: Config): ("listen" | "peer")[] {
  const open = { listen: config.authTokens === "", peer: !isPeerSecured(config) };
  return (["listen", "peer"] as const).filter((key) => open[key] && !isLoopback(config[key].host));
}

/** Whether only nodes of the cluster can talk to the peer port. Certificates are for links; datagrams need the key. */
function isPeerSecured({ clusterKeyFile }: Config): boolean {
  return clusterKeyFile !== "";
}

function peerTlsBreaches({ peerCert, peerKey, peerCa }: Config): Breach[] {
  const files = { peerCert, peerKey, peerCa };
  const missing = (["peerCert", "peerKey", "peerCa"] as const).filter((key) => files[key] === "");
  if (missing.length === 0 || missing.length === 3) return [];
  const message =
    "a node shows its certificate and checks that of others: set all of peer-cert, peer-key and peer-ca, or none";
  return [{ key: missing[0]!, message }];
}

function tlsBreaches({ tlsCert, tlsKey }: Config): Breach[] {
  if ((tlsCert === "") === (tlsKey === "")) return [];
  const key = tlsCert === "" ? "tlsKey" : "tlsCert";
  return [
    {
      key,
      message: "a certificate and its key go together: set both of tls-cert and tls-key, or none",
    },
  ];
}

function timeBreaches(config: Config): Breach[] {
  const breaches: Breach[] = [];
  const show = formatDurationMs;
  if (config.requestTimeoutMs > config.requestTimeoutMaxMs)
    breaches.push({
      key: "requestTimeoutMs",
      message: `${show(config.requestTimeoutMs)} is more than request-timeout-max, ${show(config.requestTimeoutMaxMs)}`,
    });
  const underWayMs = config.requestTimeoutMaxMs + config.hintTtlMs + config.driftMaxMs;
  if (config.gcDelayMs <= underWayMs)
    breaches.push({
      key: "gcDelayMs",
      message:
        `${show(config.gcDelayMs)} is not more than request-timeout-max + hint-ttl + drift-max = ${show(underWayMs)}; ` +
        `an older write still under way could bring deleted data back (R41)`,
    });
  if (config.maxAbsenceMs > config.gcDelayMs)
    breaches.push({
      key: "maxAbsenceMs",
      message:
        `${show(config.maxAbsenceMs)} is more than gc-delay, ${show(config.gcDelayMs)}; ` +
        `a node back after that would bring deleted data back (R43)`,
    });
  return breaches;
}

function storageBreaches(config: Config): Breach[] {
  const breaches: Breach[] = [];
  if (config.level0Slowdown <= config.level0Trigger)
    breaches.push({
      key: "level0Slowdown",
      message: `${config.level0Slowdown} is not above level0-trigger, ${config.level0Trigger}`,
    });
  if (config.level0Stop <= config.level0Slowdown)
    breaches.push({
      key: "level0Stop",
      message: `${config.level0Stop} is not above level0-slowdown, ${config.level0Slowdown}`,
    });
  return breaches;
}
