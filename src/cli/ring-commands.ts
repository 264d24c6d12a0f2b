/** The commands that change the ring or look after its copies. */

import type { Command } from "commander";
import { Option } from "commander";
import { clientCommand, examples, jsonOption, viewCommand } from "./command-parts.ts";

const yesOption = () => new Option("--yes", "do not ask");
const forceOption = () => new Option("--force", "also where it would be refused for being unwise");
const noWaitOption = () => new Option("--no-wait", "do not follow it to its end");

/** What every command takes that becomes a version of the layout. */
function changeCommand(program: Command, usage: string, summary: string): Command {
  return clientCommand(program, usage, summary)
    .addOption(yesOption())
    .addOption(forceOption())
    .addOption(noWaitOption())
    .addOption(jsonOption());
}

export function addLayout(program: Command): void {
  const layout = program
    .command("layout")
    .summary("show and change who owns what")
    .description(
      "Shows the layout, what is staged and how far a change is; stages changes, applies or drops them.",
    )
    .addHelpText(
      "after",
      examples(
        "hutch layout",
        "hutch layout stage --node n4 --weight 2",
        "hutch layout apply",
        "hutch layout --watch",
      ),
    );
  viewCommand(layout, "show", "show it (what `hutch layout` alone does)", { isDefault: true })
    .description("Shows the layout, what is staged, what that would move, and how far a change is.")
    .addHelpText("after", examples("hutch layout", "hutch layout show --json | jq .preview"))
    .action(async (options) => (await import("./layout.ts")).showLayout(options));
  addStage(layout);
  addApply(layout);
  addRevert(layout);
}

function addStage(layout: Command): void {
  clientCommand(layout, "stage", "stage a change of one node")
    .description("Stages a change of one node, and shows what all that is staged would move.")
    .requiredOption("--node <NODE>", "name or id")
    .option("--weight <NUMBER>", "its share of the ring, relative to the others: 1 to 1000")
    .option("--dc <NAME>", "its data centre")
    .option("--rack <NAME>", "its rack")
    .option("--host <NAME>", "its host")
    .addOption(
      new Option("--action <ACTION>", "instead; none takes back what was staged").choices([
        "join",
        "leave",
        "remove",
        "replace",
        "none",
      ]),
    )
    .option("--with <NODE>", "of replace: who takes its place")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      examples(
        "hutch layout stage --node n4 --weight 2",
        "hutch layout stage --node n5 --rack r2",
        "hutch layout stage --node n3 --action leave",
      ),
    )
    .action(async (options) => (await import("./layout.ts")).stageLayout(options));
}

function addApply(layout: Command): void {
  changeCommand(layout, "apply", "make what is staged the next version")
    .description("Shows what is staged, asks, makes it the next version and follows it to its end.")
    .option("--version <NUMBER>", "the one that you were shown; another one is refused")
    .addHelpText("after", examples("hutch layout apply", "hutch layout apply --version 7 --yes"))
    .action(async (options) => (await import("./layout.ts")).applyLayout(options));
}

function addRevert(layout: Command): void {
  clientCommand(layout, "revert", "drop what is staged")
    .description(
      "Drops what is staged; with nothing staged, takes back the change that is under way.",
    )
    .addOption(yesOption())
    .addOption(jsonOption())
    .addHelpText("after", examples("hutch layout revert"))
    .action(async (options) => (await import("./layout.ts")).revertLayout(options));
}

export function addLeave(program: Command): void {
  changeCommand(program, "leave <NODE>", "let a node hand over all it holds, and go")
    .description(
      "Lets a running node hand over all it holds to the others; then it ends, and does not start again on its data.",
    )
    .addHelpText("after", examples("hutch leave n4", "hutch leave n4 --yes --no-wait"))
    .action(async (node, options) => (await import("./layout.ts")).leave(node, options));
}

export function addRemove(program: Command): void {
  changeCommand(program, "remove <NODE>", "remove a node that is gone for good")
    .description(
      "Removes a node that is gone for good: the others make new copies of what it held, and it cannot come back with its data.",
    )
    .addHelpText("after", examples("hutch remove n3", "hutch remove n3 --force"))
    .action(async (node, options) => (await import("./layout.ts")).remove(node, options));
}

export function addReplace(program: Command): void {
  changeCommand(program, "replace <NODE>", "put another node in the place of one that is gone")
    .description(
      "Puts another node, which runs and is not in the layout, in the place of one that is gone for good.",
    )
    .requiredOption("--with <NODE>", "who takes its place")
    .addHelpText("after", examples("hutch replace n3 --with n6"))
    .action(async (node, options) => (await import("./layout.ts")).replace(node, options));
}

export function addRepair(program: Command): void {
  clientCommand(program, "repair", "compare copies and repair them, or repair a data directory")
    .description(
      "Lets a running node compare its copies with those of the other owners and repair both. With --data-dir, repairs the data directory of a stopped node as far as its files allow.",
    )
    .option("--show", "what was compared and repaired so far; starts nothing")
    .option("--watch", "the same, again every second, until Ctrl-C")
    .option("--all", "every node that is up, one after the other")
    .addOption(noWaitOption())
    .option("--data-dir <DIR>", "the data directory of a stopped node instead")
    .option("--accept-loss", "with --data-dir: go on where acknowledged writes may be lost by it")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      examples(
        "hutch repair",
        "hutch repair --all",
        "hutch repair --watch",
        "hutch repair --data-dir .hutch/n1",
      ),
    )
    .action(async (options) => (await import("./repair.ts")).repair(options));
}

export function addHints(program: Command): void {
  viewCommand(program, "hints", "show writes that are held for nodes that were away")
    .description("Shows how many writes all nodes hold for nodes that were away.")
    .addHelpText("after", examples("hutch hints", "hutch hints --watch"))
    .action(async (options) => (await import("./hints.ts")).hints(options));
}
