/**
 * Something that is fetched and shown: what is known, whether more is on its way, and why it could not be had.
 *
 * What was known stays on the page while it is fetched again, so nothing jumps; an answer that nobody waits for any more is
 * given up and never shown.
 */
import { useCallback, useEffect, useState } from "preact/hooks";
import { wordsOf } from "../api.ts";

export interface Loaded<Value> {
  readonly value: Value | undefined;
  readonly error: string;
  readonly isLoading: boolean;
  /** Fetches it again. */
  readonly again: () => void;
}

interface Known<Value> {
  /** Of what the value is. */
  readonly id: string;
  readonly value: Value | undefined;
  readonly error: string;
}

/** `id` names what `load` fetches: another id, another value. Nothing is fetched for an empty one. */
export function useLoaded<Value>(
  id: string,
  load: (signal: AbortSignal) => Promise<Value>,
): Loaded<Value> {
  const [known, setKnown] = useState<Known<Value>>({ id: "", value: undefined, error: "" });
  const [turn, setTurn] = useState(0);
  const [loadedTurn, setLoadedTurn] = useState(-1);
  useEffect(() => {
    if (id === "") return undefined;
    const abort = new AbortController();
    const settle = (value: Value | undefined, error: string): void => {
      if (abort.signal.aborted) return;
      setKnown((before) => ({
        id,
        value: value ?? (before.id === id ? before.value : undefined),
        error,
      }));
      setLoadedTurn(turn);
    };
    load(abort.signal).then(
      (value) => settle(value, ""),
      (thrown: unknown) => settle(undefined, wordsOf(thrown)),
    );
    return () => abort.abort();
    // `load` is made anew with every picture of the page; `id` says when it is another one.
  }, [id, turn]);
  const isKnown = known.id === id;
  return {
    value: isKnown ? known.value : undefined,
    error: isKnown ? known.error : "",
    isLoading: id !== "" && !(isKnown && loadedTurn === turn),
    again: useCallback(() => setTurn((before) => before + 1), []),
  };
}
