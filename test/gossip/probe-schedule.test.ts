import { describe, expect, test } from "bun:test";
import { Prng } from "../../src/base/prng.ts";
import { ProbeSchedule } from "../../src/gossip/probe-schedule.ts";

const any = (): boolean => true;

function scheduleOf(count: number, seed = 1): ProbeSchedule<number> {
  const schedule = new ProbeSchedule<number>(new Prng(seed));
  for (let i = 0; i < count; i++) schedule.add(i);
  return schedule;
}

describe("ProbeSchedule", () => {
  test("meets everybody once in each round, in changing order", () => {
    const schedule = scheduleOf(20);
    const rounds = Array.from({ length: 5 }, () =>
      Array.from({ length: 20 }, () => schedule.next(any)!),
    );
    for (const round of rounds) expect(new Set(round).size).toBe(20);
    expect(new Set(rounds.map(String)).size).toBe(5);
  });

  test("passes over who is not wanted, and gives up when nobody is", () => {
    const schedule = scheduleOf(10);
    for (let i = 0; i < 30; i++) expect(schedule.next((item) => item % 2 === 0)! % 2).toBe(0);
    expect(schedule.next(() => false)).toBeUndefined();
    expect(scheduleOf(0).next(any)).toBeUndefined();
  });

  test("who joins within a round is met in this or the next one; who is removed is met no more", () => {
    const schedule = scheduleOf(10);
    for (let i = 0; i < 4; i++) schedule.next(any);
    schedule.add(99);
    schedule.remove(3);
    schedule.remove(77);
    const met = Array.from({ length: 20 }, () => schedule.next(any));
    expect(met).toContain(99);
    expect(met).not.toContain(3);
    expect(schedule.size).toBe(10);
  });

  test.each([5, 200])("sample() of %d picks different ones that are wanted, by chance", (count) => {
    const schedule = scheduleOf(count);
    const seen = new Set<number>();
    for (let i = 0; i < 200; i++) {
      const picked = schedule.sample(3, (item) => item !== 1);
      expect(new Set(picked).size).toBe(3);
      for (const item of picked) seen.add(item);
    }
    expect(seen.has(1)).toBeFalse();
    expect(seen.size).toBeGreaterThan(count * 0.7);
  });
});
