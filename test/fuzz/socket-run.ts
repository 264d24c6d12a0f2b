/**
 * Damaged bytes on real connections to the real server. Held: every answer is below 500 (or says that something is not built), the connection ends, nothing is
 * written where nothing was answered with success, and afterwards the server still serves.
 */
import { connect } from "node:net";
import { Metrics } from "../../src/base/metrics.ts";
import { Prng } from "../../src/base/prng.ts";
import { BunClock } from "../../src/bun/clock.ts";
import { type HttpServer, startHttpServer } from "../../src/bun/http-server.ts";
import { BunRandom } from "../../src/bun/random.ts";
import { createApp } from "../../src/http/app.ts";
import { silentLogger } from "../../src/ports/logger.ts";
import { FakeAdmin, FakeKv } from "../support/fake-kv.ts";
import { drawRequest, type KnownTokens, wireBytesOf } from "./http-requests.ts";
import { mutated } from "./mutate.ts";

const NO_TOKENS: KnownTokens = { contexts: [], sessions: [], cursors: [], etags: [] };
/** The server hears the end of what is sent at once. */
const ANSWER_MS_MAX = 20_000;
const BYTES_SHOWN = 400;

export class SocketRun {
  connections = 0;
  unanswered = 0;
  refused = 0;
  answered = 0;
  private readonly prng: Prng;
  private readonly kv: FakeKv;
  private readonly server: HttpServer;

  constructor(seed: number) {
    this.prng = new Prng(`sockets/${seed}`);
    const clock = new BunClock();
    this.kv = new FakeKv(clock);
    const app = createApp({
      kv: this.kv,
      admin: new FakeAdmin(),
      random: new BunRandom(),
      clock,
      logger: silentLogger,
      metrics: new Metrics(),
    });
    this.server = startHttpServer({ app, hostname: "127.0.0.1", port: 0, logger: silentLogger });
  }

  async send(count: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.tryOne();
    await this.expectServes();
  }

  private async tryOne(): Promise<void> {
    const { prng, kv } = this;
    const [one, other] = [1, 2].map(() => wireBytesOf(drawRequest(prng, NO_TOKENS)));
    const bytes = mutated(prng, one!, other!);
    const before = kv.writeCount;
    const statuses = await this.statusesOf(bytes);
    this.connections++;
    const fail = (what: string): never => {
      const sent = Buffer.from(bytes).toString("latin1").slice(0, BYTES_SHOWN);
      throw new Error(`${JSON.stringify(sent)}: ${what}`);
    };
    if (statuses === undefined) return fail("the connection does not end");
    const faults = statuses.filter((status) => status >= 500 && status !== 501 && status !== 505);
    if (faults.length > 0) fail(`answered with ${faults.join()}`);
    const isRefused = statuses.every((status) => status >= 400);
    // Of an import that breaks off the lines before stay: they are written as they come.
    const mayWrite = Buffer.from(bytes).includes("/v1/import/");
    if (isRefused && !mayWrite && kv.writeCount !== before)
      fail(`refused with ${statuses.join()} and written`);
    if (statuses.length === 0) this.unanswered++;
    else if (isRefused) this.refused++;
    else this.answered++;
  }

  /** Of all answers on one connection; `undefined` where it does not end. */
  private statusesOf(bytes: Uint8Array): Promise<number[] | undefined> {
    const { promise, resolve } = Promise.withResolvers<number[] | undefined>();
    let text = "";
    const socket = connect({ port: this.server.port, host: "127.0.0.1" });
    const timer = setTimeout(() => {
      socket.destroy();
      resolve(undefined);
    }, ANSWER_MS_MAX);
    const end = (): void => {
      clearTimeout(timer);
      const lines = [...text.matchAll(/^HTTP\/1\.1 (\d{3})/gm)];
      resolve(lines.map((match) => Number(match[1])));
    };
    socket.on("data", (data) => (text += data.toString("latin1")));
    socket.on("error", end);
    socket.on("close", end);
    socket.on("connect", () => socket.end(bytes));
    return promise;
  }

  private async expectServes(): Promise<void> {
    const url = `http://127.0.0.1:${this.server.port}/v1/kv/demo/still`;
    const put = await fetch(url, { method: "PUT", body: "here" });
    const get = await (await fetch(url)).text();
    if (put.status !== 204 || get !== "here")
      throw new Error(`the server does not serve any more: ${put.status} ${get}`);
  }

  async stop(): Promise<void> {
    await this.server.stop(0);
  }
}
