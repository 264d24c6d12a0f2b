import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { HutchError } from "../../src/base/errors.ts";
import type { Config, KnobKey } from "../../src/config.ts";
import { KNOBS, KNOB_KEYS, knobName, showValue, variableName } from "../../src/config.ts";
import {
  formatDurationMs,
  formatSizeBytes,
  parseDurationMs,
  parseSizeBytes,
} from "../../src/config/knob-kinds.ts";
import type { ConfigSources } from "../../src/config/load-config.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import { openPorts } from "../../src/config/relations.ts";

function load(sources: Partial<ConfigSources> = {}) {
  return loadConfig({ flags: {}, environment: {}, ...sources });
}

function fileOf(content: Record<string, unknown>, isReadableByOthers = false) {
  return { file: { path: "hutch.toml", content, isReadableByOthers } };
}

function errorsOf(sources: Partial<ConfigSources>): string[] {
  try {
    load(sources);
  } catch (error) {
    if (!(error instanceof HutchError)) throw error;
    expect(error.code).toBe("bad-config");
    return error.message.split("\n");
  }
  throw new Error("the configuration was accepted");
}

describe("loadConfig()", () => {
  test("has a sound default for every knob", () => {
    const { config, origins, warnings } = load();
    expect(Object.keys(config).sort()).toEqual([...KNOB_KEYS].sort());
    expect(config.memtableBytes).toBe(64 * 1024 * 1024);
    expect(config.listen).toEqual({ host: "127.0.0.1", port: 7001 });
    expect(new Set(Object.values(origins))).toEqual(new Set(["default"]));
    expect(warnings).toEqual([]);
  });

  test("takes a flag over a variable over the file over the preset over the default", () => {
    const file = fileOf({ preset: "wan", "memtable-bytes": "1MiB", "gossip-interval": "3s" });
    const environment = { HUTCH_MEMTABLE_BYTES: "2MiB", HUTCH_FSYNC: "os" };
    const { config, origins } = load({ ...file, environment, flags: { memtableBytes: "3MiB" } });
    expect([config.memtableBytes, origins.memtableBytes]).toEqual([3145728, "--memtable-bytes"]);
    expect([config.fsync, origins.fsync]).toEqual(["os", "HUTCH_FSYNC"]);
    expect([config.gossipIntervalMs, origins.gossipIntervalMs]).toEqual([3000, "file hutch.toml"]);
    expect([config.hintReplayDelayMs, origins.hintReplayDelayMs]).toEqual([30_000, "preset wan"]);
    expect([config.n, origins.n]).toEqual([3, "default"]);
  });

  test("row 96: shows every error on its own line, with its path in the file", () => {
    const content = {
      "memtable-byts": "1MiB",
      "memtable-age": 5,
      n: 0,
      listen: "127.0.0.1:70000",
      peer: "127.0.0.1:0",
      fsync: "never",
    };
    const lines = errorsOf(fileOf(content));
    expect(lines).toEqual([
      "hutch.toml: memtable-byts: unknown key; did you mean memtable-bytes?",
      "hutch.toml: memtable-age: 5 is not a duration; write one such as 500ms, 10s, 5m or 3h",
      "hutch.toml: n: 0 is outside 1 to 15",
      'hutch.toml: listen: port 70000 of "127.0.0.1:70000" is outside 1 to 65535',
      'hutch.toml: peer: port 0 of "127.0.0.1:0" is outside 1 to 65535',
      'hutch.toml: fsync: "never" is not one of always, group, os',
    ]);
  });

  test("row 96: refuses W > N, R > N and two listeners on one port, wherever they come from", () => {
    expect(errorsOf({ flags: { w: "4" } })[0]).toStartWith("--w: w is 4 and n is 3");
    expect(errorsOf({ environment: { HUTCH_R: "4" } })[0]).toStartWith("HUTCH_R: r is 4");
    expect(errorsOf(fileOf({ peer: "127.0.0.1:7001" }))[0]).toStartWith(
      "hutch.toml: peer: 127.0.0.1:7001",
    );
  });

  test("row 96: checks a line of the file that a flag overrides", () => {
    expect(errorsOf({ ...fileOf({ n: "x" }), flags: { n: "3" } })).toEqual([
      'hutch.toml: n: "x" is not a whole number',
    ]);
  });

  test("row 97: refuses a secret in a file that others can read", () => {
    const lines = errorsOf(fileOf({ "auth-token": "s3cret" }, true));
    expect(lines.join("\n")).toContain("others can read it; chmod 600");
    expect(lines.join("\n")).not.toContain("s3cret");
    expect(errorsOf(fileOf({ "auth-token": "s3cret" })).join("\n")).not.toContain("chmod");
  });

  test("row 101: refuses a listener that others reach, naming the two settings", () => {
    for (const key of ["listen", "peer"] as const)
      for (const host of ["0.0.0.0", "[::]", "192.168.1.4", "example.com"]) {
        const [line] = errorsOf({ flags: { [key]: `${host}:7009` } });
        expect(line).toContain(key === "listen" ? "auth-tokens" : "cluster-key-file");
        expect(line).toContain("insecure-bind-public");
      }
    const open = load({ flags: { listen: "0.0.0.0:7001", insecureBindPublic: true } });
    expect(open.config.listen.host).toBe("0.0.0.0");
  });

  test("Q1, row 101: with auth-tokens listen may be reached by others, peer may not", () => {
    const authTokens = "tokens.json";
    const { config } = load({ flags: { listen: "0.0.0.0:7001", authTokens } });
    expect(openPorts(config)).toEqual([]);
    const both = { listen: "0.0.0.0:7001", peer: "192.168.1.4:7101", authTokens };
    const errors = errorsOf({ flags: both });
    expect(errors).toHaveLength(1);
    expect(errors[0]).toStartWith("--peer: ");
    expect(openPorts(load({ flags: { ...both, insecureBindPublic: true } }).config)).toEqual([
      "peer",
    ]);
  });

  test("a certificate without its key is refused, and so is the key alone", () => {
    expect(errorsOf({ flags: { tlsCert: "cert.pem" } })[0]).toContain("tls-key");
    expect(errorsOf({ flags: { tlsKey: "key.pem" } })[0]).toContain("tls-cert");
  });

  test("a node that listens for peers everywhere has to say where they reach it", () => {
    const everywhere = { peer: "0.0.0.0:7101", insecureBindPublic: true };
    expect(errorsOf({ flags: { ...everywhere, seeds: "hutch-0.hutch:7101" } })[0]).toContain(
      "say with advertise where they reach this node",
    );
    const named = { advertise: "hutch-1.hutch:7101", advertiseClient: "hutch-1.hutch:7001" };
    const { config } = load({ flags: { ...everywhere, ...named, seeds: "hutch-0.hutch:7101" } });
    expect([config.advertise, config.seeds[0]?.host]).toEqual([
      "hutch-1.hutch:7101",
      "hutch-0.hutch",
    ]);
    expect(load({ flags: everywhere }).config.seeds).toEqual([]);
  });

  test("loopback in all its spellings needs no permission", () => {
    for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "[::1]"])
      expect(load({ flags: { listen: `${host}:7009` } }).config.listen.port).toBe(7009);
  });

  test("R41: gc-delay must be more than request-timeout-max + hint-ttl + drift-max", () => {
    const drill = { requestTimeoutMaxMs: "2s", hintTtlMs: "5s", driftMaxMs: "1s" };
    expect(errorsOf({ flags: { ...drill, gcDelayMs: "8s" } })[0]).toContain("= 8s");
    expect(load({ flags: { ...drill, gcDelayMs: "8001ms" } }).config.gcDelayMs).toBe(8001);
  });

  test("R43: max-absence must not be more than gc-delay", () => {
    expect(errorsOf({ flags: { maxAbsenceMs: "25h" } })[0]).toContain("more than gc-delay, 1d");
  });

  test("an unknown variable close to a knob is an error, any other a warning", () => {
    expect(errorsOf({ environment: { HUTCH_MEMTABLE_BYTE: "1" } })).toEqual([
      "HUTCH_MEMTABLE_BYTE: unknown variable; did you mean HUTCH_MEMTABLE_BYTES?",
    ]);
    const kubernetes = { HUTCH_PORT: "tcp://10.0.0.1:7001", HUTCH_SERVICE_HOST: "10.0.0.1" };
    expect(load({ environment: kubernetes }).warnings).toHaveLength(2);
  });

  test("a variable that asks for authentication is refused rather than ignored", () => {
    expect(errorsOf({ environment: { HUTCH_AUTH_FILE: "tokens" } })[0]).toContain(
      "want auth-tokens",
    );
  });
});

