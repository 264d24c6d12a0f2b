/** `hutch sim` as the help shows it; nothing of the simulator is loaded before it runs. */

import type { Command } from "commander";
import { Option } from "commander";
import { examples, jsonOption } from "./command-parts.ts";

const collect = (value: string, earlier: readonly string[] = []): string[] => [...earlier, value];

export function addSim(program: Command): void {
  const sim = program
    .command("sim")
    .summary("try to break a simulated cluster")
    .description(
      "Runs whole clusters in virtual time while nodes die, disks fail and networks part, and checks all that clients were told. Equal seeds give equal runs.",
    );
  for (const option of [...whichRuns(), ...whatHappens(), ...whatIsShown()]) sim.addOption(option);
  sim.addHelpText("after", EXIT_CODES);
  sim
    .addHelpText(
      "after",
      examples(
        "hutch sim",
        "hutch sim --seed 42",
        "hutch sim --for 10m --shrink",
        "hutch sim --seeds 100 --nodes 3 --faults crash,power-loss --changes none",
        "hutch sim --workload shop.json --set hint-window=2s",
        "hutch sim --plan .hutch/sim/seed-42.json",
      ),
    )
    .action(async (options) => (await import("./sim.ts")).sim(options));
}

function whichRuns(): Option[] {
  const seed = new Option("--seed <NUMBER>", "the first seed; a fresh one unless given");
  const plan = new Option("--plan <FILE>", "repeat the run of this plan");
  plan.conflicts(["seed", "seeds", "for", "nodes", "racks", "clients", "length"]);
  plan.conflicts(["faults", "changes", "set", "workload", "jobs"]);
  const runs = [
    seed,
    new Option("--seeds <NUMBER>", "how many seeds, one after the other (default: 1)"),
    new Option("--for <TIME>", "take new seeds for so long: 90s, 10m, 1h"),
    plan,
    new Option("--jobs <NUMBER>", "processes (default: one for each core)"),
    new Option("--keep-going", "do not stop at the first run that is broken"),
    new Option("--child", "take runs from another process").hideHelp(),
  ];
  return runs.map((option) => option.helpGroup("Runs:"));
}

function whatHappens(): Option[] {
  const cluster = [
    new Option("--length <TIME>", "virtual time for which clients work (default: 12s)"),
    new Option("--nodes <NUMBER>", "how many (default: 5; 3 to 6 where the ring changes)"),
    new Option("--racks <NUMBER>", "spread the nodes over this many racks (default: 1)"),
    new Option("--clients <NUMBER>", "how many work at the same time (default: 5)"),
    new Option("--faults <KINDS>", "all, none, or some of --list-faults, with commas"),
    new Option("--changes <KINDS>", "what people do to the ring: all, none, or some"),
    new Option("--set <KNOB=VALUE>", "a knob of the nodes; more than once for more").argParser(
      collect,
    ),
    new Option("--workload <FILE>", "buckets and what clients ask of them (docs/simulator.md)"),
  ];
  return cluster.map((option) => option.helpGroup("What happens:"));
}

function whatIsShown(): Option[] {
  const shown = [
    new Option("--shrink", "look for the smallest plan that breaks the same"),
    new Option("--save <DIR>", "keep the plan of each run here; of broken ones in .hutch/sim"),
    new Option("--trace", "tell all that was done to the cluster, of each run"),
    new Option("--words <NUMBER>", "lines of the logs that come with a broken run (default: 40)"),
    new Option("--list-faults", "say what can go wrong, and end"),
    jsonOption(),
  ];
  return shown.map((option) => option.helpGroup("What is shown:"));
}

const EXIT_CODES = [
  "",
  "Exit codes:",
  "  0   everything held",
  "  1   a run is broken; its plan and the command that repeats it are shown",
  "  64  an option or a file makes no sense, 78 a value cannot be",
  "  69  too little was answered to prove anything",
].join("\n");
