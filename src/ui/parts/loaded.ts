/** Something from the REST interface that a view shows, asked for again when it may have changed. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { getJson, wordsOf } from "../api.ts";

export interface Loaded<T> {
  /** The last answer; it stays when a later request fails. */
  readonly value: T | undefined;
  readonly failure: string;
  readonly reload: () => void;
}

/**
 * @param everyMs 0: only when `key` changes
 * @param key what the answer depends on besides the path
 */
export function useLoaded<T>(path: string, everyMs: number, key: unknown = ""): Loaded<T> {
  const [state, setState] = useState<{ value?: T; failure: string }>({ failure: "" });
  const current = useRef(0);
  const reload = useCallback(() => {
    const request = ++current.current;
    getJson<T>(path).then(
      (value) => request === current.current && setState({ value, failure: "" }),
      (thrown: unknown) =>
        request === current.current && setState((last) => ({ ...last, failure: wordsOf(thrown) })),
    );
  }, [path]);
  useEffect(() => {
    reload();
    if (everyMs === 0) return;
    const timer = window.setInterval(() => document.hidden || reload(), everyMs);
    return () => window.clearInterval(timer);
  }, [reload, everyMs, key]);
  return { value: state.value, failure: state.failure, reload };
}
