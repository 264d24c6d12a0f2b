/** What a planted bug makes of the source, as text. */
import { BUGS, type Edit, type PlantedBug } from "./bugs.ts";

const SOURCE = new URL("../../src/", import.meta.url).pathname;

export function bugOf(name: string): PlantedBug {
  const bug = BUGS.find((own) => own.name === name);
  if (bug !== undefined) return bug;
  throw new Error(`no bug has the name "${name}", want ${BUGS.map((own) => own.name).join()}`);
}

/** Edits by the full path of their file. */
export function editsByFile({ edits }: PlantedBug): ReadonlyMap<string, readonly Edit[]> {
  return Map.groupBy(edits, ({ file }) => `${SOURCE}${file}`);
}

/** `source` with the bug in it. Throws unless each text to be replaced occurs exactly once. */
export function planted(source: string, edits: readonly Edit[]): string {
  return edits.reduce((text, { file, find, replace }) => {
    const pieces = text.split(find);
    if (pieces.length === 2) return pieces.join(replace);
    throw new Error(`"${find}" occurs ${pieces.length - 1} times in src/${file}, want once`);
  }, source);
}
