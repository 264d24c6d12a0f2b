/** The name of a copy: never used again once something of it is gone, and on disk before it is used. */
import { describe, expect, test } from "bun:test";
import { makeActor } from "../../src/causality/actor.ts";
import { ReplicaName } from "../../src/cluster/replica-name.ts";
import { DiskError } from "../../src/ports/disk.ts";
import { silentLogger } from "../../src/ports/logger.ts";

const ID = new Uint8Array(8).fill(7);
const nameOf = (incarnation: number) => makeActor(ID, incarnation);

/** A name whose next ones a disk takes, or not. */
function scene() {
  const disk: { full: DiskError["kind"] | undefined; asked: boolean[] } = {
    full: undefined,
    asked: [],
  };
  let incarnation = 1;
  const name = new ReplicaName(
    nameOf(1),
    (isUnawares) => {
      disk.asked.push(isUnawares);
      if (disk.full !== undefined) throw new DiskError(disk.full, "IDENTITY.tmp", "full");
      return nameOf(++incarnation);
    },
    silentLogger,
  );
  return { name, disk };
}

const codeOf = (run: () => void): unknown => {
  try {
    run();
  } catch (thrown) {
    return (thrown as { code?: unknown }).code;
  }
  return undefined;
};

describe("the name of a copy", () => {
  test("R12: what was let go of gives another name at once", () => {
    const { name } = scene();
    name.settle();
    expect(name.actor).toBe(nameOf(1));
    name.renew();
    expect(name.actor).toBe(nameOf(2));
    name.settle();
    expect([name.actor, name.mayOutlive]).toEqual([nameOf(2), true]);
  });

  test("R12: a write that the disk took back gives another name before the next one", () => {
    const { name } = scene();
    name.taint();
    expect([name.actor, name.mayOutlive]).toEqual([nameOf(1), false]);
    name.settle();
    expect([name.actor, name.mayOutlive]).toEqual([nameOf(2), true]);
  });

  test("R12: where the disk does not take a name it is owed, and nothing is minted without (seed 70652)", () => {
    const { name, disk } = scene();
    disk.full = "no-space";
    name.renew();
    expect([name.actor, name.mayOutlive]).toEqual([nameOf(1), false]);
    expect(codeOf(() => name.settle())).toBe("disk-full");
    disk.full = "too-many-files";
    expect(codeOf(() => name.settle())).toBe("overloaded");
    disk.full = undefined;
    name.settle();
    expect([name.actor, name.mayOutlive]).toEqual([nameOf(2), true]);
  });

  test("R12d: told by somebody else it is renewed as one that had not noticed", () => {
    const { name, disk } = scene();
    disk.full = "no-space";
    expect(codeOf(() => name.renewUnawares())).toBe("disk-full");
    expect(name.mayOutlive).toBe(false);
    disk.full = undefined;
    name.renewUnawares();
    expect([name.actor, disk.asked]).toEqual([nameOf(2), [true, true]]);
  });

  test("a name that nobody else knows never changes", () => {
    const name = new ReplicaName(nameOf(1), undefined, silentLogger);
    name.taint();
    name.renew();
    name.renewUnawares();
    name.settle();
    expect([name.actor, name.mayOutlive, name.isShared]).toEqual([nameOf(1), true, false]);
  });
});
