/** The knobs of `config.ts` as flags of a command, and the configuration that flags, variables and file make together. */

import { readFileSync, statSync } from "node:fs";
import type { Command } from "commander";
import { Option } from "commander";
import { HutchError, messageOf } from "../base/errors.ts";
import type { AnyKnob, KnobKey } from "../config.ts";
import { KNOBS, KNOB_KEYS, knobName } from "../config.ts";
import type { ConfigFile, LoadedConfig } from "../config/load-config.ts";
import { loadConfig } from "../config/load-config.ts";

/** A configuration file is a page, not a data set. */
const CONFIG_FILE_BYTES_MAX = 1024 * 1024;

/** Gives `command` a flag for every knob but those of `except`, under the headings of the table. */
export function addKnobOptions(command: Command, except: readonly KnobKey[] = []): Command {
  for (const key of KNOB_KEYS) {
    if (except.includes(key)) continue;
    const { about, group, kind, default: defaultValue }: AnyKnob = KNOBS[key];
    const value = kind.placeholder === "" ? "" : ` <${kind.placeholder}>`;
    const shown = kind.show(defaultValue as never);
    const suffix = shown === "" || kind.placeholder === "" ? "" : ` (default: ${shown})`;
    const option = new Option(`--${knobName(key)}${value}`, `${about}${suffix}`);
    command.addOption(option.helpGroup(`${group[0]!.toUpperCase()}${group.slice(1)}:`));
  }
  return command;
}

/** The knobs among parsed options, by property name, still as text. */
export function knobFlags(
  options: Readonly<Record<string, unknown>>,
): Partial<Record<KnobKey, unknown>> {
  const flags: Partial<Record<KnobKey, unknown>> = {};
  for (const key of KNOB_KEYS) {
    const value = options[new Option(`--${knobName(key)}`).attributeName()];
    if (value !== undefined) flags[key] = value;
  }
  return flags;
}

/** The knobs among parsed options as arguments for another process, without those of `except`. */
export function knobArguments(
  options: Readonly<Record<string, unknown>>,
  except: readonly KnobKey[],
): string[] {
  const flags = Object.entries(knobFlags(options)) as [KnobKey, unknown][];
  return flags
    .filter(([key]) => !except.includes(key))
    .flatMap(([key, value]) => {
      const flag = `--${knobName(key)}`;
      return value === true ? [flag] : [flag, String(value)];
    });
}

/** What `hutch cluster` decides for each of its nodes by itself. */
export const CLUSTER_KNOBS: readonly KnobKey[] = [
  "nodeId",
  "listen",
  "peer",
  "dataDir",
  "seeds",
  "rack",
];

/** The configuration of this process. `options` are those of the command, `--config` among them. */
export function configFrom(options: Readonly<Record<string, unknown>>): LoadedConfig {
  const named = options["config"] ?? process.env["HUTCH_CONFIG"];
  return loadConfig({
    flags: knobFlags(options),
    environment: process.env,
    file: typeof named === "string" && named !== "" ? readConfigFile(named) : undefined,
  });
}

/** Reads TOML, or JSON where the name ends so. */
function readConfigFile(path: string): ConfigFile {
  const refuse = (why: string): HutchError => new HutchError("bad-config", `${path}: ${why}`);
  let text: string;
  let mode: number;
  try {
    const stat = statSync(path);
    if (stat.size > CONFIG_FILE_BYTES_MAX) throw refuse("larger than 1MiB, not a configuration");
    mode = stat.mode;
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw error instanceof HutchError ? error : refuse(messageOf(error));
  }
  let content: unknown;
  try {
    content = path.endsWith(".json") ? JSON.parse(text) : Bun.TOML.parse(text);
  } catch (error) {
    throw refuse(messageOf(error));
  }
  if (typeof content !== "object" || content === null || Array.isArray(content))
    throw refuse("not a table of keys and values");
  return {
    path,
    content: content as Record<string, unknown>,
    isReadableByOthers: (mode & 0o077) !== 0,
  };
}
