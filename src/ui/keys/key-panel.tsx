/**
 * One key: its value or its siblings, what is known of them, who holds it, and what can be done with it.
 *
 * Every write carries the context of the reading that is on the page. After it the key is read again, so the page shows what
 * the cluster says and not what was sent.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { wordsOf } from "../api.ts";
import { type KeyReading, type Level, readKey } from "./key-client.ts";
import { Failure } from "./failure.tsx";
import { KeyContent, type KeyWork } from "./key-content.tsx";
import { KeyExplain } from "./key-explain.tsx";
import { useLoaded } from "./loaded.ts";
import { type StoredKey, identityOf, labelOf } from "./stored-key.ts";

export interface KeyPanelProps {
  readonly bucket: string;
  readonly stored: StoredKey;
  readonly readLevel: Level;
  readonly writeLevel: Level;
  readonly onClose: () => void;
  /** Something was written, so a list may be old. */
  readonly onChanged: () => void;
}

function useWork(onDone: () => void): KeyWork {
  const [state, setState] = useState({ isBusy: false, done: "", failed: "" });
  const run = async (write: () => Promise<string>): Promise<boolean> => {
    setState({ isBusy: true, done: "", failed: "" });
    try {
      setState({ isBusy: false, done: await write(), failed: "" });
      return true;
    } catch (thrown) {
      setState({ isBusy: false, done: "", failed: wordsOf(thrown) });
      return false;
    } finally {
      onDone();
    }
  };
  return { ...state, run };
}

export function KeyPanel(props: KeyPanelProps): preact.JSX.Element {
  const { bucket, stored, readLevel, writeLevel, onClose, onChanged } = props;
  const heading = useRef<HTMLHeadingElement>(null);
  const id = `${bucket}/${identityOf(stored)}`;
  useEffect(() => {
    heading.current?.focus({ preventScroll: true });
    heading.current?.scrollIntoView({ block: "nearest" });
  }, [id]);
  const reading = useLoaded<KeyReading>(`${id} ${readLevel}`, (signal) =>
    readKey(bucket, stored, readLevel, signal),
  );
  const [writes, setWrites] = useState(0);
  const work = useWork(() => {
    setWrites(writes + 1);
    reading.again();
    onChanged();
  });
  return (
    <section class="key-panel card" aria-label="Key">
      <header class="key-head">
        <h2 ref={heading} tabIndex={-1}>
          <span class="dim">{bucket}/</span>
          <bdi>{labelOf(stored)}</bdi>
        </h2>
        <button type="button" class="button quiet" onClick={onClose} aria-label="Close key">
          ✕
        </button>
      </header>
      <div class="said" aria-live="polite">
        {work.done !== "" && <p class="notice">{work.done}</p>}
      </div>
      {reading.error !== "" && <Failure words={reading.error} onAgain={reading.again} />}
      {reading.value === undefined && reading.error === "" && <p class="dim">Reading…</p>}
      {reading.value !== undefined && (
        <KeyContent
          {...{ bucket, stored, writeLevel, work }}
          reading={reading.value}
          onReload={reading.again}
        />
      )}
      <KeyExplain bucket={bucket} stored={stored} turn={writes} />
    </section>
  );
}
