import { afterAll, describe } from "bun:test";
import { bunPeers } from "./bun-peers.ts";
import { datagramsSuite } from "./datagrams.suite.ts";
import { simPeers } from "./sim-peers.ts";

const peers = bunPeers();
afterAll(() => peers.closeAll());

describe("BunDatagrams", () => {
  datagramsSuite(peers);
});

describe("SimDatagrams", () => {
  datagramsSuite(simPeers(1));
});
