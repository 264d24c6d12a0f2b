import { describe } from "bun:test";
import { simPeers } from "./sim-peers.ts";
import { transportSuite } from "./transport.suite.ts";

describe("SimTransport", () => {
  transportSuite(simPeers(1));
});
