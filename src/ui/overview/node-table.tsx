/** All nodes with state, doubt, load, data and hints. */
import type { NodeSummary } from "../../http/admin-api.ts";
import type { LiveSample } from "../../http/live-api.ts";
import { coloursOf } from "../parts/colours.ts";
import { formatBytes, formatCount, formatPercent } from "../parts/format.ts";
import { NodeState, zoneText } from "../parts/node-state.tsx";

export function NodeTable({ sample }: { readonly sample: LiveSample }) {
  const { nodes, node: self } = sample;
  const colourOf = coloursOf(nodes.map(({ id }) => id));
  const copies = nodes.reduce((sum, { partitions }) => sum + partitions, 0);
  const bytesMost = Math.max(1, ...nodes.map(({ bytes }) => bytes));
  return (
    <div class="table-scroll" tabIndex={0} role="group" aria-label="Nodes">
      <table class="table">
        <thead>
          <tr>
            <th scope="col">Node</th>
            <th scope="col">State</th>
            <th
              scope="col"
              class="number"
              title="How long nothing was heard of it, against what is usual; the greater, the likelier it is down"
            >
              Phi
            </th>
            <th scope="col">Zone</th>
            <th scope="col">Load, of all copies</th>
            <th scope="col">Data on disk</th>
            <th
              scope="col"
              class="number"
              title="Copies of keys, deleted ones for a while, and small marks of the node itself"
            >
              Entries
            </th>
            <th scope="col" class="number">
              Hints for it
            </th>
          </tr>
        </thead>
        <tbody>
          {nodes.map((node) => (
            <tr key={node.id} style={{ "--node-colour": colourOf(node.id) }}>
              <th scope="row">
                <Name node={node} isSelf={node.id === self} />
              </th>
              <td>
                <NodeState state={node.state} />
              </td>
              <td class="number">{node.id === self ? "" : node.phi.toFixed(1)}</td>
              <td class="soft">{zoneText(node.zone)}</td>
              <td>
                <Meter part={copies === 0 ? 0 : node.partitions / copies} />
              </td>
              <td>
                <Meter part={node.bytes / bytesMost} words={formatBytes(node.bytes)} />
              </td>
              <td class="number">{formatCount(node.keys)}</td>
              <td class="number">{formatCount(node.hintsFor)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A link to its own dashboard: rates and latencies are told by each node of itself. */
function Name({ node, isSelf }: { readonly node: NodeSummary; readonly isSelf: boolean }) {
  const swatch = <i class="swatch" aria-hidden="true" />;
  if (isSelf || node.address === "" || node.state === "down" || node.state === "left")
    return (
      <span class="state">
        {swatch}
        {node.id}
        {isSelf && <small class="soft">this one</small>}
      </span>
    );
  return (
    <a class="state" href={`${window.location.protocol}//${node.address}/ui`} title={node.address}>
      {swatch}
      {node.id}
    </a>
  );
}

function Meter({ part, words = formatPercent(part) }: { part: number; words?: string }) {
  return (
    <>
      <span class="meter" aria-hidden="true">
        <i style={{ width: `${100 * part}%` }} />
      </span>
      {words}
    </>
  );
}
