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
  if (config.insecureBindPublic) return breaches;
  for (const key of ["listen", "peer"] as const)
    if (!isLoopback(config[key].host))
      breaches.push({
        key,
        message:
          `${formatAddress(config[key])} can be reached from other machines, and there is neither client authentication ` +
          `(auth-file) nor a cluster key (cluster-key-file), which this release does not have; ` +
          `listen on 127.0.0.1, or accept that everybody who reaches the port can read and delete everything with insecure-bind-public`,
      });
  return breaches;
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
