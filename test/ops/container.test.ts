/** The files for Docker and systemd, as far as they can be checked without either: what they say of hutch is held against hutch. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { YAML } from "bun";
import manifest from "../../package.json" with { type: "json" };
import { EXIT } from "../../src/cli/exit-codes.ts";
import { loadConfig } from "../../src/config/load-config.ts";
import { knobValues } from "../support/serve-arguments.ts";

setDefaultTimeout(30_000);

const repository = join(import.meta.dir, "..", "..");
const ops = join(repository, "ops");
const read = (...path: string[]): string => readFileSync(join(ops, ...path), "utf8");

/** Instructions with their arguments; a line that ends with a backslash goes on. */
function instructionsOf(dockerfile: string): (readonly [name: string, rest: string])[] {
  const lines = dockerfile.replaceAll(/\\\n\s*/g, "").split("\n");
  const told = lines.filter((line) => line !== "" && !line.startsWith("#"));
  return told.map((line) => {
    const [, name, rest] = /^([A-Z]+) (.+)$/.exec(line)!;
    return [name!, rest!];
  });
}

describe("the Dockerfile", () => {
  const all = instructionsOf(read("docker", "Dockerfile"));
  const last = all.slice(all.findLastIndex(([name]) => name === "FROM"));
  const valueOf = (name: string): string => last.findLast(([each]) => each === name)![1];

  test("knows only instructions that there are", () => {
    const known =
      "FROM WORKDIR COPY RUN USER VOLUME EXPOSE STOPSIGNAL HEALTHCHECK ENTRYPOINT CMD".split(" ");
    expect(all.filter(([name]) => !known.includes(name))).toEqual([]);
    expect(all.filter(([name]) => name === "FROM")).toHaveLength(2);
  });

  test("builds with the Bun of the checkout, by a script that there is, from files that there are", () => {
    const version = manifest.packageManager.replace("bun@", "");
    expect(all[0]).toEqual(["FROM", `docker.io/oven/bun:${version}-slim AS build`]);
    expect(all.some(([, rest]) => rest === "bun run build")).toBe(true);
    expect(manifest.scripts.build).toBe("bun scripts/build-executable.ts");
    const ignored = read("docker", "Dockerfile.dockerignore").split("\n");
    expect(ignored[0]).toBe("*");
    for (const line of ignored.filter((each) => each.startsWith("!")))
      expect(statSync(join(repository, line.slice(1))).size).toBeGreaterThan(0);
  });

  test("runs as nobody in particular, asks the program itself for its health, and starts what the program takes", () => {
    expect(valueOf("USER")).toBe("10001:10001");
    expect(valueOf("HEALTHCHECK")).toEndWith('CMD ["/usr/local/bin/hutch", "health"]');
    expect(valueOf("ENTRYPOINT")).toBe('["/usr/local/bin/hutch"]');
    const config = knobValues(JSON.parse(valueOf("CMD")));
    expect(config.dataDir).toStartWith(JSON.parse(valueOf("VOLUME"))[0]);
    const exposed = last
      .filter(([name]) => name === "EXPOSE")
      .flatMap(([, rest]) => rest.split(" "));
    const { listen, peer } = config;
    expect(exposed).toEqual([`${listen.port}/tcp`, `${peer.port}/tcp`, `${peer.port}/udp`]);
  });
});

interface ComposeService {
  readonly hostname: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly ports: readonly string[];
  readonly volumes: readonly string[];
  readonly build: { readonly context: string; readonly dockerfile: string };
}

test("compose.yaml starts three nodes that know each other, open on this machine only", () => {
  const compose = YAML.parse(read("docker", "compose.yaml")) as {
    services: Record<string, ComposeService>;
    volumes: Record<string, unknown>;
  };
  const names = Object.keys(compose.services);
  expect(names).toEqual(["n1", "n2", "n3"]);
  const configs = Object.values(compose.services).map(({ environment }) => {
    const { config, warnings } = loadConfig({ environment, flags: {} });
    expect(warnings).toEqual([]);
    return config;
  });
  const seeds = configs.map(({ advertise }) => advertise);
  for (const [index, config] of configs.entries()) {
    const service = compose.services[names[index]!]!;
    expect([config.nodeId, service.hostname]).toEqual([names[index]!, names[index]!]);
    expect(config.seeds.map(({ host, port }) => `${host}:${port}`)).toEqual(seeds);
    expect(service.ports).toEqual([`${config.advertiseClient}:${config.listen.port}`]);
    expect(config.advertiseClient).toStartWith("127.0.0.1:");
    expect(service.volumes).toEqual([`${names[index]}:/var/lib/hutch`]);
    const context = join(ops, "docker", service.build.context);
    expect(statSync(join(context, service.build.dockerfile)).isFile()).toBe(true);
  }
  expect(new Set(configs.map(({ rack }) => rack)).size).toBe(3);
  expect(Object.keys(compose.volumes)).toEqual(names);
});

describe("the systemd unit", () => {
  const unit = read("systemd", "hutch.service");
  const settings = new Map(
    unit.split("\n").flatMap((line) => {
      const match = /^([A-Za-z]+)=(.*)$/.exec(line);
      return match === null ? [] : [[match[1]!, match[2]!] as const];
    }),
  );

  test("starts what the program takes, and gives it longer to stop than it needs", () => {
    const [program, ...args] = settings.get("ExecStart")!.split(" ");
    expect(program).toBe("/usr/local/bin/hutch");
    const flags = args.filter((arg, index) => arg !== "--config" && args[index - 1] !== "--config");
    const config = knobValues(flags);
    expect(config.dataDir).toStartWith(`/var/lib/${settings.get("StateDirectory")}/`);
    expect(Number(settings.get("TimeoutStopSec")!.replace("s", "")) * 1000).toBeGreaterThanOrEqual(
      2 * config.shutdownTimeoutMs,
    );
  });

  test("does not start again what would end the same way", () => {
    const { usage, dataDirectory, permission, refused } = EXIT;
    expect(settings.get("RestartPreventExitStatus")).toBe(
      [usage, dataDirectory, permission, refused].join(" "),
    );
  });

  test("systemd takes it, and finds it little exposed, where systemd is installed", () => {
    const analyze = Bun.which("systemd-analyze");
    if (analyze === null) return expect(settings.get("NoNewPrivileges")).toBe("yes");
    const directory = mkdtempSync(join(tmpdir(), "hutch-unit-"));
    try {
      // The program need not be installed where this is tested.
      const file = join(directory, "hutch.service");
      writeFileSync(file, unit.replaceAll("/usr/local/bin/hutch", "/bin/sh"));
      const verify = Bun.spawnSync([analyze, "verify", "--man=no", file]);
      expect([verify.exitCode, verify.stderr.toString()]).toEqual([0, ""]);
      const strict = [analyze, "security", "--offline=true", "--threshold=20", file];
      expect(Bun.spawnSync(strict).exitCode).toBe(0);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
