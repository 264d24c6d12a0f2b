import { describe, expect, test } from "bun:test";
import { createBunLogger, type BunLoggerOptions } from "../../src/bun/logger.ts";
import type { Logger } from "../../src/ports/logger.ts";

function lines(options: BunLoggerOptions, say: (logger: Logger) => void): string[] {
  const written: string[] = [];
  say(createBunLogger({ ...options, write: (line) => written.push(line) }));
  return written;
}

describe("createBunLogger", () => {
  test("json: one object per line, and fields do not replace time, level and event", () => {
    const written = lines({ format: "json" }, (logger) =>
      logger.warn("wal_tail_truncated", { bytes: 17, event: "fake", level: "fake" }),
    );
    expect(written.length).toBe(1);
    const { time, ...rest } = JSON.parse(written[0]!) as Record<string, unknown>;
    expect(rest).toEqual({ level: "warn", event: "wal_tail_truncated", bytes: 17 });
    expect(Math.abs(Date.parse(String(time)) - Date.now())).toBeLessThan(60_000);
  });

  test("human: time, level, event, fields; coloured when asked", () => {
    const say = (logger: Logger): void => logger.error("x_failed", { ms: 3, file: "a b" });
    const plain = lines({ format: "human", colors: false }, say)[0];
    expect(plain).toMatch(/^\d\d:\d\d:\d\d\.\d{3} .*ERR.* x_failed ms=3 file="a b"\n$/);
    expect(lines({ format: "human", colors: true }, say)[0]).toContain("\u001b[");
  });

  test("stderr that is no terminal gets json", () => {
    const path = JSON.stringify(new URL("../../src/bun/logger.ts", import.meta.url).href);
    const script = `import { createBunLogger } from ${path}; createBunLogger().info("started", { port: 1 });`;
    const child = Bun.spawnSync([process.execPath, "-e", script]);
    expect(child.stdout.toString()).toBe("");
    expect(JSON.parse(child.stderr.toString())).toMatchObject({ event: "started", port: 1 });
  });

  test("the level drops what is below it", () => {
    const all = (logger: Logger): void => {
      logger.debug("d");
      logger.info("i");
      logger.warn("w");
      logger.error("e");
    };
    const counts = (["debug", "info", "warn", "error"] as const).map(
      (level) => lines({ format: "json", level }, all).length,
    );
    expect(counts).toEqual([4, 3, 2, 1]);
  });

  test.each(["json", "human"] as const)(
    "%s: no control or bidi character gets through",
    (format) => {
      const nasty = "a\u0000\u001b[2J\r\n\u007f\u0085\u009b31m\u202e\u2028\u2066b";
      const [line] = lines({ format, colors: false }, (logger) =>
        logger.info("e\n\u001bx", { nasty }),
      );
      expect(line!.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u202e\u2066]/);
      expect(line).toContain("\\u001b");
      if (format === "json")
        expect(JSON.parse(line!)).toMatchObject({ nasty, event: "e\n\u001bx" });
    },
  );
});
