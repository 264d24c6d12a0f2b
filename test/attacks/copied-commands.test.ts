/** Somebody who may name keys, and a person who copies what a command has shown into a shell. */
import { expect, test } from "bun:test";
import { commandToResolve } from "../../src/cli/keys.ts";

/** The words that a program called `hutch` would get. */
function wordsIn(command: string): string[] {
  const shell = Bun.spawnSync(["sh", "-c", `hutch() { printf '%s\\n' "$@"; }; ${command}`]);
  return shell.stdout.toString().trimEnd().split("\n");
}

test("Q21: a key is one word of the command that is shown for its siblings, whatever it is called", () => {
  for (const key of [
    "plain/key-1",
    "a b",
    "$(id)",
    "`id`",
    "x; id",
    "it's",
    "a|b>c&",
    "*",
    "~",
    "#",
  ])
    expect(wordsIn(commandToResolve(`demo/${key}`, "AfV8-_"))).toEqual([
      "put",
      `demo/${key}`,
      "VALUE",
      "--context",
      "AfV8-_",
    ]);
  expect(commandToResolve("demo/a", "c")).toBe("hutch put demo/a VALUE --context c");
});
