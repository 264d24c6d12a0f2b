/**
 * `hutch repair --data-dir`: makes the data directory of a stopped node openable again.
 *
 * The directory is opened as by a node and let go as after a crash: what was repaired may have forgotten writes, so the next
 * start takes a new incarnation and never mints a dot under the old name (R12).
 */

import { statSync } from "node:fs";
import { HutchError, messageOf } from "../base/errors.ts";
import { createBunLogger } from "../bun/logger.ts";
import { DataDirectory, readIdentity } from "../storage/data-directory.ts";
import { repairStore } from "../storage/repair.ts";
import { DEFAULT_STORE_OPTIONS } from "../storage/store.ts";
import { createBunPorts } from "./bun-ports.ts";
import { print } from "./terminal.ts";

export async function repairDirectory(options: Readonly<Record<string, unknown>>): Promise<void> {
  const dataDir = String(options["dataDir"]);
  const ports = createBunPorts({
    dataDir: existingDirectory(dataDir),
    logger: createBunLogger(),
  });
  const { disk, clock, random, workers } = ports;
  const before = readIdentity(disk);
  if (before === undefined)
    throw new HutchError("data-refused", `Cannot repair "${dataDir}": no node's data are there`);
  const directory = DataDirectory.open(disk, clock, random, "hutch repair", before.q);
  try {
    const acceptLoss = options["acceptLoss"] === true;
    const report = await repairStore(ports, DEFAULT_STORE_OPTIONS, directory.identity, acceptLoss);
    if (options["json"] === true) print(JSON.stringify(report, null, 2));
    else showReport(report);
  } finally {
    await workers.close();
    directory.release();
  }
}

/** Opening the disk would make a directory that is not there. */
function existingDirectory(dataDir: string): string {
  try {
    statSync(dataDir);
    return dataDir;
  } catch (error) {
    throw new HutchError("data-dir-unusable", `Cannot repair "${dataDir}": ${messageOf(error)}`);
  }
}

function showReport(report: Awaited<ReturnType<typeof repairStore>>): void {
  print(`kept ${report.tablesKept} tables, replayed ${report.entriesReplayed} entries of the log`);
  for (const file of report.setAside) print(`set aside ${file}`);
  for (const loss of report.losses) print(`lost: ${loss}`);
  if (report.losses.length === 0) print("nothing that was acknowledged is missing");
}
