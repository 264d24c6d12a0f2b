/** The changes of a ring as the REST face asks for them, written down, answered with what a test puts there. */
import type { Job } from "../../src/http/admin-api.ts";
import type {
  ChangeOptions,
  ChangeRequest,
  LayoutApi,
  LayoutSummary,
  NodeChange,
  SpreadSummary,
} from "../../src/http/layout-api.ts";

const SPREAD: SpreadSummary = {
  widest: { dcs: 1, racks: 1, hosts: 1 },
  least: { dcs: 1, racks: 1, hosts: 1 },
  below: [],
};

/** A layout of one node, or of whatever `changes` say. */
export function layoutSummary(changes: Partial<LayoutSummary> = {}): LayoutSummary {
  const zone = { dc: "dc1", rack: "r1", host: "h1" };
  return {
    version: 1,
    q: 4,
    n: 1,
    nodes: [{ id: "n1", zone, weight: 1, partitions: 4 }],
    staged: [],
    conflicts: [],
    change: null,
    spread: SPREAD,
    ...changes,
  };
}

export class FakeLayout implements LayoutApi {
  summary = layoutSummary();
  /** What was asked, as `stage [...]` or `leave n3 forced`. */
  readonly asked: string[] = [];
  /** Thrown by the next change while set. */
  failure: unknown = undefined;
  readonly #startJob: (kind: string) => Job;

  constructor(startJob: (kind: string) => Job) {
    this.#startJob = startJob;
  }

  async show(): Promise<LayoutSummary> {
    return this.summary;
  }

  async preview(changes: readonly ChangeRequest[]): Promise<LayoutSummary> {
    return this.#note(`preview ${JSON.stringify(changes)}`);
  }

  async stage(changes: readonly ChangeRequest[]): Promise<LayoutSummary> {
    return this.#note(`stage ${JSON.stringify(changes)}`);
  }

  async apply(version: number, options: ChangeOptions): Promise<Job> {
    this.#note(`apply ${version}${forced(options)}`);
    return this.#startJob("layout");
  }

  async revert(): Promise<LayoutSummary> {
    return this.#note("revert");
  }

  async changeNode(change: NodeChange, options: ChangeOptions): Promise<Job> {
    const heir = change.with === undefined ? "" : ` with ${change.with}`;
    this.#note(`${change.action} ${change.id}${heir}${forced(options)}`);
    return this.#startJob(change.action);
  }

  #note(line: string): LayoutSummary {
    this.asked.push(line);
    if (this.failure !== undefined) throw this.failure;
    return this.summary;
  }
}

function forced({ isForced }: ChangeOptions): string {
  return isForced ? " forced" : "";
}
