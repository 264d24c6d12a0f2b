/**
 * A cluster of real nodes, by name, that grows and shrinks: nodes join while it runs, leave, lose their disks, are replaced.
 *
 * What is asked here is what somebody with `curl` and `hutch` can ask.
 */
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Job } from "../../src/http/admin-api.ts";
import type { LayoutSummary } from "../../src/http/layout-api.ts";
import { type Finished, freePort, hutch, NodeProcess } from "../e2e/node-process.ts";
import type { NodeLine } from "./cluster-eyes.ts";

const ASK_TIMEOUT_MS = 10_000;
const LOOK_EVERY_MS = 200;

interface Place {
  readonly name: string;
  readonly port: number;
  readonly peerPort: number;
  readonly dataDir: string;
  node: NodeProcess | undefined;
}

export class GrowingCluster {
  readonly directory: string;
  private readonly args: readonly string[];
  private readonly places = new Map<string, Place>();
  private readonly ports = new Set<number>();

  constructor(directory: string, args: readonly string[]) {
    this.directory = directory;
    this.args = args;
  }

  /** Founds the cluster with nodes `n1`, `n2`, ... */
  async found(count: number): Promise<void> {
    const names = Array.from({ length: count }, (_, index) => `n${index + 1}`);
    const places = names.map((name) => this.placeOf(name));
    const seeds = places.map(({ peerPort }) => `127.0.0.1:${peerPort}`);
    await Promise.all(places.map((place) => this.spawn(place, seeds, [])));
  }

  /** Those that run. */
  get names(): readonly string[] {
    return [...this.places.values()].flatMap(({ name, node }) => (node === undefined ? [] : name));
  }

  get urls(): readonly string[] {
    return this.names.map((name) => this.url(name));
  }

  url(name: string): string {
    return `http://127.0.0.1:${this.placeOf(name).port}`;
  }

  peerAddress(name: string): string {
    return `127.0.0.1:${this.placeOf(name).peerPort}`;
  }

  dataDir(name: string): string {
    return this.placeOf(name).dataDir;
  }

  /** The flags of `hutch serve` that make it this node of the cluster. */
  serveArgs(name: string): readonly string[] {
    const { port, dataDir } = this.placeOf(name);
    const own = ["--listen", `127.0.0.1:${port}`, "--data-dir", dataDir];
    return ["serve", ...own, ...this.identity(name, this.seedsFor(name))];
  }

  /** Starts a node, on the data that it may have, beside those that run, and waits until it is ready. */
  async start(name: string, args: readonly string[] = []): Promise<void> {
    await this.spawn(this.placeOf(name), this.seedsFor(name), args);
  }

  private seedsFor(name: string): string[] {
    return this.names.filter((other) => other !== name).map((other) => this.peerAddress(other));
  }

  private async spawn(place: Place, seeds: readonly string[], args: readonly string[]) {
    await NodeProcess.start(place.dataDir, {
      port: place.port,
      args: [...this.identity(place.name, seeds), ...args],
      onSpawn: (node) => {
        place.node = node;
      },
    });
  }

  private identity(name: string, seeds: readonly string[]): readonly string[] {
    const own = ["--node-id", name, "--peer", this.peerAddress(name)];
    const place = ["--rack", `rack-${name}`, "--preset", "local"];
    return [...own, ...place, "--seeds", seeds.join(","), ...this.args];
  }

  private placeOf(name: string): Place {
    const known = this.places.get(name);
    if (known !== undefined) return known;
    const dataDir = join(this.directory, name);
    const place: Place = {
      name,
      port: this.port(),
      peerPort: this.port(),
      dataDir,
      node: undefined,
    };
    this.places.set(name, place);
    return place;
  }

  private port(): number {
    let port = freePort();
    while (this.ports.has(port)) port = freePort();
    this.ports.add(port);
    return port;
  }

