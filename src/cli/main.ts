#!/usr/bin/env bun
/**
 * The program `hutch`. This file imports nothing at its start: a Node that can read TypeScript gets as far as here
 * and is told what to type instead of failing on the first thing that only Bun has.
 */

export {};

if (process.versions["bun"] === undefined) {
  process.stderr.write(
    "hutch: this program runs on Bun, and was started with Node\n" +
      "try: npx -y bun@1.4.5 run cluster        a node in this checkout\n" +
      "     npx -y bun@1.4.5 run hutch --help   everything else\n",
  );
  process.exit(64);
}

const { run } = await import("./program.ts");
await run(process.argv.slice(2));
