/** Writes that nodes hold for others that could not take them (hinted handoff). */
import { useLive } from "../live/live.ts";
import { Waiting } from "../overview/overview-view.tsx";
import { formatAge, formatBytes, formatCount } from "../parts/format.ts";
import { NodeState } from "../parts/node-state.tsx";

export function HintsView() {
  const { sample } = useLive();
  if (sample === undefined) return <Waiting />;
  const { hints, nodes, atMs } = sample;
  const stateOf = (id: string) => nodes.find((node) => node.id === id)?.state;
  return (
    <>
      <div class="page-head">
        <h1>Hints</h1>
        <p>
          A write that an owner could not take is kept by another node and delivered when the owner
          is back. Until then it is one copy less.
        </p>
      </div>
      <section class="card">
        {hints.length === 0 ? (
          <p class="empty">None: every owner has what was written for it.</p>
        ) : (
          <div class="table-scroll" tabIndex={0} role="group" aria-label="Hints">
            <table class="table">
              <thead>
                <tr>
                  <th scope="col">For</th>
                  <th scope="col">It is</th>
                  <th scope="col" class="number">
                    Writes held
                  </th>
                  <th scope="col" class="number">
                    Bytes
                  </th>
                  <th scope="col" class="number">
                    The oldest waits for
                  </th>
                </tr>
              </thead>
              <tbody>
                {hints.map(({ node, count, bytes, oldestMs }) => (
                  <tr key={node}>
                    <th scope="row">{node}</th>
                    <td>
                      <NodeState state={stateOf(node) ?? "left"} />
                    </td>
                    <td class="number">{formatCount(count)}</td>
                    <td class="number">{formatBytes(bytes)}</td>
                    <td class="number">{formatAge(atMs - oldestMs)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
      </section>
    </>
  );
}
