/**
 * Tells the others what this node knows of layouts: at once to whoever is up, in a large cluster to some, who tell others by gossip. What they know better
 * comes back with the answer.
 */
import type { NodeId } from "../gossip/member.ts";
import type { Random } from "../ports/random.ts";
import { LayoutState } from "../ring/layout-state.ts";
import type { ClusterView } from "./cluster-view.ts";
import type { Peers } from "./peer-messages.ts";

const TELL_TIMEOUT_MS = 2000;
const TOLD_AT_ONCE_MAX = 32;

export interface LayoutSpreadOptions {
  readonly self: NodeId;
  readonly peers: Peers;
  readonly random: Random;
  view(): ClusterView;
  /** What `node` knows of layouts. */
  learnLayouts(body: Uint8Array, node: NodeId): Promise<void>;
}

export class LayoutSpread {
  private readonly options: LayoutSpreadOptions;
  private readonly state: () => LayoutState;
  private underWay: Promise<boolean> | undefined;
  private isNews = false;

  constructor(options: LayoutSpreadOptions, state: () => LayoutState) {
    this.options = options;
    this.state = state;
  }

  /** True when somebody knows it, or there is nobody else. Never rejects. */
  tell(): Promise<boolean> {
    this.isNews = true;
    this.underWay ??= this.tellAll().finally(() => (this.underWay = undefined));
    return this.underWay;
  }

  /** News that come up meanwhile are told in another round. */
  private async tellAll(): Promise<boolean> {
    let isKnown = false;
    while (this.isNews) {
      this.isNews = false;
      const body = this.state().encode();
      const targets = this.targets();
      const answers = await Promise.all(targets.map((node) => this.tellOne(node, body)));
      isKnown = this.isAlone || answers.includes(true);
    }
    return isKnown;
  }

  /** That nobody else is up proves nothing: it may be this node that is cut off. */
  private get isAlone(): boolean {
    const { view, self } = this.options;
    return [...view().planned.keys()].every((id) => id === self);
  }

  private targets(): NodeId[] {
    const { view, self, random } = this.options;
    const now = view();
    const up = [...now.planned.keys()].filter((id) => id !== self && now.isUp(id));
    if (up.length <= TOLD_AT_ONCE_MAX) return up;
    const first = random.u32() % up.length;
    return [...up.slice(first), ...up.slice(0, first)].slice(0, TOLD_AT_ONCE_MAX);
  }

  /**
   * Exchanges with one of those that seem to be down. Whoever was removed while it was up hears nothing of the others any more, takes them for down, and learns
   * it in this way alone (row 105); who has left has to be heard before it ends. True when there was an answer.
   */
  async askOneDown(): Promise<boolean> {
    const { view, self, random } = this.options;
    const now = view();
    const down = [...now.planned.keys()].filter((id) => id !== self && !now.isUp(id));
    const node = down[random.u32() % Math.max(1, down.length)];
    return node !== undefined && (await this.tellOne(node, this.state().encode()));
  }

  private async tellOne(node: NodeId, body: Uint8Array): Promise<boolean> {
    const message = { kind: "exchange", topic: "layout", body } as const;
    try {
      const reply = await this.options.peers.call(node, message, TELL_TIMEOUT_MS, "client");
      if (reply.kind !== "exchange") return false;
      await this.options.learnLayouts(reply.body, node);
      return true;
    } catch {
      // Gossip tells it, for as long as it does not know.
      return false;
    }
  }
}
