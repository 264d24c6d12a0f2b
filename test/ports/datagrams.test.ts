import { describe } from "bun:test";
import { datagramsSuite } from "./datagrams.suite.ts";
import { simPeers } from "./sim-peers.ts";

describe("SimDatagrams", () => {
  datagramsSuite(simPeers(1));
});
