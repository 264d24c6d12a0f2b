import { afterAll, describe } from "bun:test";
import { bunPeers } from "./bun-peers.ts";
import { simPeers } from "./sim-peers.ts";
import { transportSuite } from "./transport.suite.ts";

const peers = bunPeers();
afterAll(() => peers.closeAll());

describe("BunTransport", () => {
  transportSuite(peers);
});

describe("SimTransport", () => {
  transportSuite(simPeers(1));
});
