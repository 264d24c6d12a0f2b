/** The views in the order of the navigation. A view is a component that gets its place in the address; adding one is adding a row. */
import type { ComponentType } from "preact";
import { KeysView } from "./keys/keys-view.tsx";
import { OverviewView } from "./overview/overview-view.tsx";
import type { Place } from "./shell/place.ts";

export interface View {
  /** `#/id`; empty for the one that is shown first. */
  readonly id: string;
  readonly title: string;
  readonly Page: ComponentType<{ readonly place: Place }>;
}

export const VIEWS: readonly View[] = [
  { id: "", title: "Overview", Page: OverviewView },
  { id: "keys", title: "Keys", Page: KeysView },
];
