/**
 * What this machine lets a run do, found out by trying it, and why not where it does not.
 *
 * Nothing is installed. Where a program is missing, the Debian package that has it is named.
 */
import { closeSync, existsSync, openSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { attempt, run } from "./command.ts";
import { entering } from "./namespaces.ts";
import { RELAY_DEVICE } from "./packet-relay.ts";
import { FAULT_KINDS, type FaultKind } from "./plan.ts";
import { PowerLossDisk } from "./power-loss-disk.ts";
import { makeDirectory, runNameOf } from "./scratch.ts";
import { SyncFaults } from "./sync-faults.ts";

/** Why something cannot be done; `undefined` where it can. */
export type WhyNot = string | undefined;

export interface Abilities {
  readonly namespaces: WhyNot;
  /** Inside namespaces only; the relay on loopback needs nothing. */
  readonly trafficControl: WhyNot;
  readonly packetRelay: WhyNot;
  readonly smallDisk: WhyNot;
  readonly clocks: WhyNot;
  readonly powerLoss: WhyNot;
  readonly syncFaults: WhyNot;
}

export type Place = "loopback" | "namespaces";

const PACKAGES = {
  ip: "iproute2",
  tc: "iproute2",
  nft: "nftables",
  nsenter: "util-linux",
  mount: "mount",
} as const;

export async function abilitiesOfThisMachine(): Promise<Abilities> {
  const namespaces = await whyNoNamespaces();
  const inside = (look: () => Promise<WhyNot>): Promise<WhyNot> =>
    namespaces === undefined ? look() : Promise.resolve("there are no namespaces");
  return {
    namespaces,
    trafficControl: await inside(whyNoTrafficControl),
    packetRelay: await inside(whyNoPacketRelay),
    smallDisk: await whyNoSmallDisk(),
    clocks: await whyNoClocks(),
    powerLoss: PowerLossDisk.available(),
    syncFaults: SyncFaults.available(),
  };
}

/** Why a kind of fault is left out on this machine. */
export function whyWithout(kind: FaultKind, abilities: Abilities, place: Place): WhyNot {
  const isInside = place === "namespaces";
  switch (kind) {
    case "slow link":
      return isInside ? abilities.trafficControl : undefined;
    case "bad link":
      return isInside ? abilities.packetRelay : undefined;
    case "full disk":
      return abilities.smallDisk;
    case "clock":
      return abilities.clocks;
    case "power loss":
      return abilities.powerLoss;
    case "sync error":
    case "slow sync":
      return abilities.syncFaults;
    default:
      return undefined;
  }
}

/** For people: one line for each kind of fault, and one for namespaces. */
export function describeAbilities(abilities: Abilities, place: Place): readonly string[] {
  const place_ = abilities.namespaces ?? "possible";
  const lines = FAULT_KINDS.map((kind) => {
    const why = whyWithout(kind, abilities, place);
    return `  ${kind.padEnd(12)} ${why === undefined ? "yes" : `no: ${why}`}`;
  });
  return [`  ${"namespaces".padEnd(12)} ${place_}; nodes are on ${place}`, ...lines];
}

function missing(...programs: readonly (keyof typeof PACKAGES)[]): WhyNot {
  const program = programs.find((name) => Bun.which(name) === null);
  if (program === undefined) return undefined;
  return `there is no "${program}"; the Debian package ${PACKAGES[program]} has it`;
}

function notRoot(): WhyNot {
  if (process.platform !== "linux") return `the system is ${process.platform}, not Linux`;
  return process.getuid?.() === 0 ? undefined : "this user is not root";
}

/** A namespace of its own for a trial, which is gone afterwards. */
async function inTrialNamespace(command: readonly string[], input = ""): Promise<WhyNot> {
  const name = `${runNameOf(process.pid)}-trial`;
  const added = await attempt(["ip", "netns", "add", name]);
  if (!added.isOk) return firstLine(added.stderr);
  const { isOk, stderr } = await attempt(entering(name, command), input);
  await attempt(["ip", "netns", "delete", name]);
  return isOk ? undefined : firstLine(stderr);
}

async function whyNoNamespaces(): Promise<WhyNot> {
  const why = notRoot() ?? missing("ip", "nft", "nsenter");
  if (why !== undefined) return why;
  const rules = `table ip trial {
    set pairs { type ipv4_addr . ipv4_addr; }
    chain forward {
      type filter hook forward priority 0;
      ip saddr . ip daddr @pairs meta l4proto tcp reject with tcp reset
      ip saddr . ip daddr @pairs numgen random mod 100 < 20 drop
    }
  }`;
  return inTrialNamespace(["nft", "-f", "-"], rules);
}

async function whyNoTrafficControl(): Promise<WhyNot> {
  const why = missing("tc");
  return (
    why ?? inTrialNamespace(["tc", "qdisc", "add", "dev", "lo", "root", "handle", "1:", "htb"])
  );
}

/** `netem` is not asked for: our own relay does the same on every kernel. */
async function whyNoPacketRelay(): Promise<WhyNot> {
  try {
    closeSync(openSync("/dev/net/tun", "r+"));
  } catch (thrown) {
    return firstLine(String(thrown));
  }
  return inTrialNamespace(["ip", "tuntap", "add", "dev", RELAY_DEVICE, "mode", "tun"]);
}

async function whyNoSmallDisk(): Promise<WhyNot> {
  const why = notRoot() ?? missing("mount");
  if (why !== undefined) return why;
  const trial = makeDirectory(runNameOf(process.pid));
  const { isOk, stderr } = await attempt(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", trial]);
  if (isOk) await run(["umount", trial]);
  rmSync(trial, { recursive: true, force: true });
  return isOk ? undefined : firstLine(stderr);
}

const LIBRARY_PLACES = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
const FAKETIME = "libfaketime.so.1";
const TRIAL_OFFSET_MS = 3_600_000;

/** The library that gives a process another clock. */
export function faketimePath(): string | undefined {
  const tuples = LIBRARY_PLACES.flatMap((place) => namesIn(place).map((name) => join(place, name)));
  const places = [...LIBRARY_PLACES, ...tuples.filter((path) => path.includes("-linux-"))];
  const paths = places.flatMap((place) => [
    join(place, "faketime", FAKETIME),
    join(place, FAKETIME),
  ]);
  return paths.find((path) => existsSync(path));
}

function namesIn(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : [];
}

/** Variables that set the clock of a process `offsetMs` ahead of the right time; its timers are those of everybody. */
export function clockEnvironment(path: string, offsetMs: number): Readonly<Record<string, string>> {
  const sign = offsetMs < 0 ? "-" : "+";
  return {
    LD_PRELOAD: path,
    FAKETIME: `${sign}${Math.abs(offsetMs) / 1000}`,
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
}

async function whyNoClocks(): Promise<WhyNot> {
  const path = faketimePath();
  if (path === undefined) return `there is no ${FAKETIME}; the Debian package faketime has it`;
  const words = Object.entries(clockEnvironment(path, TRIAL_OFFSET_MS));
  const environment = ["env", "BUN_BE_BUN=1", ...words.map((pair) => pair.join("="))];
  const command = [...environment, process.execPath, "-e", "console.log(Date.now())"];
  const { isOk, stdout, stderr } = await attempt(command);
  if (!isOk) return firstLine(stderr);
  const isAhead = Number(stdout) > Date.now() + TRIAL_OFFSET_MS / 2;
  return isAhead ? undefined : `${FAKETIME} does not move the clock of this Bun`;
}

const firstLine = (text: string): string => text.trim().split("\n")[0] ?? "";
