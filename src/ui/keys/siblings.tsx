/**
 * Siblings side by side: what each says, where two of them differ, and one click to decide.
 *
 * Nothing is chosen for anybody. Keeping one, or writing what was merged, carries the context of the read that is shown, so a
 * value that came meanwhile is not lost: it is a sibling of what is written now.
 */
import { useState } from "preact/hooks";
import { utf8Text } from "../../base/bytes.ts";
import { isEditable } from "./draft.ts";
import type { Sibling } from "./key-client.ts";
import { lineDiff } from "./line-diff.ts";
import { ValueBox } from "./value-box.tsx";
import { ValueFacts } from "./value-facts.tsx";
import { jsonOf } from "./value-text.ts";

export interface SiblingsProps {
  readonly siblings: readonly Sibling[];
  readonly nowMs: number;
  readonly isBusy: boolean;
  readonly onKeep: (sibling: Sibling) => void;
  readonly onMerge: () => void;
}

/** `A`, `B`, ...; above 26 by number. */
export const letterOf = (index: number): string =>
  index < 26 ? String.fromCharCode(65 + index) : String(index + 1);

export function Siblings({
  siblings,
  nowMs,
  isBusy,
  onKeep,
  onMerge,
}: SiblingsProps): preact.JSX.Element {
  return (
    <section aria-label="Siblings" class="siblings">
      <p class="notice notice-conflict">
        <strong>{siblings.length} siblings.</strong> They were written without knowledge of each
        other. Keep one, or merge them.
      </p>
      <div class="sibling-columns">
        {siblings.map((sibling, index) => (
          <article key={sibling.dot} class="sibling" aria-label={`Sibling ${letterOf(index)}`}>
            <header class="sibling-head">
              <h3>
                {letterOf(index)}
                {index === 0 && <span class="dim"> newest</span>}
              </h3>
              <button
                type="button"
                class="button primary"
                disabled={isBusy}
                onClick={() => onKeep(sibling)}
              >
                {sibling.isDeleted ? "Keep deleted" : `Keep ${letterOf(index)}`}
              </button>
            </header>
            {sibling.isDeleted ? (
              <p class="notice">Deleted.</p>
            ) : (
              <ValueBox bytes={sibling.bytes} label={`Value of sibling ${letterOf(index)}`} />
            )}
            <ValueFacts sibling={sibling} nowMs={nowMs} />
          </article>
        ))}
      </div>
      <Differences siblings={siblings} />
      <div class="actions">
        <button
          type="button"
          class="button"
          disabled={isBusy || !siblings.some(isEditable)}
          onClick={onMerge}
        >
          Keep all, merged in an editor
        </button>
      </div>
    </section>
  );
}

/** Lines of a difference in the document; a page is no place for more. */
const DIFFERENCES_MAX = 400;

function comparedText(sibling: Sibling): string | undefined {
  if (!isEditable(sibling)) return undefined;
  const text = utf8Text(sibling.bytes) ?? "";
  return jsonOf(text) ?? text;
}

interface DifferencesProps {
  readonly siblings: readonly Sibling[];
}

const SIGNS = { both: " ", left: "−", right: "+" } as const;

function Differences({ siblings }: DifferencesProps): preact.JSX.Element {
  const [[left, right], choose] = useState<readonly [number, number]>([0, 1]);
  const [a, b] = [siblings[left], siblings[right]];
  const texts = [a, b].map((each) => (each === undefined ? undefined : comparedText(each)));
  const lines =
    texts[0] === undefined || texts[1] === undefined ? undefined : lineDiff(texts[0], texts[1]);
  return (
    <details class="differences" open>
      <summary>
        Difference of {letterOf(left)} and {letterOf(right)}
      </summary>
      {siblings.length > 2 && (
        <div class="actions">
          <SiblingChoice
            name="from"
            {...{ siblings }}
            chosen={left}
            onChoose={(i) => choose([i, right])}
          />
          <SiblingChoice
            name="to"
            {...{ siblings }}
            chosen={right}
            onChoose={(i) => choose([left, i])}
          />
        </div>
      )}
      {lines === undefined ? (
        <p class="dim">Only values that are text are compared by lines.</p>
      ) : (
        <pre class="value diff" tabIndex={0} aria-label="Lines that differ">
          {lines.slice(0, DIFFERENCES_MAX).map(({ side, text }, index) => (
            <div key={index} class={`diff-${side}`}>
              <span class="diff-sign">{SIGNS[side]}</span> {text}
            </div>
          ))}
        </pre>
      )}
    </details>
  );
}

interface SiblingChoiceProps extends DifferencesProps {
  readonly name: string;
  readonly chosen: number;
  readonly onChoose: (index: number) => void;
}

function SiblingChoice({
  name,
  siblings,
  chosen,
  onChoose,
}: SiblingChoiceProps): preact.JSX.Element {
  return (
    <label>
      {name}{" "}
      <select
        value={chosen}
        onChange={({ currentTarget }) => onChoose(Number(currentTarget.value))}
      >
        {siblings.map(({ dot }, index) => (
          <option key={dot} value={index}>
            {letterOf(index)}
          </option>
        ))}
      </select>
    </label>
  );
}
