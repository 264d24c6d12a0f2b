/** What a reading of a key shows, and what can be done with it: edit, delete, resolve. */
import { useState } from "preact/hooks";
import { Confirm } from "../parts/confirm.tsx";
import { formatBytes } from "../parts/format.ts";
import {
  type Draft,
  NEW_DRAFT,
  draftOf,
  isEditable,
  mergedDraft,
  valueOfDraft,
  valueOfSibling,
} from "./draft.ts";
import { Editor } from "./editor.tsx";
import { Failure } from "./failure.tsx";
import {
  type KeyReading,
  type Level,
  type NewValue,
  type Sibling,
  deleteKey,
  writeKey,
} from "./key-client.ts";
import { Siblings } from "./siblings.tsx";
import { type StoredKey, labelOf } from "./stored-key.ts";
import { ValueBox } from "./value-box.tsx";
import { Fact, ValueFacts } from "./value-facts.tsx";
import { acksText } from "./words.ts";

/** What is being done to the key, and how the last thing went. */
export interface KeyWork {
  readonly isBusy: boolean;
  readonly done: string;
  readonly failed: string;
  /** Runs a write that gives words about it; false where it failed. */
  readonly run: (write: () => Promise<string>) => Promise<boolean>;
}

export interface KeyContentProps {
  readonly bucket: string;
  readonly stored: StoredKey;
  readonly reading: KeyReading;
  readonly writeLevel: Level;
  readonly work: KeyWork;
  readonly onReload: () => void;
}

/** An editor that is open: on what, and under which title. */
interface Editing {
  readonly title: string;
  readonly draft: Draft;
  /** Of the reading that was on the page when it was opened; a later reading must not lend it its context. */
  readonly context: string;
}

interface Writes {
  readonly keep: (sibling: Sibling) => void;
  readonly remove: () => void;
  /** True where it was saved. */
  readonly save: (draft: Draft, context: string) => Promise<boolean>;
}

function writesOf({ bucket, stored, reading, writeLevel, work }: KeyContentProps): Writes {
  const context = contextOf(reading);
  const write = (value: () => NewValue, word: string): Promise<boolean> =>
    work.run(async () => {
      const acks = await writeKey(bucket, stored, value(), writeLevel);
      return `${word}: ${acksText(acks)}.`;
    });
  const remove = (): void =>
    void work.run(async () => {
      const acks = await deleteKey(bucket, stored, context, writeLevel);
      return `Deleted: ${acksText(acks)}.`;
    });
  return {
    remove,
    save: (draft, read) => write(() => valueOfDraft(draft, read), "Saved"),
    keep: (sibling) =>
      sibling.isDeleted ? remove() : void write(() => valueOfSibling(sibling, context), "Resolved"),
  };
}

const contextOf = (reading: KeyReading): string =>
  reading.kind === "too-large" ? "" : reading.context;

export function KeyContent(props: KeyContentProps): preact.JSX.Element {
  const { bucket, stored, reading, work, onReload } = props;
  const [editing, setEditing] = useState<Editing>();
  const [isAsking, setIsAsking] = useState(false);
  const writes = writesOf(props);
  const save = async (draft: Draft, context: string): Promise<void> => {
    if (await writes.save(draft, context)) setEditing(undefined);
  };
  const edit = (title: string, draft: Draft): void =>
    setEditing({ title, draft, context: contextOf(reading) });
  return (
    <>
      {work.failed !== "" && editing === undefined && <Failure words={work.failed} />}
      <Reading
        reading={reading}
        isBusy={work.isBusy}
        onKeep={writes.keep}
        onMerge={(siblings) => edit("Merge the siblings", mergedDraft(siblings))}
      />
      {editing === undefined ? (
        <Actions
          {...{ reading, onReload }}
          isBusy={work.isBusy}
          onEdit={edit}
          onDelete={() => setIsAsking(true)}
        />
      ) : (
        <Editor
          title={editing.title}
          initial={editing.draft}
          isBusy={work.isBusy}
          failed={work.failed}
          onSave={(draft) => void save(draft, editing.context)}
          onCancel={() => setEditing(undefined)}
        />
      )}
      {isAsking && (
        <Confirm
          title={`Delete ${bucket}/${labelOf(stored)}?`}
          action="Delete"
          isDanger
          onAnswer={(isYes) => {
            setIsAsking(false);
            if (isYes) writes.remove();
          }}
        >
          <p>
            What you have read is deleted on every node. A value that somebody else has written
            since stays.
          </p>
        </Confirm>
      )}
    </>
  );
}

