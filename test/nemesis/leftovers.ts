/** Directories in the temporary directory that say whose they are, so that what a killed run has left can be found later. */
import { mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** `prefix` with a hyphen at its end. */
export function makeOwnDirectory(prefix: string, name: string): string {
  return mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-${name}-`));
}

/** Those of this process and of processes that are gone. */
export function leftoversOf(prefix: string): readonly string[] {
  const names = readdirSync(tmpdir()).filter((name) => name.startsWith(prefix));
  return names
    .filter((name) => isOursOrDead(Number(name.slice(prefix.length).split("-")[0])))
    .map((name) => join(tmpdir(), name));
}

function isOursOrDead(pid: number): boolean {
  if (pid === process.pid) return true;
  try {
    process.kill(pid, 0);
    return false;
  } catch (thrown) {
    return (thrown as { code?: string }).code === "ESRCH";
  }
}
