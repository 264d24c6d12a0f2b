/** The cluster at a glance. */
import { useLive } from "../live/live.ts";

export function OverviewView() {
  const { sample } = useLive();
  return <p>{sample?.cluster.name}</p>;
}
