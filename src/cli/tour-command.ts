/** `hutch tour` as the help shows it. */

import type { Command } from "commander";
import { Option } from "commander";
import { examples } from "./command-parts.ts";

export function addTour(program: Command): void {
  program
    .command("tour")
    .summary("see what a cluster does: put, quorum, kill, hint, siblings, repair")
    .description(
      "Starts a cluster of its own, shows with curl what it does, also while a node is dead, and removes it again. Nothing else is touched.",
    )
    .addOption(new Option("--yes", "do not wait for Enter between the steps"))
    .addHelpText("after", examples("hutch tour", "hutch tour --yes"))
    .action(async (options) => (await import("./tour.ts")).tour(options));
}
