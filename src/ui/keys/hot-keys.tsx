/** The keys that this node is asked for most, out of a sample of the requests. */
import type { HotKey, HotKeyReport } from "../../http/live-api.ts";
import { useLive } from "../live/live.ts";
import { formatPercent } from "../parts/format.ts";
import { hashOf } from "./keys-place.ts";
import { keyOfBytes, keyOfText, labelOf, type StoredKey } from "./stored-key.ts";

const SHOWN_MAX = 10;

/** A path is percent-encoded bytes; what is not an escape stands for itself. */
export function keyOfPath(path: string): StoredKey {
  const bytes: number[] = [];
  for (let i = 0; i < path.length; i++) {
    const escape = /^%[0-9a-f]{2}/i.exec(path.slice(i, i + 3));
    bytes.push(
      escape === null ? path.charCodeAt(i) : Number.parseInt(path.slice(i + 1, i + 3), 16),
    );
    if (escape !== null) i += 2;
  }
  return keyOfBytes(Uint8Array.from(bytes));
}

export function HotKeys(): preact.JSX.Element | null {
  const { sample } = useLive();
  const report = sample?.hotKeys;
  if (report === undefined) return null;
  return (
    <section class="card hot-keys" aria-label="Hot keys">
      <h2>Hot keys</h2>
      {report.keys.length === 0 ? (
        <p class="dim">{sample?.node} has not been asked for any key in the last while.</p>
      ) : (
        <HotTable report={report} />
      )}
    </section>
  );
}

function HotTable({ report }: { readonly report: HotKeyReport }): preact.JSX.Element {
  return (
    <>
      <div class="table-scroll" tabIndex={0} role="group" aria-label="Keys by requests">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">Key</th>
              <th scope="col" class="number">
                Share
              </th>
              <th scope="col" class="number">
                Writes
              </th>
            </tr>
          </thead>
          <tbody>
            {report.keys.slice(0, SHOWN_MAX).map((hot) => (
              <HotRow key={`${hot.bucket}/${hot.path}`} hot={hot} samples={report.samples} />
            ))}
          </tbody>
        </table>
      </div>
      <p class="dim">Requests to this node, of which it looks at one in {report.sampleEvery}.</p>
    </>
  );
}

function HotRow({
  hot,
  samples,
}: {
  readonly hot: HotKey;
  readonly samples: number;
}): preact.JSX.Element {
  const { bucket, path, count, writes } = hot;
  const key = keyOfPath(path);
  const share = samples === 0 ? 0 : count / samples;
  const writeShare = count === 0 ? 0 : writes / count;
  const delimiter = "/";
  return (
    <tr>
      <th scope="row" class="hot-name">
        <a href={hashOf({ bucket, prefix: keyOfText(""), delimiter, key })}>
          <span class="dim">{bucket}/</span>
          <bdi>{labelOf(key)}</bdi>
        </a>
      </th>
      <td class="number">
        <span class="meter" aria-hidden="true">
          <i style={{ width: `${100 * share}%` }} />
        </span>
        {formatPercent(share)}
      </td>
      <td class="number">{Math.round(100 * writeShare)} %</td>
    </tr>
  );
}
