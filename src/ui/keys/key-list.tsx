/**
 * A page of a bucket: folders first, then keys, each one button in a list that arrow keys walk through.
 *
 * At most `PAGE_KEYS` rows are in the document, however many keys there are.
 */
import { useRef } from "preact/hooks";
import { formatBytes } from "../parts/format.ts";
import { type KeyPage, type ListedKey } from "./key-client.ts";
import { type StoredKey, identityOf, labelOf } from "./stored-key.ts";
import { untilText } from "./words.ts";

export interface KeyListProps {
  readonly page: KeyPage;
  /** What all of the page starts with; shown once, above the list. */
  readonly prefix: StoredKey;
  /** Identity of the key that is open, or empty. */
  readonly openId: string;
  readonly nowMs: number;
  readonly onFolder: (folder: StoredKey) => void;
  readonly onKey: (key: StoredKey) => void;
}

const STEPS: Readonly<Record<string, (index: number, count: number) => number>> = {
  ArrowDown: (index, count) => Math.min(index + 1, count - 1),
  ArrowUp: (index) => Math.max(index - 1, 0),
  Home: () => 0,
  End: (_, count) => count - 1,
  PageDown: (index, count) => Math.min(index + 10, count - 1),
  PageUp: (index) => Math.max(index - 10, 0),
};

export function KeyList({
  page,
  prefix,
  openId,
  nowMs,
  onFolder,
  onKey,
}: KeyListProps): preact.JSX.Element {
  const list = useRef<HTMLUListElement>(null);
  const walk = (event: KeyboardEvent): void => {
    const step = STEPS[event.key];
    if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    const rows = [...(list.current?.querySelectorAll("button") ?? [])];
    const index = rows.findIndex((row) => row === document.activeElement);
    rows[step(index, rows.length)]?.focus();
    event.preventDefault();
  };
  return (
    <ul class="key-list" ref={list} onKeyDown={walk} aria-label="Keys">
      {page.folders.map((folder) => (
        <li key={`folder ${identityOf(folder)}`}>
          <button type="button" class="key-row" onClick={() => onFolder(folder)}>
            <span class="key-name">
              <span class="folder-mark" aria-hidden="true">
                ▸
              </span>
              <KeyName stored={folder} prefix={prefix} />
            </span>
            <span class="key-note">folder</span>
          </button>
        </li>
      ))}
      {page.keys.map((listed) => (
        <li key={identityOf(listed.key)}>
          <KeyRow
            {...{ listed, prefix, nowMs, onKey }}
            isOpen={identityOf(listed.key) === openId}
          />
        </li>
      ))}
    </ul>
  );
}

interface KeyRowProps extends Pick<KeyListProps, "prefix" | "nowMs" | "onKey"> {
  readonly listed: ListedKey;
  readonly isOpen: boolean;
}

function KeyRow({ listed, prefix, nowMs, onKey, isOpen }: KeyRowProps): preact.JSX.Element {
  const { key, sizeBytes, expiresAt, siblingCount } = listed;
  return (
    <button
      type="button"
      class="key-row"
      data-key={identityOf(key)}
      aria-current={isOpen ? "true" : undefined}
      onClick={() => onKey(key)}
    >
      <span class="key-name">
        <KeyName stored={key} prefix={prefix} />
        {key.text === undefined && <span class="badge">bytes</span>}
        {siblingCount > 1 && <span class="badge badge-conflict">{siblingCount} siblings</span>}
      </span>
      <span class="key-note">
        {formatBytes(sizeBytes)}
        {expiresAt !== undefined && <span>, expires {untilText(expiresAt, nowMs)}</span>}
      </span>
    </button>
  );
}

interface KeyNameProps {
  readonly stored: StoredKey;
  readonly prefix: StoredKey;
}

/** The whole name, what all have in common dimmed. */
export function KeyName({ stored, prefix }: KeyNameProps): preact.JSX.Element {
  const shared = prefix.text ?? "";
  const isBelow = shared !== "" && stored.text?.startsWith(shared) === true;
  if (!isBelow) return <bdi>{labelOf(stored)}</bdi>;
  const rest = stored.text.slice(shared.length);
  return (
    <bdi>
      <span class="dim">{labelOf(prefix)}</span>
      {labelOf({ bytes: stored.bytes, text: rest })}
    </bdi>
  );
}
