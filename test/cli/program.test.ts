import { describe, expect, test } from "bun:test";
import type { Command } from "commander";
import { REST_CODES, PROCESS_CODES, HutchError } from "../../src/base/errors.ts";
import { splitAddress } from "../../src/cli/connect.ts";
import { exitCodeOf } from "../../src/cli/exit-codes.ts";
import { buildProgram } from "../../src/cli/program.ts";
import { visible } from "../../src/cli/terminal.ts";

/** Every command by its path: `layout stage`. */
function commandsOf(command: Command, above = ""): Map<string, Command> {
  const all = new Map<string, Command>();
  for (const child of command.commands) {
    const path = `${above} ${child.name()}`.trim();
    all.set(path, child);
    for (const [below, each] of commandsOf(child, path)) all.set(below, each);
  }
  return all;
}

const LOCAL =
  "serve|cluster|tour|inspect wal|inspect sstable|inspect manifest|config print|version|sim|completions bash";
const REMOTE =
  "status|top|ring|nodes|hints|explain|health|get|put|delete|list|buckets list|buckets show|buckets set|buckets delete|import|export|layout show|layout stage|layout apply|layout revert|leave|remove|replace|repair|maintain|snapshot take|snapshot ls|snapshot rm|snapshot save|snapshot restore|bench";
const WATCHED = "status|ring|nodes|layout show|hints|repair|explain";

describe("the program", () => {
  const commands = commandsOf(buildProgram());

  test("has the commands of the contract, each with a description", () => {
    const promised = `${LOCAL.replace(" bash", "")}|${REMOTE}`.split("|");
    expect([...commands.keys()]).toEqual(expect.arrayContaining(promised));
    for (const command of commands.values()) expect(command.description()).toMatch(/\.$/);
  });

  test("every command that does something has an example of itself", () => {
    for (const [path, command] of commands) {
      if (path === "version" || command.commands.length > 0) continue;
      let help = "";
      command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp();
      expect([path, help]).toEqual([path, expect.stringContaining("Examples:")]);
      const name = path.replace(/ (list|show)$/, "");
      expect(help.slice(help.indexOf("Examples:"))).toContain(`hutch ${name}`);
    }
  });

  test("every command that talks to a node takes --url and --config", () => {
    for (const path of REMOTE.split("|"))
      expect(commands.get(path)!.options.map((option) => option.long)).toEqual(
        expect.arrayContaining(["--url", "--config"]),
      );
  });

  test("what shows a picture of the cluster takes --json and --watch", () => {
    for (const path of WATCHED.split("|"))
      expect(commands.get(path)!.options.map((option) => option.long)).toEqual(
        expect.arrayContaining(["--json", "--watch"]),
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
