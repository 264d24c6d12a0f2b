/** Who owns what: the ring with its partitions coloured by owner or zone, the nodes beside it, and the same as a table. */
import { useMemo, useState } from "preact/hooks";
import type { NodeSummary, RingPartition } from "../../http/admin-api.ts";
import { useLive } from "../live/live.ts";
import { Waiting } from "../overview/overview-view.tsx";
import { type ColourOf, byNumber, coloursOf } from "../parts/colours.ts";
import { counted, formatPercent } from "../parts/format.ts";
import { useLoaded } from "../parts/loaded.ts";
import { NodeState, zoneText } from "../parts/node-state.tsx";
import { partitionsPerSegment } from "./arcs.ts";
import { RingPicture } from "./ring-picture.tsx";

interface RingAnswer {
  readonly layoutVersion: number;
  readonly q: number;
  readonly partitions: readonly RingPartition[];
}

type Grouping = "owner" | "zone";

export function RingView() {
  const { sample } = useLive();
  const version = sample && `${sample.cluster.layoutVersion}/${sample.cluster.partitions.serving}`;
  const { value: ring, failure } = useLoaded<RingAnswer>("/v1/cluster/ring", 0, version);
  const [chosen, setChosen] = useState(-1);
  const [grouping, setGrouping] = useState<Grouping>("owner");
  const [focused, setFocused] = useState("");
  if (sample === undefined) return <Waiting />;
  const { nodes, cluster } = sample;
  const groupOf = (id: string): string => (grouping === "owner" ? id : zoneOf(nodes, id));
  const colourOf = coloursOf(nodes.map(({ id }) => groupOf(id)));
  const down = new Set(nodes.filter(({ state }) => state === "down").map(({ id }) => id));
  return (
    <>
      <div class="page-head">
        <h1>Ring</h1>
        <p>
          A key is hashed to one of {counted(cluster.q, "partition")}; its owners, clockwise, keep
          the copies. Layout version {cluster.layoutVersion}
          {cluster.partitions.syncing > 0 &&
            `; ${counted(cluster.partitions.syncing, "partition")} with an owner that is away or catching up`}
          .
        </p>
      </div>
      {failure !== "" && <p class="notice is-bad">{failure}</p>}
      {ring !== undefined && (
        <section class="card ring-layout" aria-label="Ring">
          <RingPicture
            partitions={ring.partitions}
            chosen={chosen}
            onChoose={setChosen}
            groupOf={groupOf}
            colourOf={colourOf}
            focused={focused}
            isDown={(id) => down.has(id)}
          />
          <div class="ring-side">
            <GroupingChoice
              grouping={grouping}
              onChange={(next) => (setGrouping(next), setFocused(""))}
            />
            <NodeList
              nodes={nodes}
              colourOf={(id) => colourOf(groupOf(id))}
              focused={focused}
              onFocus={setFocused}
            />
            <Notes q={ring.q} />
            <RingTable partitions={ring.partitions} />
          </div>
        </section>
      )}
    </>
  );
}

function zoneOf(nodes: readonly NodeSummary[], id: string): string {
  const node = nodes.find((one) => one.id === id);
  return node === undefined ? "" : zoneText(node.zone);
}

interface GroupingProps {
  readonly grouping: Grouping;
  readonly onChange: (grouping: Grouping) => void;
}

function GroupingChoice({ grouping, onChange }: GroupingProps) {
  return (
    <fieldset class="choice">
      <legend class="visually-hidden">Colour by</legend>
      {(["owner", "zone"] as const).map((one) => (
        <label key={one}>
          <input
            type="radio"
            name="grouping"
            checked={grouping === one}
            onChange={() => onChange(one)}
          />
          Colour by {one}
        </label>
      ))}
    </fieldset>
  );
}

interface NodeListProps {
  readonly nodes: readonly NodeSummary[];
  readonly colourOf: ColourOf;
  readonly focused: string;
  readonly onFocus: (node: string) => void;
}

function NodeList({ nodes, colourOf, focused, onFocus }: NodeListProps) {
  const copies = nodes.reduce((sum, { partitions }) => sum + partitions, 0);
  return (
    <ul class="ring-nodes" aria-label="Owners; press one to see its partitions alone">
      {nodes.map(({ id, state, zone, partitions }) => (
        <li key={id}>
          <button
            type="button"
            aria-pressed={focused === id}
            onClick={() => onFocus(focused === id ? "" : id)}
            style={{ "--node-colour": colourOf(id) }}
          >
            <i class="swatch" aria-hidden="true" />
            <span>
              {id} <small>{zoneText(zone)}</small>
            </span>
            <NodeState state={state} />
            <span />
            <small>
              {counted(partitions, "copy", "copies")} of partitions,{" "}
              {formatPercent(copies === 0 ? 0 : partitions / copies)}
            </small>
          </button>
        </li>
      ))}
    </ul>
  );
}

function Notes({ q }: { readonly q: number }) {
  const shared = partitionsPerSegment(q);
  return (
    <p class="soft">
      A red outline: the owner is down. Point at the ring, or move along it with the arrow keys.
      {shared > 1 &&
        ` Each segment stands for ${shared} partitions, in the colour most of them have.`}
    </p>
  );
}

/** Longer tables are for the command line. */
const ROWS_MAX = 1024;

function RingTable({ partitions }: { readonly partitions: readonly RingPartition[] }) {
  const [isOpen, setOpen] = useState(false);
  const owners = useMemo(() => ownersTable(partitions), [partitions]);
  return (
    <details onToggle={(event) => setOpen((event.currentTarget as HTMLDetailsElement).open)}>
      <summary>As a table</summary>
      {isOpen && (
        <div class="table-scroll ring-table" tabIndex={0} role="group" aria-label="Partitions">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">{partitions.length > ROWS_MAX ? "Owners" : "Partition"}</th>
                <th scope="col">{partitions.length > ROWS_MAX ? "Partitions" : "Owners"}</th>
                <th scope="col">State</th>
              </tr>
            </thead>
            <tbody>
              {partitions.length > ROWS_MAX
                ? owners.map(([names, count]) => (
                    <tr key={names}>
                      <th scope="row">{names}</th>
                      <td>{count}</td>
                      <td />
                    </tr>
                  ))
                : partitions.map(({ partition, owners: names, state }) => (
                    <tr key={partition}>
                      <th scope="row">{partition}</th>
                      <td>{names.join(", ")}</td>
                      <td>{state}</td>
                    </tr>
                  ))}
            </tbody>
          </table>
        </div>
      )}
    </details>
  );
}

/** How many partitions each set of owners has, in their order. */
function ownersTable(partitions: readonly RingPartition[]): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const { owners } of partitions) {
    const names = owners.join(", ");
    counts.set(names, (counts.get(names) ?? 0) + 1);
  }
  return [...counts].sort(([one], [other]) => byNumber(one, other)).slice(0, ROWS_MAX);
}
