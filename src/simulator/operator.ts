/**
 * Who changes the ring of a simulated cluster, by the REST interface, as people do: joins, leaves, removals, replacements, weights. A request that is refused
 * because something else is under way, or that nobody answers, is sent again, to another node.
 */
import { Prng } from "../base/prng.ts";
import type { Flags } from "./cluster-config.ts";
import type { Answer } from "./clients.ts";
import type { SimCluster } from "./cluster.ts";

const AGAIN_MS = 500;
const LOOK_EVERY_MS = 100;
const TRIES_MAX = 60;
/** People wait so long for a vote before they overrule it: with a member dead and another that has forgotten its promises there may be no majority. */
const PATIENCE_MS = 15_000;
const JSON_TYPE = { "Content-Type": "application/json" };

export class SimOperator {
  private readonly cluster: SimCluster;
  private readonly prng: Prng;

  constructor(cluster: SimCluster) {
    this.cluster = cluster;
    this.prng = new Prng(`operator/${cluster.seed}`);
  }

  /** Begins a node; it asks for the rest itself. Returns its index. */
  join(flags: Flags = {}): number {
    return this.cluster.add(flags);
  }

  /** Settles when some node has agreed; the job goes on. False where nobody ever has. */
  leave(index: number): Promise<boolean> {
    // It may have gone, on disk too, and be killed before its process has ended.
    this.cluster.mayEnd.add(index);
    return this.change(index, "leave", {});
  }

  /** Of a node that is dead, or that is declared to be with `force`. */
  async remove(index: number, options: { readonly force?: boolean } = {}): Promise<boolean> {
    this.cluster.mayEnd.add(index);
    return this.change(index, "remove", options);
  }

  /** `heir` runs and is in no layout yet. */
  replace(index: number, heir: number): Promise<boolean> {
    return this.change(index, "replace", { with: this.cluster.names[heir]! });
  }

  async reweigh(index: number, weight: number): Promise<boolean> {
    const changes = [{ id: this.cluster.names[index]!, weight }];
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const staged = await this.post("/v1/cluster/layout/stage", { changes }, index);
      if (staged?.status === 200) {
        const { version } = JSON.parse(staged.text) as { version: number };
        const applied = await this.post(
          "/v1/cluster/layout/apply",
          { version: version + 1 },
          index,
        );
        if (applied?.status === 202) return true;
      }
      await this.cluster.sleep(AGAIN_MS);
    }
    return false;
  }

  /** Applies what is staged, whatever the members say. */
  async overrule(): Promise<void> {
    const { cluster } = this;
    const up = cluster.present.filter((i) => cluster.isStarted(i));
    const { nextVersion } = cluster.clusterOf(this.prng.pick(up)).layouts.state();
    await this.post("/v1/cluster/layout/apply", { version: nextVersion, force: true }, -1);
  }

  /** Waits until it is so; overrules what keeps it from being so after a while. */
  async follow(isSo: () => boolean, limitMs: number): Promise<void> {
    const { cluster } = this;
    const startMs = cluster.nowMs;
    let overruledMs = startMs;
    while (!isSo() && cluster.nowMs < startMs + limitMs) {
      await cluster.sleep(LOOK_EVERY_MS);
      if (cluster.nowMs < overruledMs + PATIENCE_MS) continue;
      overruledMs = cluster.nowMs;
      await this.overrule();
    }
  }

  private async change(index: number, action: string, body: object): Promise<boolean> {
    const { cluster } = this;
    const startMs = cluster.nowMs;
    const path = `/v1/cluster/nodes/${cluster.names[index]!}/${action}`;
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const isForced = action === "remove" && cluster.nowMs > startMs + PATIENCE_MS;
      const answer = await this.post(path, isForced ? { ...body, force: true } : body, index);
      if (answer?.status === 202) return true;
      // Taken by a request before this one, whose answer was lost.
      if (answer?.status === 404 || isOutside(answer)) return true;
      if (action === "leave" && cluster.gone.has(index)) return true;
      await cluster.sleep(AGAIN_MS);
    }
    return false;
  }

  /** Through any node but `index`. */
  private async post(path: string, body: object, index: number): Promise<Answer | undefined> {
    const { cluster } = this;
    const others = cluster.present.filter((i) => i !== index && cluster.isStarted(i));
    if (others.length === 0) return undefined;
    const init = { method: "POST", headers: JSON_TYPE, body: JSON.stringify(body) };
    const sent = cluster.send(this.prng.pick(others), path, init);
    const heard = await Promise.race([sent, cluster.sleep(10_000).then(() => "lost" as const)]);
    return typeof heard === "string" ? undefined : heard;
  }
}

const isOutside = (answer: Answer | undefined): boolean =>
  answer?.status === 409 && answer.text.includes("it is not in the layout");
