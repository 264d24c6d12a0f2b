/** `hutch snapshot` as the help shows it. */

import type { Command } from "commander";
import { Option } from "commander";
import { clientCommand, examples, jsonOption } from "./command-parts.ts";

export function addSnapshot(program: Command): void {
  const snapshot = program
    .command("snapshot")
    .summary("snapshots of the nodes' disks; all buckets saved to a directory, and restored")
    .description(
      "Two ways to keep what a cluster has. `take` makes each node keep its files as they are in its own data directory, within a moment, whatever their size: for a cluster that is lost as a whole, or one disk. `save` writes all buckets to a directory here, key by key with its causal history, as they are when their turn comes: for other clusters, and to bring single things back.",
    )
    .addHelpText(
      "after",
      examples(
        "hutch snapshot take monday",
        "hutch snapshot ls",
        "hutch snapshot rm monday --yes",
        "hutch snapshot save backup-monday",
        "hutch snapshot restore backup-monday --yes",
      ),
    );
  addNodeSnapshots(snapshot);
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

const NODE_OPTION = ["--node <NAMES>", "only these nodes, with commas"] as const;

/** Those that the nodes keep. */
function addNodeSnapshots(snapshot: Command): void {
  clientCommand(snapshot, "take [NAME]", "let all nodes keep their files as they are now")
    .description(
      "Each node flushes its memory and keeps its tables in snapshots/NAME of its data directory, by hard links: it takes a moment, and no space until compaction replaces tables. What was acknowledged before is in it. Copied into an empty data directory it is the node as it was.",
    )
    .option(...NODE_OPTION)
    .addOption(jsonOption())
    .addHelpText("after", examples("hutch snapshot take", "hutch snapshot take monday --node n1"))
    .action(async (name, options) =>
      (await import("./node-snapshots.ts")).takeSnapshots(name, options),
    );
  clientCommand(snapshot, "ls", "show the snapshots that nodes have")
    .description("Shows the snapshots that nodes have, and which nodes have which.")
    .option(...NODE_OPTION)
    .addOption(jsonOption())
    .addHelpText("after", examples("hutch snapshot ls", "hutch snapshot ls --node n2 --json"))
    .action(async (options) => (await import("./node-snapshots.ts")).listSnapshots(options));
  clientCommand(snapshot, "rm <NAME>", "remove a snapshot of all nodes")
    .description("Removes the snapshot of that name from every node that has it.")
    .option(...NODE_OPTION)
    .addOption(new Option("--yes", "do not ask"))
    .addHelpText("after", examples("hutch snapshot rm monday --yes"))
    .action(async (name, options) =>
      (await import("./node-snapshots.ts")).removeSnapshots(name, options),
    );
}
