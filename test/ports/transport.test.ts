import { afterAll, describe } from "bun:test";
import { bunPeers } from "./bun-peers.ts";
import { simPeers } from "./sim-peers.ts";
import { testTls } from "../support/test-certificates.ts";
import { transportSuite } from "./transport.suite.ts";

const peers = bunPeers();
const secret = bunPeers(testTls("n1"));
afterAll(() => peers.closeAll());
afterAll(() => secret.closeAll());

describe("BunTransport", () => {
  transportSuite(peers);
});

describe("BunTransport with mutual TLS", () => {
  transportSuite(secret);
});

describe("SimTransport", () => {
  transportSuite(simPeers(1));
});
