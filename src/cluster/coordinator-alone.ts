/** A node without peers: its coordinator, and the collection of its deletions on the same path as among others, with nobody to ask (R39). */
import { hex } from "../base/bytes.ts";
import type { Random } from "../ports/random.ts";
import { NO_PEERS, layoutOfOne, viewOfOne } from "./alone.ts";
import { Coordinator, type CoordinatorOptions } from "./coordinator.ts";
import { Deletions } from "./deletions.ts";
import { RepairPace } from "./repair-pace.ts";

const IDLE = { inFlight: 0, operations: 0 };

export interface AloneOptions extends CoordinatorOptions {
  readonly random: Random;
  readonly gcDelayMs: number;
  readonly driftMaxMs: number;
}

export interface Alone {
  readonly coordinator: Coordinator;
  readonly deletions: Deletions;
}

export function coordinatorOfOne(options: AloneOptions): Alone {
  const { nodeId, nodeName, q, clock } = options;
  const self = hex(nodeId);
  const view = viewOfOne(layoutOfOne(self, nodeName, q));
  const made: { coordinator?: Coordinator } = {};
  const deletions = new Deletions({
    ...options,
    self,
    peers: NO_PEERS,
    pace: new RepairPace({ clock, load: () => made.coordinator?.foreground ?? IDLE }),
    view: () => view,
    hints: () => ({ read: () => undefined }),
    coordinator: () => made.coordinator!, // asked for when it works
  });
  const { due, suspects } = deletions;
  const coordinator = new Coordinator({ ...options, observer: due, gate: suspects });
  made.coordinator = coordinator;
  return { coordinator, deletions };
}
