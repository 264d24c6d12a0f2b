/** What to list and how: bucket, prefix, folders, consistency of reads and writes; and a key by its whole name. */
import { useEffect, useRef, useState } from "preact/hooks";
import { LEVELS, type Level } from "./key-client.ts";
import { DELIMITERS, type KeysPlace, hashOf } from "./keys-place.ts";
import { keyOfText, labelOf } from "./stored-key.ts";

export interface KeySearchProps {
  readonly at: KeysPlace;
  readonly move: (part: Partial<KeysPlace>) => void;
  readonly buckets: readonly string[];
  readonly readLevel: Level;
  readonly writeLevel: Level;
  readonly onReadLevel: (level: Level) => void;
  readonly onWriteLevel: (level: Level) => void;
}

/** Long enough that a word is typed before the list is fetched, short enough to seem at once. */
const TYPING_MS = 200;

export function KeySearch(props: KeySearchProps): preact.JSX.Element {
  const { at, move, readLevel, writeLevel, onReadLevel, onWriteLevel } = props;
  return (
    <div class="key-search" role="search">
      <BucketField {...props} />
      <PrefixField {...props} />
      <label class="field">
        Folders by
        <select
          value={at.delimiter}
          onChange={({ currentTarget }) => move({ delimiter: currentTarget.value })}
        >
          {DELIMITERS.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
          <option value="">none</option>
        </select>
      </label>
      <LevelField name="Read" level={readLevel} onLevel={onReadLevel} />
      <LevelField name="Write" level={writeLevel} onLevel={onWriteLevel} />
    </div>
  );
}

/** Any bucket works without being made first, so any name may be typed. */
function BucketField({ at, move, buckets }: KeySearchProps): preact.JSX.Element {
  return (
    <label class="field">
      Bucket
      <input
        list="bucket-names"
        value={at.bucket}
        autocomplete="off"
        spellcheck={false}
        onChange={({ currentTarget }) =>
          move({ bucket: currentTarget.value.trim(), prefix: keyOfText(""), key: undefined })
        }
      />
      <datalist id="bucket-names">
        {buckets.map((name) => (
          <option key={name} value={name} />
        ))}
      </datalist>
    </label>
  );
}

function PrefixField({ at, move }: KeySearchProps): preact.JSX.Element {
  const shown = at.prefix.text ?? labelOf(at.prefix);
  const [typed, setTyped] = useState(shown);
  const timer = useRef(0);
  useEffect(() => {
    setTyped(shown);
    return () => window.clearTimeout(timer.current);
  }, [at.bucket, shown]);
  const type = (text: string): void => {
    setTyped(text);
    window.clearTimeout(timer.current);
    // Letters are not steps of the way back.
    timer.current = window.setTimeout(
      () => window.location.replace(hashOf({ ...at, prefix: keyOfText(text) })),
      TYPING_MS,
    );
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Enter" && typed !== "") move({ key: keyOfText(typed) });
    if (event.key !== "ArrowDown") return;
    event.preventDefault();
    document.querySelector<HTMLElement>(".key-list button")?.focus();
  };
  return (
    <label class="field field-wide">
      <span>
        Keys that start with <kbd>/</kbd>
      </span>
      <input
        type="search"
        data-search
        value={typed}
        placeholder="all; Enter opens the key of this name"
        autocomplete="off"
        spellcheck={false}
        onInput={({ currentTarget }) => type(currentTarget.value)}
        onKeyDown={onKeyDown}
      />
    </label>
  );
}

interface LevelFieldProps {
  readonly name: string;
  readonly level: Level;
  readonly onLevel: (level: Level) => void;
}

function LevelField({ name, level, onLevel }: LevelFieldProps): preact.JSX.Element {
  return (
    <label class="field">
      {name} at
      <select
        value={level}
        onChange={({ currentTarget }) =>
          onLevel(LEVELS.find((each) => each === currentTarget.value) ?? level)
        }
      >
        {LEVELS.map((each) => (
          <option key={each} value={each}>
            {each}
          </option>
        ))}
      </select>
    </label>
  );
}
