/**
 * The key browser: a bucket, a prefix, folders, one page after the other; a key opens beside the list.
 *
 * All of that is in the address (`keys-place.ts`). Keys: `/` goes to the search, arrows walk through the list, Enter opens,
 * Esc closes and goes back to where one was.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Place, goTo } from "../shell/place.ts";
import { HotKeys } from "./hot-keys.tsx";
import { type KeyPage, type Level, bucketNames, listKeys } from "./key-client.ts";
import { Failure } from "./failure.tsx";
import { KeyList } from "./key-list.tsx";
import { KeyPanel } from "./key-panel.tsx";
import { KeySearch } from "./key-search.tsx";
import { BUCKET_NAME, type KeysPlace, hashOf, keysPlaceOf } from "./keys-place.ts";
import { type Loaded, useLoaded } from "./loaded.ts";
import { type StoredKey, identityOf, keyOfText, labelOf } from "./stored-key.ts";

export interface KeysViewProps {
  readonly place: Place;
}

/** What a click changes of the address; the rest stays. */
export type Move = (part: Partial<KeysPlace>) => void;

export function KeysView({ place }: KeysViewProps): preact.JSX.Element {
  const at = keysPlaceOf(place);
  const root = useRef<HTMLDivElement>(null);
  const [readLevel, setReadLevel] = useState<Level>("QUORUM");
  const [writeLevel, setWriteLevel] = useState<Level>("QUORUM");
  const buckets = useLoaded("buckets", bucketNames);
  const pages = usePages(at, readLevel);
  const move: Move = (part) => goTo(hashOf({ ...at, ...part }));
  const openId = at.key === undefined ? "" : identityOf(at.key);
  const close = (): void => {
    move({ key: undefined });
    rowOf(root.current, openId)?.focus();
  };
  useShortcuts(root, at.key === undefined ? undefined : close);
  useFirstBucket(at, buckets.value);
  return (
    <div class="keys" ref={root}>
      <header class="page-head">
        <h1>Keys</h1>
      </header>
      <KeySearch
        {...{ at, move, readLevel, writeLevel }}
        buckets={buckets.value ?? []}
        onReadLevel={setReadLevel}
        onWriteLevel={setWriteLevel}
      />
      <div class={`keys-both ${at.key === undefined ? "" : "is-open"}`}>
        <Listing {...{ at, move, pages, openId }} error={buckets.error} />
        {at.key !== undefined && BUCKET_NAME.test(at.bucket) && (
          <KeyPanel
            key={`${at.bucket}/${openId}`}
            bucket={at.bucket}
            stored={at.key}
            {...{ readLevel, writeLevel }}
            onClose={close}
            onChanged={pages.again}
          />
        )}
      </div>
      <HotKeys />
    </div>
  );
}

function rowOf(root: HTMLElement | null, id: string): HTMLElement | undefined {
  const rows = [...(root?.querySelectorAll<HTMLElement>("[data-key]") ?? [])];
  return rows.find(({ dataset }) => dataset["key"] === id);
}

/** Where the address names no bucket, the first there is. The way back must not end here, so no step is added to it. */
function useFirstBucket(at: KeysPlace, names: readonly string[] | undefined): void {
  const first = names?.[0];
  useEffect(() => {
    if (at.bucket === "" && first !== undefined)
      window.location.replace(hashOf({ ...at, bucket: first }));
  }, [at.bucket, first]);
}

/** `/` for the search, from wherever one does not type; Esc for what is open. */
function useShortcuts(
  root: { current: HTMLElement | null },
  close: (() => void) | undefined,
): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return;
      const isTyping = event.target instanceof Element && event.target.matches(TYPED);
      if (event.key === "/" && !isTyping) {
        event.preventDefault();
        root.current?.querySelector<HTMLElement>("[data-search]")?.focus();
      } else if (event.key === "Escape" && document.querySelector("dialog[open]") === null) {
        close?.();
      }
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  });
}

const TYPED = "input, textarea, select, [contenteditable]";

interface Pages extends Loaded<KeyPage> {
  /** Counts from 1. */
  readonly number: number;
  readonly next: (() => void) | undefined;
  readonly back: (() => void) | undefined;
}

