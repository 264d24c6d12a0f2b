/** Somebody else on the machine, before and beside the files that hold secrets. */
import { expect, test } from "bun:test";
import { chmodSync, closeSync, openSync, readFileSync, readSync, statSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AuditFile } from "../../src/bun/audit-file.ts";
import { writeSecretFile } from "../../src/cli/key-file.ts";
import { silentLogger } from "../../src/ports/logger.ts";
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

test("row 97: an audit log that others may read or change is refused, and is as it was", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "audit.log");
    writeFileSync(path, "before\n");
    for (const mode of [0o644, 0o620, 0o602, 0o660]) {
      chmodSync(path, mode);
      expect(() => new AuditFile(path, silentLogger)).toThrow("chmod 600");
      expect(statSync(path).mode & 0o777).toBe(mode);
    }
    chmodSync(path, 0o600);
    const audit = new AuditFile(path, silentLogger);
    audit.write("admin_act", { who: "ops" });
    chmodSync(path, 0o644);
    expect(() => audit.reopen()).toThrow("chmod 600");
    audit.write("admin_act", { who: "ops" });
    expect(readFileSync(path, "utf8").match(/before|admin_act/g)).toHaveLength(3);
  });
});

test("row 97: an audit log that is a link, a directory or a pipe that nobody reads is refused", async () => {
  await withDirectory(async (directory) => {
    const path = join(directory, "audit.log");
    const victim = join(directory, "victim");
    writeFileSync(victim, "mine", { mode: 0o600 });
    symlinkSync(victim, path);
    expect(() => new AuditFile(path, silentLogger)).toThrow("symbolic link");
    expect(readFileSync(victim, "utf8")).toBe("mine");
    expect(() => new AuditFile(directory, silentLogger)).toThrow("Cannot append");
    const pipe = join(directory, "pipe");
    expect(Bun.spawnSync(["mkfifo", "-m", "600", pipe]).exitCode).toBe(0);
    expect(() => new AuditFile(pipe, silentLogger)).toThrow("Cannot append");
  });
});
