/** `hutch bench` as the help shows it; nothing of the load generator is loaded before it runs. */

import type { Command } from "commander";
import { Option } from "commander";
import { clientCommand, examples } from "./command-parts.ts";

export function addBench(program: Command): void {
  const bench = clientCommand(program, "bench", "put load on a cluster and measure it").description(
    "Puts load on a cluster and measures it: rates, latencies, errors by their code. Loads its keys first. It writes to its bucket: give it one of its own.",
  );
  for (const option of [...whatIsDone(), ...howMuch(), ...whatIsShown()]) bench.addOption(option);
  bench
    .addHelpText("after", WORKLOADS)
    .addHelpText(
      "after",
      examples(
        "hutch bench --workload b --duration 30s",
        "hutch bench --url http://127.0.0.1:7001,http://127.0.0.1:7002,http://127.0.0.1:7003",
        "hutch bench --read-ratio 0.9 --rate 5000 --connections 64",
        "hutch bench --workload c --no-load --json now.json --compare before.json",
      ),
    )
    .action(async (options) => {
      if (options["child"] === true) return (await import("./bench-child.ts")).serveBench();
      await (await import("./bench.ts")).bench(options);
    });
}

function whatIsDone(): Option[] {
  const readRatio = new Option(
    "--read-ratio <SHARE>",
    "instead: this share reads, 0 to 1, the rest writes",
  );
  const options = [
    new Option("--workload <NAME>", "one of YCSB's: a, b, c, d or f").default("a"),
    readRatio,
    new Option(
      "--distribution <KIND>",
      "which keys: uniform, zipfian or latest (default: the workload's)",
    ),
    new Option("--consistency <LEVEL>", "ONE, QUORUM, ALL, or counts such as r=2, w=2"),
    new Option("--bucket <NAME>", "where the keys are").default("bench"),
    new Option("--keys <NUMBER>", "how many there are").default("10000"),
    new Option("--value-bytes <BYTES>", "of each value, from 12 on").default("1000"),
    new Option("--load", "write all keys first").default(true),
    new Option("--no-load", "take them as an earlier run has left them"),
    new Option("--seed <NUMBER>", "equal seeds draw equal keys and operations").default("1"),
    new Option("--child", "take the load of another process").hideHelp(),
  ];
  return options.map((option) => option.helpGroup("What is done:"));
}

function howMuch(): Option[] {
  const options = [
    new Option("--duration <TIME>", "how long it is measured").default("10s"),
    new Option("--warmup <TIME>", "load before that, which does not count").default("1s"),
    new Option("--connections <NUMBER>", "one request in flight on each").default("32"),
    new Option(
      "--rate <NUMBER>",
      "operations a second, due at even intervals; as many as go unless given",
    ),
    new Option(
      "--processes <NUMBER>",
      "share the load, where one core is not enough to make it",
    ).default("1"),
  ];
  return options.map((option) => option.helpGroup("How much:"));
}

function whatIsShown(): Option[] {
  const options = [
    new Option("--json [FILE]", "JSON into a file, or instead of the table"),
    new Option("--compare <FILE>", "ratios to a run that --json has written"),
  ];
  return options.map((option) => option.helpGroup("What is shown:"));
}

const WORKLOADS = [
  "",
  "Workloads:",
  "  a  50 % reads, 50 % writes               zipfian",
  "  b  95 % reads, 5 % writes                zipfian",
  "  c  reads                                 zipfian",
  "  d  95 % reads, 5 % inserts               latest",
  "  f  50 % reads, 50 % read-modify-writes   zipfian",
  "",
  "With --rate a latency counts from when the operation was due, not from when it could be sent:",
  "a server that stalls is not spared the operations that it kept waiting.",
].join("\n");
