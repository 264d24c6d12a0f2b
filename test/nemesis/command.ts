/** Commands of the system that a run needs: `ip`, `nft`, `tc`, `mount` and their like. */

export interface Ran {
  readonly isOk: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. Never rejects: one that is not there has failed. */
export async function attempt(command: readonly string[], input = ""): Promise<Ran> {
  try {
    const child = Bun.spawn([...command], {
      stdin: new TextEncoder().encode(input),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { isOk: exitCode === 0, stdout, stderr: stderr.trim() };
  } catch (thrown) {
    return { isOk: false, stdout: "", stderr: String(thrown) };
  }
}

/** @throws Error with what it said, where it fails */
export async function run(command: readonly string[], input = ""): Promise<string> {
  const { isOk, stdout, stderr } = await attempt(command, input);
  if (!isOk) throw new Error(`${command.join(" ")}: ${stderr}`);
  return stdout;
}
