/** An editor of one value; what it gives is a draft, and who opened it writes that. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Draft } from "./draft.ts";
import { Failure } from "./failure.tsx";

export interface EditorProps {
  readonly title: string;
  readonly initial: Draft;
  readonly isBusy: boolean;
  /** Why it could not be saved. */
  readonly failed: string;
  readonly onSave: (draft: Draft) => void;
  readonly onCancel: () => void;
}

export function Editor({
  title,
  initial,
  isBusy,
  failed,
  onSave,
  onCancel,
}: EditorProps): preact.JSX.Element {
  const [draft, setDraft] = useState(initial);
  const value = useRef<HTMLTextAreaElement>(null);
  useEffect(() => value.current?.focus(), []);
  const change = (part: Partial<Draft>): void => setDraft({ ...draft, ...part });
  const save = (event: Event): void => {
    event.preventDefault();
    onSave(draft);
  };
  const keys = (event: KeyboardEvent): void => {
    if (event.key !== "Escape") return;
    event.stopPropagation();
    onCancel();
  };
  return (
    <form class="editor" aria-label={title} onSubmit={save} onKeyDown={keys}>
      <h3>{title}</h3>
      <label class="field">
        Value
        <textarea
          ref={value}
          rows={8}
          spellcheck={false}
          value={draft.text}
          onInput={({ currentTarget }) => change({ text: currentTarget.value })}
        />
      </label>
      <DraftFields draft={draft} onChange={change} />
      {failed !== "" && <Failure words={failed} />}
      <div class="actions">
        <button type="submit" class="button primary" disabled={isBusy}>
          {isBusy ? "Saving…" : "Save"}
        </button>
        <button type="button" class="button" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}

interface DraftFieldsProps {
  readonly draft: Draft;
  readonly onChange: (part: Partial<Draft>) => void;
}

function DraftFields({ draft, onChange }: DraftFieldsProps): preact.JSX.Element {
  return (
    <div class="editor-fields">
      <label class="field">
        Type
        <input
          value={draft.contentType}
          onInput={({ currentTarget }) => onChange({ contentType: currentTarget.value })}
        />
      </label>
      <label class="field">
        Lifetime
        <input
          value={draft.ttl}
          placeholder="forever; 60s, 5m, 7d, keep"
          onInput={({ currentTarget }) => onChange({ ttl: currentTarget.value })}
        />
      </label>
      <label class="field field-wide">
        <span>
          Metadata, one <code>name: value</code> per line
        </span>
        <textarea
          rows={2}
          spellcheck={false}
          value={draft.meta}
          onInput={({ currentTarget }) => onChange({ meta: currentTarget.value })}
        />
      </label>
    </div>
  );
}
