/** Somebody else on the machine, before and beside the files that hold secrets. */
import { expect, test } from "bun:test";
import { chmodSync, closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSecretFile } from "../../src/cli/key-file.ts";
import { withDirectory } from "../e2e/node-process.ts";

const SECRET = "the secret\n";

test("row 97: a link that waits beside a file of secrets leads nowhere", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "tokens.json");
    const victim = join(directory, "victim");
    writeFileSync(victim, "mine", { mode: 0o644 });
    symlinkSync(victim, `${path}.new`);
    writeSecretFile(path, SECRET);
    expect(readFileSync(victim, "utf8")).toBe("mine");
    expect(statSync(victim).mode & 0o777).toBe(0o644);
    expect(readFileSync(path, "utf8")).toBe(SECRET);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});

test("row 97: who holds a file open that waits there does not read the secret", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "cluster.keys");
    writeFileSync(`${path}.new`, "");
    chmodSync(`${path}.new`, 0o666);
    const held = openSync(`${path}.new`, "r");
    try {
      writeSecretFile(path, SECRET);
      expect(readSync(held, Buffer.alloc(SECRET.length), 0, SECRET.length, 0)).toBe(0);
      expect(statSync(path).mode & 0o777).toBe(0o600);
    } finally {
      closeSync(held);
    }
  });
});
