/** What workers do in both worlds. `settle` lets a promise of the world come to its end. */
import { expect, test } from "bun:test";
import { CorruptionError, HutchError } from "../../src/base/errors.ts";
import { type Disk, DiskError } from "../../src/ports/disk.ts";
import type { Workers } from "../../src/ports/workers.ts";

export interface WorkersWorld {
  fresh(): { readonly workers: Workers; readonly disk: Disk };
  settle<T>(promise: Promise<T>): Promise<T>;
}

function textOf(disk: Disk, path: string): string {
  const file = disk.open(path, "read");
  const bytes = new Uint8Array(file.size());
  file.read(bytes, 0);
  file.close();
  return new TextDecoder().decode(bytes);
}

export function workersSuite(world: WorkersWorld): void {
  jobs(world);
  errors(world);
}

function jobs({ fresh, settle }: WorkersWorld): void {
  test("run() hands plain data over and back, and shared memory stays shared", async () => {
    const { workers } = fresh();
    const shared = new Uint8Array(new SharedArrayBuffer(4));
    const job = {
      text: "é",
      bytes: new Uint8Array([1, 2]),
      list: [1, undefined],
      map: new Map([[1, 2]]),
    };
    const back = await settle(workers.run<unknown, typeof job>("echo", job));
    expect(back).toEqual(job);
    expect(back.bytes).not.toBe(job.bytes);
    const view = await settle(workers.run<Uint8Array, Uint8Array>("echo", shared));
    shared[2] = 9;
    expect(view[2]).toBe(9);
    await settle(workers.close());
  });

  test("a job works on the same directory", async () => {
    const { workers, disk } = fresh();
    const size = await settle(workers.run("append", { path: "a", text: "x", waitMs: 1 }));
    expect(size).toBe(4);
    expect(textOf(disk, "a")).toBe("<xx>");
    await settle(workers.close());
  });

  test("jobs of one lane run one after the other, lanes run side by side", async () => {
    const { workers, disk } = fresh();
    const order: string[] = [];
    const append = (kind: string, path: string, text: string, waitMs: number): Promise<void> =>
      workers.run(kind, { path, text, waitMs }).then(() => void order.push(text));
    await settle(
      Promise.all([
        append("append", "a", "1", 60),
        append("append", "a", "2", 60),
        append("append", "a", "3", 0),
        append("appendElsewhere", "b", "other", 0),
      ]),
    );
    expect(textOf(disk, "a")).toBe("<11><22><33>");
    expect(order.filter((text) => text !== "other")).toEqual(["1", "2", "3"]);
    expect(order.indexOf("other")).toBeLessThan(2);
    await settle(workers.close());
  });

  test("close() lets the running job end, and refuses new ones", async () => {
    const { workers, disk } = fresh();
    await settle(workers.run("echo", 1));
    const running = workers.run("append", { path: "a", text: "x", waitMs: 20 });
    await settle(workers.run("appendElsewhere", { path: "b", text: "x", waitMs: 5 }));
    await settle(Promise.all([workers.close(), running]));
    expect(textOf(disk, "a")).toBe("<xx>");
    await expect(settle(workers.run("echo", 1))).rejects.toMatchObject({ code: "shutting-down" });
    await settle(workers.close());
  });
}

function errors({ fresh, settle }: WorkersWorld): void {
  const failing = async (how: string): Promise<Error> => {
    const { workers } = fresh();
    const thrown = await settle(workers.run("fail", how).catch((reason: unknown) => reason));
    expect(await settle(workers.run<number, number>("echo", 5))).toBe(5);
    await settle(workers.close());
    expect(thrown).toBeInstanceOf(Error);
    return thrown as Error;
  };

  test("a DiskError arrives as one", async () => {
    const thrown = await failing("disk");
    expect(thrown).toBeInstanceOf(DiskError);
    expect(thrown).toMatchObject({
      kind: "no-space",
      path: "some/file",
      message: "Cannot append: full",
    });
    expect(await failing("real-disk")).toMatchObject({ kind: "not-found", path: "missing" });
  });

  test("a CorruptionError arrives as one", async () => {
    const thrown = await failing("corruption");
    expect(thrown).toBeInstanceOf(CorruptionError);
    expect(thrown).toMatchObject({ code: "data-corrupt", file: "000000000007.sst", offset: 4096 });
  });

  test("a HutchError arrives with code, retry and data", async () => {
    const thrown = await failing("hutch");
    expect(thrown).toBeInstanceOf(HutchError);
    expect(thrown).toMatchObject({ code: "overloaded", retry: "safe", data: { waiting: 7 } });
  });

  test("anything else arrives with name and message", async () => {
    expect(await failing("type")).toMatchObject({ name: "TypeError", message: "a plain one" });
    expect(await failing("string")).toMatchObject({ name: "Error", message: "just text" });
  });

  test("a kind that nobody knows and a job that cannot be cloned are refused, and nothing is stuck", async () => {
    const { workers } = fresh();
    for (const kind of ["nope", "constructor"]) {
      await expect(settle(workers.run(kind, 1))).rejects.toThrow(`jobs of kind "${kind}"`);
    }
    await expect(settle(workers.run("echo", () => 1))).rejects.toThrow();
    expect(await settle(workers.run<number, number>("echo", 2))).toBe(2);
    await settle(workers.close());
  });
}