describe("knobs", () => {
  test("have distinct names, variables and a sentence each", () => {
    expect(new Set(KNOB_KEYS.map(knobName)).size).toBe(KNOB_KEYS.length);
    expect(new Set(KNOB_KEYS.map(variableName)).size).toBe(KNOB_KEYS.length);
    for (const key of KNOB_KEYS) expect(KNOBS[key].about).toMatch(/^[A-Z].*\.$/);
  });

  test("the names of the contract are flags", () => {
    const promised =
      "node-id listen peer data-dir seeds cluster dc rack host weight fsync memtable-bytes memtable-age wal-segment-bytes " +
      "gossip-interval hint-window hint-ttl hint-bytes-max repair-interval gc-delay max-absence scrub-interval " +
      "request-timeout request-timeout-max hint-replay-delay disk-reserve partitions rejoin replace";
    expect(KNOB_KEYS.map(knobName)).toEqual(expect.arrayContaining(promised.split(" ")));
  });

  test("every default reads back from its own text", () => {
    const { config } = load();
    const shown: Partial<Record<KnobKey, unknown>> = {};
    for (const key of KNOB_KEYS) shown[key] = showValue(key, config[key] as never);
    expect(load({ flags: shown }).config).toEqual(config satisfies Config);
  });

  test("durations and sizes read back from their text", () => {
    fc.assert(
      fc.property(fc.nat(2 ** 40), (value) => {
        expect(parseDurationMs(formatDurationMs(value))).toBe(value);
        expect(parseSizeBytes(formatSizeBytes(value))).toBe(value);
      }),
    );
    expect(["500ms", "10s", "3h", "14d", "0"].map(parseDurationMs)).toEqual([
      500, 10_000, 10_800_000, 1_209_600_000, 0,
    ]);
    expect(["10", "-1s", "1w", "", "1 s"].map(parseDurationMs)).toEqual(Array(5).fill(undefined));
    expect(["4KiB", "64MiB", "7"].map(parseSizeBytes)).toEqual([4096, 67_108_864, 7]);
    expect(["4kb", "-1", "", "1.5.2MiB"].map(parseSizeBytes)).toEqual(Array(4).fill(undefined));
  });
});