type Found = Extract<KeyReading, { kind: "found" }>;

interface ReadingProps {
  readonly reading: KeyReading;
  readonly isBusy: boolean;
  readonly onKeep: (sibling: Found["siblings"][number]) => void;
  readonly onMerge: (siblings: Found["siblings"]) => void;
}

function Reading({ reading, isBusy, onKeep, onMerge }: ReadingProps): preact.JSX.Element {
  const nowMs = Date.now();
  if (reading.kind === "absent")
    return (
      <p class="notice">
        {reading.isDeleted ? "This key is deleted or has expired." : "There is no such key."}
      </p>
    );
  if (reading.kind === "too-large")
    return (
      <p class="notice">
        The value is too large for this page ({formatBytes(reading.sizeBytes)}). Read it with{" "}
        <code>hutch get</code> or <code>curl</code>.
      </p>
    );
  const { siblings } = reading;
  const only = siblings.length === 1 ? siblings[0] : undefined;
  if (only === undefined)
    return (
      <>
        <Siblings {...{ siblings, nowMs, isBusy, onKeep }} onMerge={() => onMerge(siblings)} />
        <dl class="key-facts">
          <ReadingFacts reading={reading} />
        </dl>
      </>
    );
  return (
    <>
      <ValueBox bytes={only.bytes} label="Value" />
      <ValueFacts sibling={only} nowMs={nowMs}>
        <ReadingFacts reading={reading} />
      </ValueFacts>
    </>
  );
}

function ReadingFacts({ reading }: { readonly reading: Found }): preact.JSX.Element {
  const { etag, context, replies, node } = reading;
  return (
    <>
      <Fact name="ETag">
        <code class="one-line">{etag}</code>
      </Fact>
      <Fact name="Replies">
        <code>{replies}</code> to <code>{node}</code>
      </Fact>
      <Fact name="Context">
        <code class="one-line" title={context}>
          {context}
        </code>
      </Fact>
    </>
  );
}

interface ActionsProps extends Pick<KeyContentProps, "reading" | "onReload"> {
  readonly isBusy: boolean;
  readonly onEdit: (title: string, draft: Draft) => void;
  readonly onDelete: () => void;
}

function Actions({
  reading,
  isBusy,
  onEdit,
  onDelete,
  onReload,
}: ActionsProps): preact.JSX.Element {
  const only =
    reading.kind === "found" && reading.siblings.length === 1 ? reading.siblings[0] : undefined;
  return (
    <div class="actions">
      {only !== undefined && isEditable(only) && (
        <button
          type="button"
          class="button"
          disabled={isBusy}
          onClick={() => onEdit("Edit the value", draftOf(only))}
        >
          Edit
        </button>
      )}
      {reading.kind === "absent" && (
        <button
          type="button"
          class="button"
          disabled={isBusy}
          onClick={() => onEdit("Write a value", NEW_DRAFT)}
        >
          Write a value
        </button>
      )}
      {reading.kind !== "absent" && (
        <button type="button" class="button danger" disabled={isBusy} onClick={onDelete}>
          Delete
        </button>
      )}
      <button type="button" class="button quiet" disabled={isBusy} onClick={onReload}>
        Read again
      </button>
    </div>
  );
}
