/**
 * The commands and their options, and how the program ends: whatever a command throws becomes lines on standard error
 * and the exit code of `exit-codes.ts`. Commands are loaded when they run, so `hutch get` never loads the store.
 */

import { Command, CommanderError, Option } from "commander";
import {
  CONFIG_OPTION,
  clientCommand,
  examples,
  jsonOption,
  viewCommand,
} from "./command-parts.ts";
import { EXIT, exitCodeOf } from "./exit-codes.ts";
import { CLUSTER_KNOBS, addKnobOptions } from "./knob-options.ts";
import {
  addHints,
  addLayout,
  addLeave,
  addRemove,
  addRepair,
  addReplace,
} from "./ring-commands.ts";
import { addBench } from "./bench-command.ts";
import { addBuckets } from "./buckets-command.ts";
import { addCompletions } from "./completions-command.ts";
import { addClusterKeys } from "./cluster-keys-command.ts";
import { addMaintain } from "./maintain-command.ts";
import { addSnapshot } from "./snapshot-command.ts";
import { addToken } from "./token-command.ts";
import { addTop } from "./top-command.ts";
import { addTour } from "./tour-command.ts";
import { addSim } from "./sim-command.ts";
import { complain, styled } from "./terminal.ts";

/** Runs the program and sets the exit code; returns when the command is done. */
export async function run(args: readonly string[]): Promise<void> {
  // `hutch list ... | head`: whoever reads has seen enough, and that is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(EXIT.ok);
  });
  try {
    await buildProgram().parseAsync([...args], { from: "user" });
  } catch (error) {
    process.exitCode = exitAfter(error);
  }
}

function exitAfter(thrown: unknown): number {
  // Commander has printed the error and the usage already; its own exit code 0 means that help or a version was asked for.
  if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? EXIT.ok : EXIT.usage;
  complain(thrown);
  return exitCodeOf(thrown);
}

/** All commands; exported so that a test can check every help text. */
export function buildProgram(): Command {
  const program = new Command("hutch")
    .description("A leaderless, replicated key-value store with a plain REST interface.")
    .addHelpCommand(
      new Command("help").argument("[command]").description(HELP_ABOUT).helpGroup("Other:"),
    )
    .configureHelp({
      styleTitle: (text) => styled("bold", text),
      styleCommandText: (text) => styled("cyan", text),
      styleOptionText: (text) => styled("cyan", text),
    })
    .showHelpAfterError("(add --help for everything this command takes)")
    .exitOverride();
  for (const [heading, adders] of COMMANDS) {
    program.commandsGroup(heading);
    for (const addCommand of adders) addCommand(program);
  }
  // Below the others the one for help needs no heading of its own.
  for (const command of program.commands)
    if (command.commands.length > 0) command.helpCommand("help [command]", HELP_ABOUT);
  program.addHelpText(
    "after",
    examples(
      "hutch serve",
      "hutch put demo/hello world",
      "hutch get demo/hello",
      "hutch help serve",
    ),
  );
  return program;
}

const HELP_ABOUT = "show the help of a command";

/** All commands under the headings of the help. */
const COMMANDS: readonly (readonly [
  heading: string,
  adders: readonly ((program: Command) => void)[],
])[] = [
  ["Run it:", [addServe, addCluster, addTour]],
  ["Look at it:", [addStatus, addTop, addRing, addNodes, addHints, addExplain, addHealth]],
  ["Keys and buckets:", [addGet, addPut, addDelete, addList, addBuckets, addImport, addExport]],
  [
    "Change and mend it:",
    [
      addLayout,
      addLeave,
      addRemove,
      addReplace,
      addRepair,
      addMaintain,
      addSnapshot,
      addToken,
      addClusterKeys,
    ],
  ],
  ["Try it out:", [addBench, addSim]],
  ["Other:", [addInspect, addConfig, addCompletions, addVersion]],
];

function addServe(program: Command): void {
  const serve = program
    .command("serve")
    .summary("run one node")
    .description("Runs one node in the foreground. Alone, without seeds, it is a cluster of one.")
    .option("--config <FILE>", CONFIG_OPTION)
    .addHelpText(
      "after",
      examples(
        "hutch serve",
        "hutch serve --listen 127.0.0.1:8001 --data-dir /var/lib/hutch",
        "hutch serve --fsync always --memtable-bytes 16MiB",
      ),
    )
    .action(async (options) => (await import("./serve.ts")).serve(options));
  addKnobOptions(serve);
}

