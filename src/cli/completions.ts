/**
 * `hutch completions`: scripts for shells, made from the tree of commands, so that they know what this very program knows.
 *
 * All three scripts work alike. They walk the words typed so far down the tree (an option that takes a value takes the next word with it), and offer
 * what fits there: the choices of an option, files where a file is wanted, options after a dash, else the commands below.
 */

import type { Argument, Command, Option } from "commander";
import { bashScript } from "./completions-bash.ts";
import type { Shell } from "./completions-command.ts";
import { fishScript } from "./completions-fish.ts";
import { zshScript } from "./completions-zsh.ts";

/** What may follow an option or stand for an argument. */
export type Wanted =
  | { readonly kind: "nothing" }
  | { readonly kind: "anything" }
  | { readonly kind: "file" }
  | { readonly kind: "directory" }
  | { readonly kind: "choice"; readonly words: readonly string[] };

export interface OptionNode {
  /** With its dashes. */
  readonly flag: string;
  readonly about: string;
  readonly wanted: Wanted;
}

export interface CommandNode {
  /** `layout stage`; "" is the program itself. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly about: string }[];
  readonly options: readonly OptionNode[];
  /** Of all arguments together. */
  readonly wanted: Wanted;
}

/** Every command with what it takes, the program itself first. */
export function commandNodes(command: Command, path = ""): CommandNode[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command);
  const options = help.visibleOptions(command).filter(({ long }) => long !== undefined);
  const node: CommandNode = {
    path,
    commands: commands.map((child) => ({ name: child.name(), about: aboutOf(child) })),
    options: options.map(optionNode),
    wanted: wantedByAll(command.registeredArguments),
  };
  const below = commands
    .filter((child) => command.commands.includes(child))
    .flatMap((child) =>
      commandNodes(child, path === "" ? child.name() : `${path} ${child.name()}`),
    );
  return [withDefault(node, below, command), ...helpNodes(node), ...below];
}

/** `hutch help` takes the other commands. */
function helpNodes({ path, commands }: CommandNode): CommandNode[] {
  if (!commands.some(({ name }) => name === "help")) return [];
  const others = commands.filter(({ name }) => name !== "help");
  const helpPath = path === "" ? "help" : `${path} help`;
  return [{ path: helpPath, commands: others, options: [], wanted: { kind: "nothing" } }];
}

/** `hutch layout --watch` is `hutch layout show --watch`. */
function withDefault(
  node: CommandNode,
  below: readonly CommandNode[],
  command: Command,
): CommandNode {
  const name = (command as { readonly _defaultCommandName?: string | null })._defaultCommandName;
  const usual = below.find(({ path }) => path === `${node.path} ${name}`.trim());
  if (name === undefined || name === null || usual === undefined) return node;
  const own = new Set(node.options.map(({ flag }) => flag));
  return {
    ...node,
    options: [...node.options, ...usual.options.filter(({ flag }) => !own.has(flag))],
  };
}

function aboutOf(command: Command): string {
  return command.summary() || command.description();
}

function optionNode(option: Option): OptionNode {
  return { flag: option.long!, about: option.description, wanted: wantedByOption(option) };
}

function wantedByOption({ flags, argChoices, required, optional }: Option): Wanted {
  if (!required && !optional) return { kind: "nothing" };
  if (argChoices !== undefined) return { kind: "choice", words: argChoices };
  return wantedByName(flags);
}

function wantedByAll(all: readonly Argument[]): Wanted {
  for (const argument of all) {
    if (argument.argChoices !== undefined) return { kind: "choice", words: argument.argChoices };
    const wanted = wantedByName(`<${argument.name()}>`);
    if (wanted.kind !== "anything") return wanted;
  }
  return { kind: "anything" };
}

/** Placeholders say what they stand for. */
function wantedByName(flags: string): Wanted {
  if (/[<[](FILE|PATH)[\]>]/.test(flags)) return { kind: "file" };
  if (/[<[]DIR[\]>]/.test(flags)) return { kind: "directory" };
  return { kind: "anything" };
}

const SCRIPTS: Readonly<Record<Shell, (nodes: readonly CommandNode[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

export function completionScript(program: Command, shell: Shell): string {
  return SCRIPTS[shell](commandNodes(program));
}

export function printCompletions(program: Command, shell: Shell): void {
  process.stdout.write(completionScript(program, shell));
}

/** The first sentence, short enough for one line beside the word. */
export function shortly(about: string): string {
  const first = about.split(/[;:(]|\. /)[0]!.trim();
  return first.replaceAll(/\s+/g, " ");
}

/** Options of all commands that take a value: a script skips the word behind them. */
export function flagsWithValue(nodes: readonly CommandNode[]): string[] {
  const flags = nodes.flatMap(({ options }) =>
    options.filter(({ wanted }) => wanted.kind !== "nothing").map(({ flag }) => flag),
  );
  return [...new Set(flags)].sort();
}
