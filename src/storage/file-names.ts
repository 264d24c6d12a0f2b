/**
 * Names of the files of a data directory: numbers and fixed suffixes only, never anything a client chose (Q13, Q14).
 *
 *   LOCK IDENTITY CURRENT ALIVE    one each
 *   000000000042.wal               log segment 42
 *   000000000043.sst               table 43
 *   000000000044.manifest          manifest 44
 *   snapshots/NAME/                a snapshot: tables, a manifest, CURRENT, IDENTITY and SNAPSHOT (snapshot-files.ts)
 *   NAME.tmp                       being written; removed at start
 *   NAME.corrupt                   quarantined; never removed automatically (C23)
 */
export const LOCK_FILE = "LOCK";
export const IDENTITY_FILE = "IDENTITY";
export const CURRENT_FILE = "CURRENT";
export const ALIVE_FILE = "ALIVE";
export const SNAPSHOTS_DIRECTORY = "snapshots";
/** In each snapshot: what it is. */
export const SNAPSHOT_FILE = "SNAPSHOT";

const SUFFIXES = { wal: ".wal", table: ".sst", manifest: ".manifest" } as const;
const DIGITS = 12;

export type NumberedFile = keyof typeof SUFFIXES;

export function fileName(kind: NumberedFile, id: number): string {
  return String(id).padStart(DIGITS, "0") + SUFFIXES[kind];
}

/** The kind and number in `name`, or `undefined` for any other file. */
export function parseFileName(name: string): { kind: NumberedFile; id: number } | undefined {
  for (const kind of Object.keys(SUFFIXES) as NumberedFile[]) {
    const suffix = SUFFIXES[kind];
    const digits = name.slice(0, -suffix.length);
    if (name.endsWith(suffix) && /^\d{12,16}$/.test(digits)) return { kind, id: Number(digits) };
  }
  return undefined;
}

export const temporaryName = (name: string): string => `${name}.tmp`;
export const quarantinedName = (name: string): string => `${name}.corrupt`;
