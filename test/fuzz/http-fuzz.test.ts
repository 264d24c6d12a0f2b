/** Damaged requests, to a whole node in virtual time and, byte by byte, to the real server (rows 1 to 53 have named cases of the same). */
import { beforeAll, describe, expect, test } from "bun:test";
import "../../src/bun/native-kernels.ts";
import { HttpRun, unpackPages } from "./http-run.ts";
import { SocketRun } from "./socket-run.ts";

const SEED = Number(process.env["HUTCH_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const NODES = 3;
const REQUESTS = 300;
const CONNECTIONS = 400;
const TIMEOUT_MS = 60_000;

beforeAll(unpackPages);

describe("damaged requests", () => {
  test.each(Array.from({ length: NODES }, (_, i) => SEED + i))(
    "NW: a refused one writes nothing, and none is the node's own fault (seed %d)",
    (seed) => {
      const run = new HttpRun(seed);
      run.send(REQUESTS);
      const statuses = [...run.byStatus.keys()];
      // A run in which everything is refused proves nothing, nor does one in which nothing is.
      expect(statuses.some((status) => status < 300)).toBe(true);
      expect(statuses).toContain(400);
      expect(run.requests).toBeGreaterThan(REQUESTS / 2);
    },
    TIMEOUT_MS,
  );

  test(
    `on real connections they end, and the server still serves (seed ${SEED})`,
    async () => {
      const run = new SocketRun(SEED);
      try {
        await run.send(CONNECTIONS);
      } finally {
        await run.stop();
      }
      expect(run.refused).toBeGreaterThan(0);
      expect(run.answered).toBeGreaterThan(0);
    },
    TIMEOUT_MS,
  );
});
