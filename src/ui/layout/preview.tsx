/** What the staged changes would do: copies and bytes that move, load before and after, spread over zones, objections. */
import type { PreviewSummary, SpreadCounts } from "../../http/layout-api.ts";
import { counted, formatBytes } from "../parts/format.ts";

export function Preview({ preview }: { readonly preview: PreviewSummary }) {
  const { moves, nodes, spread, objections } = preview;
  const most = Math.max(1, ...nodes.flatMap(({ before, after }) => [before, after]));
  return (
    <div class="stack">
      <p>
        <strong>{counted(moves.partitions, "copy", "copies")}</strong> of partitions would move,
        about <strong>{formatBytes(moves.bytes)}</strong>.{" "}
        {spreadWords(spread.before.least, spread.after.least)}
      </p>
      {objections.map(({ code, detail }) => (
        <p key={code} class="notice is-warn">
          {detail}
        </p>
      ))}
      <div class="table-scroll" tabIndex={0} role="group" aria-label="What would move">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Node</th>
              <th scope="col">Copies before, after</th>
              <th scope="col" class="number">
                Comes
              </th>
              <th scope="col" class="number">
                Goes
              </th>
              <th scope="col" class="number">
                Bytes in
              </th>
            </tr>
          </thead>
          <tbody>
            {nodes.map(({ id, before, after, incoming, outgoing, bytesIn }) => (
              <tr key={id}>
                <th scope="row">{id}</th>
                <td>
                  <span class="change-meter" aria-hidden="true">
                    <i style={{ width: `${(100 * before) / most}%` }} />
                    <i style={{ width: `${(100 * after) / most}%` }} />
                  </span>
                  {before} → <b>{after}</b>
                </td>
                <td class="number">{incoming}</td>
                <td class="number">{outgoing}</td>
                <td class="number">{formatBytes(bytesIn)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </div>
  );
}

function spreadWords(before: SpreadCounts, after: SpreadCounts): string {
  const words = ({ dcs, racks, hosts }: SpreadCounts): string =>
    [counted(dcs, "data centre"), counted(racks, "rack"), counted(hosts, "host")].join(", ");
  return words(before) === words(after)
    ? `The copies of a partition stay spread over at least ${words(after)}.`
    : `The copies of a partition would be spread over at least ${words(after)}; now it is ${words(before)}.`;
}
