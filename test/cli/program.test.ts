import { describe, expect, test } from "bun:test";
import type { Command } from "commander";
import { REST_CODES, PROCESS_CODES, HutchError } from "../../src/base/errors.ts";
import { splitAddress } from "../../src/cli/connect.ts";
import { exitCodeOf } from "../../src/cli/exit-codes.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { visible } from "../../src/cli/terminal.ts";

function commandsOf(command: Command): Command[] {
  return command.commands.flatMap((child) => [child, ...commandsOf(child)]);
}

describe("the program", () => {
  test("has the commands of the contract, each with a description", () => {
    const commands = commandsOf(buildProgram());
    const promised =
      "serve cluster status ring nodes explain get put delete list import export inspect wal sstable manifest config print repair version sim layout show stage apply revert leave remove replace hints";
    expect(commands.map((command) => command.name())).toEqual(
      expect.arrayContaining(promised.split(" ")),
    );
    for (const command of commands) expect(command.description()).toMatch(/\.$/);
  });

  test("every command that talks to a node takes --url and --config", () => {
    const byName = new Map(commandsOf(buildProgram()).map((command) => [command.name(), command]));
    for (const name of "get put delete list import export status ring nodes explain stage apply revert leave remove replace repair hints".split(
      " ",
    ))
      expect(byName.get(name)!.options.map((option) => option.long)).toEqual(
        expect.arrayContaining(["--url", "--config"]),
      );
  });
});

describe("exit codes", () => {
  test("every error code has one of the exit codes of the contract", () => {
    const allowed = new Set([1, 64, 69, 71, 73, 74, 75, 77, 78]);
    for (const code of [...REST_CODES, ...PROCESS_CODES])
      expect(allowed).toContain(exitCodeOf(new HutchError(code, "it failed")));
  });

  test("the ones that scripts rely on", () => {
    const exit = (code: (typeof REST_CODES | typeof PROCESS_CODES)[number]) =>
      exitCodeOf(new HutchError(code, "it failed"));
    expect([exit("key-not-found"), exit("usage"), exit("node-unreachable")]).toEqual([1, 64, 69]);
    expect([exit("port-in-use"), exit("data-dir-in-use"), exit("io-error")]).toEqual([71, 73, 74]);
    expect([exit("disk-stuck"), exit("permission-denied"), exit("bad-config")]).toEqual([
      75, 77, 78,
    ]);
  });
});

describe("splitAddress()", () => {
  test("splits at the first slash and refuses what has no key or bucket", () => {
    expect(splitAddress("demo/a/b")).toEqual({ bucket: "demo", key: "a/b" });
    for (const address of ["demo", "demo/", "/key", ""])
      expect(() => splitAddress(address)).toThrow("BUCKET/KEY");
  });
});

describe("visible()", () => {
  test("shows control characters instead of sending them to the terminal", () => {
    expect(visible("a\u001b[2Jb\n\tc")).toBe("a\\x1b[2Jb\\n\\tc");
    expect(visible("Zürich 東京")).toBe("Zürich 東京");
  });
});
