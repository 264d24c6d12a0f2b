/** Texts of others in what a shell reads: completion scripts, and commands that are shown to be copied. */

/** Text between single quotes of bash and zsh. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** One word, in which a shell sees nothing of its own. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : quoted(text);
}
