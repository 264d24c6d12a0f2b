/** The views in the order of the navigation. A view is a component that gets its place in the address; adding one is adding a row. */
import type { ComponentType } from "preact";
import { HintsView } from "./hints/hints-view.tsx";
import { KeysView } from "./keys/keys-view.tsx";
import { LayoutView } from "./layout/layout-view.tsx";
import { OverviewView } from "./overview/overview-view.tsx";
import { RepairView } from "./repair/repair-view.tsx";
import { RingView } from "./ring/ring-view.tsx";
import type { Place } from "./shell/place.ts";

export interface View {
  /** `#/id`; empty for the one that is shown first. */
  readonly id: string;
  readonly title: string;
  readonly Page: ComponentType<{ readonly place: Place }>;
}

export const VIEWS: readonly View[] = [
  { id: "", title: "Overview", Page: OverviewView },
  { id: "ring", title: "Ring", Page: RingView },
  { id: "keys", title: "Keys", Page: KeysView },
  { id: "layout", title: "Layout", Page: LayoutView },
  { id: "repair", title: "Repair", Page: RepairView },
  { id: "hints", title: "Hints", Page: HintsView },
];
