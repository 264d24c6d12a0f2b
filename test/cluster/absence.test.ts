import { expect, test } from "bun:test";
import { HutchError } from "../../src/base/errors.ts";
import { type Absence, aliveSince, mustRebuild } from "../../src/cluster/absence.ts";

const HOUR = 3_600_000;
const NOW = 1_770_000_000_000;

const judge = (changes: Partial<Absence>): boolean | string => {
  try {
    return mustRebuild({
      lastAliveMs: NOW - 25 * HOUR,
      nowMs: NOW,
      othersAliveMs: 1000 * HOUR,
      maxAbsenceMs: 0,
      gcDelayMs: 24 * HOUR,
      rejoin: "refuse",
      isAlone: false,
      ...changes,
    });
  } catch (thrown) {
    const { code, message } = thrown as HutchError;
    return `${code}: ${message}`;
  }
};

test("R43, row 106: a node away for longer than max-absence is refused, with how long, why and what to do", () => {
  const refusal = judge({ lastAliveMs: NOW - 10 * 24 * HOUR - HOUR });
  expect(refusal).toStartWith("data-refused: Cannot start: ");
  for (const part of ["10 days 1 hour ago", "more than 1 day", "deleted", "--rejoin rebuild"])
    expect(refusal).toContain(part);
  expect(judge({ lastAliveMs: NOW - 23 * HOUR })).toBe(false);
  expect(judge({ lastAliveMs: NOW - 23 * HOUR, maxAbsenceMs: HOUR })).toContain("1 hour (max-ab");
});

test("R43: with --rejoin rebuild it comes back to rebuild, and only where it has to", () => {
  expect(judge({ rejoin: "rebuild" })).toBe(true);
  expect(judge({ rejoin: "rebuild", lastAliveMs: NOW - HOUR })).toBe(false);
});

test("R43: a mark that cannot be read is one of long ago; none at all is no absence", () => {
  expect(judge({ lastAliveMs: 0 })).toContain("cannot be read");
  expect(judge({ lastAliveMs: undefined })).toBe(false);
});

test("R43: a node without others is never refused", () => {
  expect(judge({ isAlone: true, lastAliveMs: 0 })).toBe(false);
});

test("row 95: a clock that was set back never makes an absence, one that is an hour ahead only adds that hour", () => {
  expect(judge({ nowMs: NOW - 100 * HOUR })).toBe(false);
  expect(judge({ lastAliveMs: NOW - 22 * HOUR, nowMs: NOW + HOUR })).toBe(false);
});

test("R43: what counts is how long others went on without it: a cluster that was stopped as a whole starts again", () => {
  const stoppedMs = NOW - 48 * HOUR;
  const alsoStopped = { beforeMs: stoppedMs + 2000, startedMs: NOW - 5000, nowMs: NOW };
  expect(aliveSince(stoppedMs, alsoStopped)).toBe(7000);
  const wentOn = { beforeMs: NOW - 100 * HOUR, startedMs: NOW - 99 * HOUR, nowMs: NOW };
  expect(aliveSince(stoppedMs, wentOn)).toBe(48 * HOUR);
  const restarted = { beforeMs: NOW - HOUR, startedMs: NOW - 1000, nowMs: NOW };
  expect(aliveSince(stoppedMs, restarted)).toBe(47 * HOUR + 1000);
  for (const othersAliveMs of [0, 7000, 24 * HOUR])
    expect(judge({ lastAliveMs: stoppedMs, othersAliveMs })).toBe(false);
  expect(judge({ lastAliveMs: stoppedMs, othersAliveMs: 25 * HOUR })).toContain("data-refused");
});
