/** The world of one store. */
import type { Clock } from "../ports/clock.ts";
import type { Disk } from "../ports/disk.ts";
import type { Logger } from "../ports/logger.ts";
import type { Random } from "../ports/random.ts";
import type { Workers } from "../ports/workers.ts";
import type { Compression } from "./table/compression.ts";

export interface StorePorts {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  /** Runs the jobs of `jobs.ts`. */
  readonly workers: Workers;
  readonly logger: Logger;
  readonly compression: Compression;
}
