/**
 * An hour of fresh seeds of the simulated cluster (`bun run sim:long`): `hutch sim` with two processes, and with whatever options are given besides.
 *
 *   bun run sim:long --for 8h --keep-going --shrink
 */
import { run } from "../src/cli/program.ts";

await run(["sim", "--for", "60m", "--jobs", "2", ...process.argv.slice(2)]);
