/** What `hutch serve ARGS` would run with, by the program's own parser, without starting it. Files that options name need not be there, but for the configuration. */
import type { Command } from "commander";
import { buildProgram } from "../../src/cli/program.ts";
import { configFrom } from "../../src/cli/knob-options.ts";
import type { Config } from "../../src/config.ts";

/** Throws what the program would complain of. */
export function knobValues(args: readonly string[]): Config {
  const [name, ...rest] = args;
  const command = buildProgram().commands.find((each) => each.name() === name) as Command;
  const { operands, unknown } = command.parseOptions([...rest]);
  const strangers = [...operands, ...unknown];
  if (strangers.length > 0) throw new Error(`hutch ${name} does not take ${strangers.join(" ")}`);
  const given = command.opts();
  if (given["config"] === "/run/hutch/hutch.toml") delete given["config"];
  return configFrom(given).config;
}
