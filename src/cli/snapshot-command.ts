/** `hutch snapshot` as the help shows it. */

import type { Command } from "commander";
import { Option } from "commander";
import { clientCommand, examples } from "./command-parts.ts";

export function addSnapshot(program: Command): void {
  const snapshot = program
    .command("snapshot")
    .summary("save all buckets to a directory, and restore them")
    .description(
      "Saves all buckets of a running cluster to a directory, and restores them. Each key is whole, with its causal history; keys that are written meanwhile are saved as they are when their turn comes.",
    )
    .addHelpText(
      "after",
      examples("hutch snapshot save backup-monday", "hutch snapshot restore backup-monday --yes"),
    );
  clientCommand(snapshot, "save <DIR>", "save all buckets")
    .description(
      "Saves the keys and properties of all buckets. Interrupted, it goes on where it was when started again.",
    )
    .addHelpText("after", examples("hutch snapshot save backup-monday"))
    .action(async (directory, options) =>
      (await import("./snapshot.ts")).saveSnapshot(directory, options),
    );
  clientCommand(snapshot, "restore <DIR>", "bring saved buckets back")
    .description(
      "Merges what was saved into the cluster: what is newer there stays, and restoring twice changes nothing. What was deleted since stays deleted for as long as the cluster remembers that.",
    )
    .addOption(new Option("--yes", "do not ask"))
    .addHelpText("after", examples("hutch snapshot restore backup-monday"))
    .action(async (directory, options) =>
      (await import("./snapshot.ts")).restoreSnapshot(directory, options),
    );
}