function addCluster(program: Command): void {
  const cluster = program
    .command("cluster")
    .summary("run a local cluster")
    .description(
      "Starts nodes as child processes and stays in the foreground; Ctrl-C stops them cleanly.",
    )
    .option("--nodes <NUMBER>", "how many, 1 to 64 (default: as many as it was scaled to, else 3)")
    .option(
      "--scale <NUMBER>",
      "make the cluster that runs on --data-dir grow or shrink to so many",
    )
    .option("--base-port <PORT>", "port of the first node for clients; the others follow", "7001")
    .option("--peer-base-port <PORT>", "port of the first node for other nodes", "7101")
    .option("--data-dir <DIR>", "where the data live; they survive a restart", ".hutch")
    .option("--fresh", "delete the data of earlier runs first")
    .option(
      "--secure",
      "make keys, certificates and tokens beside the data, and ask for them everywhere",
    )
    .option("--racks <NUMBER>", "spread the nodes over this many racks", "3")
    .option("--restart", "start a node again that died, 1 s later and 10 times a minute at most")
    .option("--config <FILE>", CONFIG_OPTION)
    .addHelpText(
      "after",
      examples(
        "hutch cluster",
        "hutch cluster --nodes 5 --fresh",
        "hutch cluster --secure",
        "hutch cluster --scale 5          # while it runs, from another terminal",
        "hutch cluster --base-port 8001",
      ),
    )
    .action(async (options) => (await import("./cluster.ts")).runCluster(options));
  addKnobOptions(cluster, CLUSTER_KNOBS);
}

function addStatus(program: Command): void {
  viewCommand(program, "status", "show the cluster at a glance")
    .description("Shows the cluster at a glance: its layout, its nodes, what they hold.")
    .addHelpText(
      "after",
      examples("hutch status", "hutch status --watch --url http://127.0.0.1:7002"),
    )
    .action(async (options) => (await import("./status.ts")).status(options));
}

function addRing(program: Command): void {
  viewCommand(program, "ring", "show who owns what")
    .description("Shows how the partitions are shared out, or where one key lives.")
    .option("--key <BUCKET/KEY>", "the owners of this key, and who stands in for them")
    .addHelpText("after", examples("hutch ring", "hutch ring --key demo/hello"))
    .action(async (options) => (await import("./ring.ts")).ring(options));
}

function addNodes(program: Command): void {
  viewCommand(program, "nodes", "show all that is known of each node")
    .description("Shows all that is known of each node.")
    .addHelpText("after", examples("hutch nodes", "hutch nodes --json | jq '.nodes[].state'"))
    .action(async (options) => (await import("./nodes.ts")).nodes(options));
}

function addExplain(program: Command): void {
  viewCommand(program, "explain <BUCKET/KEY>", "show what each owner holds of a key")
    .description("Shows what each owner holds of a key, and whether that is the same.")
    .addHelpText("after", examples("hutch explain demo/hello"))
    .action(async (address, options) => (await import("./explain.ts")).explain(address, options));
}

const consistencyOption = () =>
  new Option("--consistency <LEVEL>", "ONE, QUORUM, ALL, or counts such as r=2 or w=2");
const contextOption = () =>
  new Option("--context <TOKEN>", "causal context of the read that this follows");

function addGet(program: Command): void {
  clientCommand(program, "get <BUCKET/KEY>", "print the value of a key")
    .description(
      "Prints the value of a key as it is; several concurrent values (siblings) as a table, with exit code 0.",
    )
    .addOption(consistencyOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      examples("hutch get demo/hello", "hutch get demo/hello --json | jq .context"),
    )
    .action(async (address, options) => (await import("./keys.ts")).getKey(address, options));
}

function addPut(program: Command): void {
  clientCommand(program, "put <BUCKET/KEY> [VALUE]", "write a key")
    .description("Writes a key: VALUE, or the content of --file, or standard input.")
    .option("--file <FILE>", "take the value from a file")
    .option("--ttl <TIME>", "forget it after this time: 60s, 5m, 2h, 7d, or keep")
    .option("--content-type <TYPE>", "media type to store with it")
    .addOption(consistencyOption())
    .addOption(contextOption())
    .addOption(jsonOption())
    .addHelpText(
      "after",
      examples(
        "hutch put demo/hello world",
        "hutch put demo/photo --file cat.jpg --content-type image/jpeg",
        "date | hutch put demo/now --ttl 60s",
      ),
    )
    .action(async (address, value, options) =>
      (await import("./keys.ts")).putKey(address, value, options),
    );
}

