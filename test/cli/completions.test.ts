/** Completion scripts: made from the commands, right for their shells, and completing. */
import { describe, expect, test } from "bun:test";
import { commandNodes, completionScript, shortly } from "../../src/cli/completions.ts";
import { SHELLS } from "../../src/cli/completions-command.ts";
import { buildProgram } from "../../src/cli/program.ts";

const nodes = commandNodes(buildProgram());

function run(command: readonly string[], input: string): { exitCode: number; stdout: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], {
    stdin: new TextEncoder().encode(input),
  });
  return { exitCode, stdout: `${stdout.toString()}${stderr.toString()}` };
}

/** What bash offers for the last of the words. */
function bashOffers(...words: readonly string[]): string[] {
  const script = `${completionScript(buildProgram(), "bash")}
COMP_WORDS=(hutch ${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=${words.length}
_hutch
printf '%s\\n' "\${COMPREPLY[@]}"
`;
  const { exitCode, stdout } = run(["bash", "--norc"], script);
  expect([exitCode, stdout]).toEqual([0, expect.any(String)]);
  return stdout.split("\n").filter((line) => line !== "");
}

describe("completion scripts", () => {
  test("know every command and every option", () => {
    expect(nodes.map(({ path }) => path)).toEqual(
      expect.arrayContaining(["", "serve", "layout stage", "buckets set", "completions", "help"]),
    );
    for (const shell of SHELLS) {
      const script = completionScript(buildProgram(), shell);
      for (const { path, commands, options } of nodes) {
        if (shell !== "fish") expect(script).toContain(`'${path}')`);
        for (const { name } of commands) expect(script).toContain(name);
        for (const { flag } of options)
          expect(script).toContain(shell === "fish" ? `-l ${flag.slice(2)}` : flag);
      }
    }
  });

  for (const shell of SHELLS)
    test.skipIf(Bun.which(shell) === null)(`${shell} takes its script`, () => {
      expect(run([shell, "-n"], completionScript(buildProgram(), shell))).toEqual({
        exitCode: 0,
        stdout: "",
      });
    });

  test("bash completes commands, also below others and behind options", () => {
    expect(bashOffers("la")).toEqual(["layout"]);
    expect(bashOffers("layout", "sta")).toEqual(["stage"]);
    expect(bashOffers("status", "--url", "layout", "--w")).toEqual(["--watch"]);
    expect(bashOffers("help", "exp")).toEqual(["explain", "export"]);
    expect(bashOffers("nothing-of-ours", "stat")).toEqual(["status"]);
  });

  test("bash completes options, their choices, and files", () => {
    expect(bashOffers("status", "--w")).toEqual(["--watch"]);
    expect(bashOffers("layout", "--wat")).toEqual(["--watch"]);
    expect(bashOffers("import", "demo", "--format", "")).toEqual(["ndjson", "csv"]);
    expect(bashOffers("completions", "")).toEqual(["bash", "zsh", "fish"]);
    expect(bashOffers("import", "demo", `${import.meta.dir}/completions.t`)).toEqual([
      `${import.meta.dir}/completions.test.ts`,
    ]);
    expect(bashOffers("put", "--content-type", "")).toEqual([]);
  });

  test.skipIf(Bun.which("fish") === null)("fish completes", () => {
    const script = `${completionScript(buildProgram(), "fish")}
complete -C "hutch layout sta"
complete -C "hutch layout stage --action rep"
`;
    expect(run(["fish", "--no-config"], script).stdout).toMatch(
      /^stage\tstage a change of one node\nreplace\t/,
    );
  });

  test("what stands beside a word is its first sentence", () => {
    expect(shortly("Lets a node go. Then it ends.")).toBe("Lets a node go");
    expect(shortly("take new seeds for so long: 90s")).toBe("take new seeds for so long");
  });
});