/** A cursor leads only forward; the ones that led here lead back. */
function usePages(at: KeysPlace, level: Level): Pages {
  const { bucket, prefix, delimiter } = at;
  const listId = !BUCKET_NAME.test(bucket)
    ? ""
    : `${bucket} ${delimiter} ${identityOf(prefix)} ${level}`;
  const [walked, setWalked] = useState<{ listId: string; cursors: readonly string[] }>({
    listId: "",
    cursors: [],
  });
  const cursors = walked.listId === listId ? walked.cursors : [];
  const cursor = cursors.at(-1) ?? "";
  const page = useLoaded(listId === "" ? "" : `${listId} ${cursor}`, (signal) =>
    listKeys({ bucket, prefix, delimiter, cursor, level }, signal),
  );
  // Until the next page is here the one before stays, so the page does not jump while one types.
  const last = useRef<{ bucket: string; value: KeyPage | undefined }>({ bucket, value: undefined });
  const before = last.current.bucket === bucket && page.isLoading ? last.current.value : undefined;
  last.current = { bucket, value: page.value ?? before };
  const next = page.value?.cursor ?? "";
  const walk = (to: readonly string[]) => () => setWalked({ listId, cursors: to });
  return {
    ...page,
    value: last.current.value,
    number: cursors.length + 1,
    next: next === "" ? undefined : walk([...cursors, next]),
    back: cursors.length === 0 ? undefined : walk(cursors.slice(0, -1)),
  };
}

interface ListingProps {
  readonly at: KeysPlace;
  readonly move: Move;
  readonly pages: Pages;
  readonly openId: string;
  /** Why there are no buckets to choose from. */
  readonly error: string;
}

function Listing({ at, move, pages, openId, error }: ListingProps): preact.JSX.Element {
  const { value: page } = pages;
  const isEmpty = page !== undefined && page.keys.length + page.folders.length === 0;
  return (
    <section class="card keys-listing" aria-label="List of keys" aria-busy={pages.isLoading}>
      <Crumbs at={at} move={move} />
      {error !== "" && <Failure words={error} />}
      {pages.error !== "" && <Failure words={pages.error} onAgain={pages.again} />}
      {page?.isPartial === true && (
        <p class="notice notice-bad" role="alert">
          A part of the ring could not be read: keys are missing from this list.
        </p>
      )}
      {isEmpty && (
        <p class="dim">No keys here{at.prefix.bytes.length > 0 && " with this prefix"}.</p>
      )}
      {at.bucket !== "" && !BUCKET_NAME.test(at.bucket) && (
        <Failure words="No bucket has such a name: want up to 63 of a-z, 0-9, dot, underscore and hyphen, the first a letter or a digit." />
      )}
      {at.bucket === "" && error === "" && <p class="dim">No bucket yet. Name one above.</p>}
      {page !== undefined && !isEmpty && (
        <KeyList
          {...{ page, openId }}
          prefix={at.prefix}
          nowMs={Date.now()}
          onFolder={(prefix) => move({ prefix, key: undefined })}
          onKey={(key) => move({ key })}
        />
      )}
      {(pages.next ?? pages.back) !== undefined && <Pager pages={pages} />}
    </section>
  );
}

function Pager({ pages }: { readonly pages: Pages }): preact.JSX.Element {
  return (
    <nav class="actions" aria-label="Pages of the list">
      <button type="button" class="button" disabled={!pages.back} onClick={pages.back}>
        Previous
      </button>
      <span class="dim">Page {pages.number}</span>
      <button type="button" class="button" disabled={!pages.next} onClick={pages.next}>
        Next
      </button>
    </nav>
  );
}

/** The folders on the way here, each a way back. */
function Crumbs({ at, move }: Pick<ListingProps, "at" | "move">): preact.JSX.Element | null {
  const { bucket, prefix, delimiter } = at;
  if (bucket === "" || prefix.text === undefined || delimiter === "") return null;
  const parts = prefix.text.split(delimiter).slice(0, -1);
  if (parts.length === 0) return null;
  const upTo = (count: number): StoredKey =>
    keyOfText(
      parts
        .slice(0, count)
        .map((part) => part + delimiter)
        .join(""),
    );
  return (
    <nav class="crumbs" aria-label="Folders">
      <button type="button" class="link" onClick={() => move({ prefix: upTo(0), key: undefined })}>
        {bucket}
      </button>
      {parts.map((part, index) => (
        <span key={index}>
          <span class="dim">{delimiter}</span>
          <button
            type="button"
            class="link"
            onClick={() => move({ prefix: upTo(index + 1), key: undefined })}
          >
            {labelOf(keyOfText(part)) || "(empty)"}
          </button>
        </span>
      ))}
    </nav>
  );
}
