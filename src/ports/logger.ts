/** What a node tells its operator. Fields are facts (`bytes`, `file`, `ms`), never values or tokens. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** `event` is a stable snake_case name, such as `wal_tail_truncated`. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
