/** `LayoutControl` of one node that has no peers: everything is agreed at once, and a test says how far the others are. */
import { HutchError } from "../../src/base/errors.ts";
import type {
  ChangeProgress,
  LayoutChange,
  LayoutControl,
} from "../../src/cluster/layout-control.ts";
import { LayoutState } from "../../src/ring/layout-state.ts";
import type { Layout } from "../../src/ring/layout.ts";

export class FakeLayoutControl implements LayoutControl {
  readonly n: number;
  under: ChangeProgress | undefined = undefined;
  /** Thrown by the next `apply` while set. */
  failure: HutchError | undefined = undefined;
  readonly forced: boolean[] = [];
  #state: LayoutState;
  #hlc = 0;

  constructor(layout: Layout, n: number) {
    this.n = n;
    this.#state = LayoutState.first(layout);
  }

  state(): LayoutState {
    return this.#state;
  }

  async stage(changes: readonly LayoutChange[]): Promise<void> {
    this.#state = this.#state.stage(changes, { hlc: ++this.#hlc, node: "00000000000000a1" });
  }

  async apply(version: number, options: { readonly isForced?: boolean } = {}): Promise<Layout> {
    if (this.failure !== undefined) throw this.failure;
    this.forced.push(options.isForced === true);
    const next = this.#state.next(this.n);
    if (next.version !== version) throw new HutchError("layout-conflict", "Cannot apply");
    this.#state = this.#state.withLayout(next, this.#state.lost);
    return next;
  }

  async revert(): Promise<void> {
    const staged = [...this.#state.staged.keys()];
    if (staged.length > 0) return this.stage(staged.map((node) => ({ kind: "none", node })));
    const [before] = this.#state.layouts;
    this.#state = this.#state.withLayout(this.#state.nextAs(before!));
  }

  progress(): ChangeProgress | undefined {
    return this.under;
  }
}
