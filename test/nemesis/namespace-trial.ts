/**
 * Looks whether the network between namespaces fails as it is told to: run inside the hub by `namespaces.test.ts`, with the run's name, and prints what it
 * has seen as JSON. Two nodes, each an echo of datagrams and of connections that says who has asked.
 */
import { NamespaceNetwork } from "./namespaces.ts";
import { LOSS_CHANCE } from "./plan.ts";

const [name = "", relay = "", limits = ""] = process.argv.slice(2);
const hasRelay = relay === "true";
const hasLimits = limits === "true";
const PORT = 7001;
const NODES = 2;

/** Asks the other node, and says how it went: commands come in as lines of JSON, answers go out so. */
const AGENT = `
  const port = ${PORT};
  Bun.serve({ hostname: "0.0.0.0", port, fetch: async (request) => new Response((await request.bytes()).length + "") });
  let arrived = 0;
  const socket = await Bun.udpSocket({ hostname: "0.0.0.0", port, socket: { data: () => void arrived++ } });
  const acts = {
    ask: async ({ to, bytes, limitMs }) => {
      const startMs = performance.now();
      const init = { method: "POST", body: new Uint8Array(bytes), signal: AbortSignal.timeout(limitMs), keepalive: false };
      const outcome = await fetch("http://" + to + ":" + port, init).then(() => "ok", (error) => typeof error.code === "string" ? error.code : error.name);
      return { outcome, ms: performance.now() - startMs };
    },
    send: async ({ to, count }) => {
      for (let i = 0; i < count; i++) { socket.send("x", port, to); if (i % 20 === 0) await Bun.sleep(1); }
      return {};
    },
    count: async () => { const all = arrived; arrived = 0; return { arrived: all }; },
  };
  console.log("{}");
  for await (const line of console) { const told = JSON.parse(line); console.log(JSON.stringify(await acts[told.act](told))); }`;

interface Said {
  readonly outcome: string;
  readonly ms: number;
  readonly arrived: number;
}

class Agent {
  private readonly child;
  private readonly lines: AsyncIterator<string>;

  constructor(command: readonly string[]) {
    this.child = Bun.spawn([...command], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    this.lines = linesOf(this.child.stdout);
  }

  async hear(): Promise<Said> {
    return JSON.parse((await this.lines.next()).value as string) as Said;
  }

  async tell(act: string, more: object = {}): Promise<Said> {
    this.child.stdin.write(`${JSON.stringify({ act, ...more })}\n`);
    await this.child.stdin.flush();
    return this.hear();
  }

  end(): void {
    this.child.kill("SIGKILL");
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

const network = await NamespaceNetwork.open(name, NODES, { hasRelay, hasLimits });
const agents = [0, 1].map((index) => {
  const own = [process.execPath, "--no-orphans", "-e", AGENT, `${process.env["TMPDIR"]}/agent`];
  return new Agent(network.commandOf(index, own));
});
for (const agent of agents) await agent.hear();
const addressOf = (index: number): string => new URL(network.urlOf(index)).hostname;

const ask = (from: number, bytes = 0, limitMs = 700): Promise<Said> =>
  agents[from]!.tell("ask", { to: addressOf(1 - from), bytes, limitMs });

async function arrivedOf(from: number, count: number): Promise<number> {
  await agents[from]!.tell("send", { to: addressOf(1 - from), count });
  await Bun.sleep(300);
  return (await agents[1 - from]!.tell("count")).arrived;
}

const seen: Record<string, unknown> = {};
seen["whole"] = [(await ask(0)).outcome, (await ask(1)).outcome, await arrivedOf(0, 100)];

await network.cut(0, 1, "hold");
seen["held one way"] = [(await ask(0)).outcome, await arrivedOf(0, 100), await arrivedOf(1, 100)];
await network.heal();
await network.cut(0, 1, "reset");
seen["reset"] = [(await ask(0)).outcome];
await network.heal();
seen["healed"] = [(await ask(0)).outcome, await arrivedOf(0, 100)];

await network.shape(0, 1, { lossChance: LOSS_CHANCE });
seen["loss"] = [await arrivedOf(0, 1000), await arrivedOf(1, 1000)];
await network.shape(0, 1, undefined);

if (hasLimits) {
  await network.shape(0, 1, { bitsPerSecond: 256_000 });
  seen["slow"] = [(await ask(0, 64_000, 10_000)).ms, (await ask(1, 64_000, 10_000)).ms];
  await network.shape(0, 1, undefined);
}
if (hasRelay) {
  await network.shape(0, 1, { delayMs: 100, duplicateChance: 1 });
  seen["bad"] = [(await ask(0, 0, 5000)).ms, await arrivedOf(0, 100), await arrivedOf(1, 100)];
  await network.shape(0, 1, undefined);
}
seen["perfect"] = [(await ask(0)).ms, (await ask(0, 64_000)).outcome, await arrivedOf(0, 100)];
console.log(JSON.stringify(seen));
for (const agent of agents) agent.end();
await network.close();
process.exit(0);