  /** Waits for the end of a node that runs, after `signal` where one is given, and gives its exit code and what it has logged. */
  async ended(name: string, signal?: NodeJS.Signals): Promise<{ code: number; log: string }> {
    const place = this.placeOf(name);
    const { node } = place;
    if (node === undefined) throw new Error(`${name} does not run`);
    if (signal !== undefined) node.child.kill(signal);
    const code = await node.child.exited;
    place.node = undefined;
    return { code, log: await node.log() };
  }

  wipe(name: string): void {
    rmSync(this.dataDir(name), { recursive: true });
  }

  /** Runs `hutch ARGS` against the first of the nodes that run, `beside` left out. */
  run(args: readonly string[], beside?: string): Promise<Finished> {
    const name = this.names.find((each) => each !== beside)!;
    return hutch(args, { environment: { HUTCH_URL: this.url(name) } });
  }

  /** Kills whatever still runs; gives what each had logged. */
  async stop(): Promise<ReadonlyMap<string, string>> {
    const ends = this.names.map(async (name) => {
      const { log } = await this.ended(name, "SIGKILL");
      return [name, log] as const;
    });
    return new Map(await Promise.all(ends));
  }

  async json<T>(name: string, path: string, method = "GET"): Promise<T> {
    const signal = AbortSignal.timeout(ASK_TIMEOUT_MS);
    const answer = await fetch(`${this.url(name)}${path}`, { method, signal });
    const body = await answer.text();
    if (!answer.ok) throw new Error(`${name}: ${path}: ${answer.status} ${body}`);
    return JSON.parse(body) as T;
  }

  layout(name = this.names[0]!): Promise<LayoutSummary> {
    return this.json(name, "/v1/cluster/layout");
  }

  async metric(name: string, metric: string): Promise<number> {
    const text = await (await fetch(`${this.url(name)}/metrics`)).text();
    return Number(new RegExp(`^${metric} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
  }

  /** Long work of one node to its end, well or not. */
  async job(name: string, kind: "repair" | "flush" | "compact" | "scrub"): Promise<Job> {
    const { id } = await this.json<{ id: string }>(name, `/v1/admin/${kind}`, "POST");
    for (;;) {
      const job = await this.json<Job>(name, `/v1/admin/jobs/${id}`);
      if (job.state !== "running") return job;
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }

  /** Looks until there is no complaint any more. */
  async until(complaintOf: () => Promise<string | undefined>, withinMs: number): Promise<void> {
    const deadlineMs = performance.now() + withinMs;
    for (;;) {
      const complaint = await complaintOf().catch(String);
      if (complaint === undefined) return;
      if (performance.now() > deadlineMs)
        throw new Error(`not within ${Math.round(withinMs / 1000)} s: ${complaint}`);
      await Bun.sleep(LOOK_EVERY_MS);
    }
  }

  /** Until all nodes that run are up in the eyes of all, have nothing for each other, and no change is under way. */
  settled(version: number, withinMs: number): Promise<void> {
    return this.until(async () => {
      for (const name of this.names) {
        const complaint = await this.complaintOf(name, version);
        if (complaint !== undefined) return `${name}: ${complaint}`;
      }
      const { targets } = await this.json<{ targets: unknown[] }>(
        this.names[0]!,
        "/v1/admin/hints",
      );
      return targets.length === 0 ? undefined : `hints: ${JSON.stringify(targets)}`;
    }, withinMs);
  }

  private async complaintOf(name: string, version: number): Promise<string | undefined> {
    const layout = await this.layout(name);
    const { change, staged, conflicts } = layout;
    if (layout.version !== version) return `layout version ${layout.version}, not ${version}`;
    if (change !== null) return `on the way: ${JSON.stringify(change)}`;
    if (staged.length + conflicts.length > 0) return JSON.stringify({ staged, conflicts });
    const { nodes } = await this.json<{ nodes: NodeLine[] }>(name, "/v1/cluster/nodes");
    const states = new Map(nodes.map(({ id, state }) => [id, state]));
    const away = this.names.filter((each) => states.get(each) !== "up");
    if (away.length > 0) return `sees ${away.map((id) => `${id} ${states.get(id)}`).join(", ")}`;
    const { ok } = await fetch(`${this.url(name)}/readyz`);
    return ok ? undefined : "is not ready";
  }
}
