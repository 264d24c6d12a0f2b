/**
 * Where in the dashboard we are: `#/view/rest?name=value`. The rest is left as it is in the address, percent-encoded: only its view knows what it means.
 */
import { useEffect, useState } from "preact/hooks";

export interface Place {
  /** `ring` of `#/ring/...`; empty for the overview. */
  readonly view: string;
  /** What follows, without the slash before it. */
  readonly rest: string;
  readonly query: URLSearchParams;
}

export function placeOf(hash: string): Place {
  const text = hash.replace(/^#?\/?/, "");
  const [path = "", query = ""] = splitOnce(text, "?");
  const [view = "", rest = ""] = splitOnce(path, "/");
  return { view, rest, query: new URLSearchParams(query) };
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => placeOf(window.location.hash));
  useEffect(() => {
    const follow = (): void => setPlace(placeOf(window.location.hash));
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);
  return place;
}

export function goTo(hash: string): void {
  window.location.hash = hash;
}