function addDelete(program: Command): void {
  clientCommand(program, "delete <BUCKET/KEY>", "delete a key")
    .description("Deletes a key. A key that is not there is fine.")
    .addOption(consistencyOption())
    .addOption(contextOption())
    .addOption(jsonOption())
    .addHelpText("after", examples("hutch delete demo/hello"))
    .action(async (address, options) => (await import("./keys.ts")).deleteKey(address, options));
}

function addList(program: Command): void {
  clientCommand(program, "list <BUCKET>", "list keys in byte order")
    .description("Lists the keys of a bucket in byte order.")
    .option("--prefix <TEXT>", "only keys that start with it")
    .option("--delimiter <TEXT>", "show what follows it as one folder")
    .option("--limit <NUMBER>", "at most so many keys", "1000")
    .option("--reverse", "from the last key to the first")
    .option("--values", "with their values")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      examples("hutch list demo --prefix user/ --delimiter /", "hutch list demo --values --json"),
    )
    .action(async (bucket, options) => (await import("./keys.ts")).listKeys(bucket, options));
}

const formatOption = () =>
  new Option("--format <FORMAT>", "by the name of the file unless given").choices([
    "ndjson",
    "csv",
  ]);

function addImport(program: Command): void {
  clientCommand(program, "import <BUCKET> <FILE>", "load a file into a bucket")
    .description(
      "Loads NDJSON or CSV into a bucket. Interrupted, it goes on where it was when started again: the position is kept in FILE.hutch-progress.",
    )
    .addOption(formatOption())
    .addOption(
      new Option("--mode <MODE>", "merge: exported lines; write: lines with key and value")
        .choices(["auto", "merge", "write"])
        .default("auto"),
    )
    .option("--from-line <NUMBER>", "start at this line instead, counting from 1")
    .addHelpText(
      "after",
      examples(
        "hutch import cities cities.ndjson",
        "hutch import people people.csv --from-line 5000",
      ),
    )
    .action(async (bucket, file, options) =>
      (await import("./import.ts")).importFile(bucket, file, options),
    );
}

function addExport(program: Command): void {
  clientCommand(program, "export <BUCKET> <FILE>", "write a bucket to a file")
    .description(
      "Writes a bucket to a file: NDJSON with the causal history of each key, or CSV with keys and values. Interrupted, NDJSON goes on where the file ends.",
    )
    .addOption(formatOption())
    .option("--fresh", "overwrite the file instead of going on")
    .addHelpText(
      "after",
      examples("hutch export cities cities.ndjson", "hutch export people people.csv"),
    )
    .action(async (bucket, file, options) =>
      (await import("./export.ts")).exportFile(bucket, file, options),
    );
}

function addInspect(program: Command): void {
  const inspect = program
    .command("inspect")
    .summary("show what is in a file of a data directory")
    .description(
      "Shows what is in a file of a data directory, and whether it is sound. Changes nothing.",
    );
  for (const [kind, what] of [
    ["wal", "a segment of the write-ahead log"],
    ["sstable", "a table"],
    ["manifest", "a manifest"],
  ] as const)
    inspect
      .command(`${kind} <FILE>`)
      .description(`Shows ${what}.`)
      .option("--json", "print JSON")
      .addHelpText("after", examples(`hutch inspect ${kind} .hutch/n1/FILE`))
      .action(async (file, options) =>
        (await import("./inspect.ts")).inspectFile(kind, file, options),
      );
}

function addConfig(program: Command): void {
  const config = program
    .command("config")
    .summary("show the configuration")
    .description("Shows the configuration.");
  const print = config
    .command("print")
    .description(
      "Prints every knob with its value, as a configuration file that would give the same.",
    )
    .option("--origin", "say where each value comes from")
    .option("--json", "print JSON")
    .option("--config <FILE>", CONFIG_OPTION)
    .addHelpText(
      "after",
      examples("hutch config print --origin", "hutch config print --config hutch.toml --json"),
    )
    .action(async (options) => (await import("./config-print.ts")).printConfig(options));
  addKnobOptions(print);
}

function addHealth(program: Command): void {
  clientCommand(program, "health", "say whether a node is up")
    .description("Asks one node whether its process is up; for health checks, by the exit code.")
    .option("--ready", "ask whether it can serve, too")
    .addHelpText("after", examples("hutch health", "hutch health --ready"))
    .action(async (options) => (await import("./health.ts")).health(options));
}

function addVersion(program: Command): void {
  program
    .command("version")
    .summary("print the version")
    .description("Prints the version of the program and of Bun.")
    .action(async () => (await import("./version.ts")).printVersion());
}
