/** `hutch buckets` as the help shows it. */

import type { Command } from "commander";
import { Option } from "commander";
import { clientCommand, examples, jsonOption } from "./command-parts.ts";

export function addBuckets(program: Command): void {
  const buckets = program
    .command("buckets")
    .summary("list buckets, show and set their properties")
    .description(
      "Lists buckets, shows and sets their properties. A bucket needs no preparation: any name works at once.",
    )
    .addHelpText(
      "after",
      examples("hutch buckets", "hutch buckets show demo", "hutch buckets set demo --ttl 7d"),
    );
  clientCommand(buckets, "list", "list them (what `hutch buckets` alone does)", { isDefault: true })
    .description("Lists the buckets that hold keys or have properties of their own.")
    .addOption(jsonOption())
    .addHelpText("after", examples("hutch buckets", "hutch buckets list --json"))
    .action(async (options) => (await import("./buckets.ts")).listBuckets(options));
  clientCommand(buckets, "show <BUCKET>", "show the properties of one")
    .description("Shows the properties of a bucket.")
    .addOption(jsonOption())
    .addHelpText("after", examples("hutch buckets show demo"))
    .action(async (bucket, options) => (await import("./buckets.ts")).showBucket(bucket, options));
  addSet(buckets);
  clientCommand(buckets, "delete <BUCKET>", "forget the properties of an empty one")
    .description("Forgets the properties of a bucket that holds no keys.")
    .addOption(new Option("--yes", "do not ask"))
    .addHelpText("after", examples("hutch buckets delete demo --yes"))
    .action(async (bucket, options) =>
      (await import("./buckets.ts")).deleteBucket(bucket, options),
    );
}

function addSet(buckets: Command): void {
  clientCommand(buckets, "set <BUCKET>", "set properties of one")
    .description("Sets properties of a bucket, on all nodes; what is not named stays.")
    .option("--n <NUMBER>", "copies of each key, 1 to 15")
    .option("--conflicts <MODE>", "concurrent writes: siblings keeps all, lww the newest")
    .option("--blind-put <MODE>", "a write without a context: supersede, or sibling")
    .option("--consistency <LEVEL>", "of requests that name none")
    .option("--strict <BOOLEAN>", "true: only owners count, nobody stands in for them")
    .option("--ttl <TIME>", "of writes that name none: 60s, 7d, 0 for none")
    .option("--siblings-max <NUMBER>", "concurrent values of a key, 1 to 1000")
    .option("--value-bytes-max <SIZE>", "the largest value: 64KiB, 1MiB")
    .addOption(jsonOption())
    .addHelpText(
      "after",
      examples("hutch buckets set carts --conflicts siblings", "hutch buckets set logs --ttl 7d"),
    )
    .action(async (bucket, options) => (await import("./buckets.ts")).setBucket(bucket, options));
}
