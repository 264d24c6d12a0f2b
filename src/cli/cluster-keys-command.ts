/** `hutch keys ...` and its help. */
import type { Command } from "commander";
import type { KeyOptions } from "./cluster-keys.ts";
import { examples, jsonOption } from "./command-parts.ts";

const load = () => import("./cluster-keys.ts");

export function addClusterKeys(program: Command): void {
  const keys = program
    .command("keys")
    .summary("make and change the keys that nodes share")
    .description(
      "Makes and changes the file with the cluster's keys (cluster-key-file): the first seals, all open, at most 3. " +
        "After each step give every node the file and send SIGHUP; only then take the next one.",
    )
    .addHelpText(
      "after",
      examples(
        "hutch keys new --file cluster.keys",
        "hutch keys install --file cluster.keys      # then SIGHUP all nodes",
        "hutch keys use 1f2e3d4c --file cluster.keys # then SIGHUP all nodes",
        "hutch keys list --file cluster.keys",
      ),
    );
  fileCommand(keys, "new", "a file with one new key").action(async (options: KeyOptions) =>
    (await load()).newKeys(options),
  );
  fileCommand(keys, "list", "names of the keys; never the keys")
    .addOption(jsonOption())
    .action(async (options: KeyOptions) => (await load()).listKeys(options));
  fileCommand(
    keys,
    "install [FROM]",
    "add a new key, or those of another file (-: standard input)",
  ).action(async (from: string | undefined, options: KeyOptions) =>
    (await load()).installKey(from, options),
  );
  fileCommand(keys, "use <KEY>", "make an installed key the one that seals").action(
    async (key: string, options: KeyOptions) => (await load()).useKey(key, options),
  );
  fileCommand(keys, "remove <KEY>", "take out a key that seals no more").action(
    async (key: string, options: KeyOptions) => (await load()).removeKey(key, options),
  );
}

function fileCommand(keys: Command, usage: string, summary: string): Command {
  const typed = usage.replace(" [FROM]", "").replace("<KEY>", "1f2e3d4c");
  return keys
    .command(usage)
    .summary(summary)
    .description(`${summary[0]!.toUpperCase()}${summary.slice(1)}.`)
    .requiredOption("--file <FILE>", "the file with the keys")
    .addHelpText("after", examples(`hutch keys ${typed} --file cluster.keys`));
}
