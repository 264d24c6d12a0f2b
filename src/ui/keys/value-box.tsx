/** A value, as text, indented JSON or hexadecimal. What is stored is only ever text of the page. */
import { useState } from "preact/hooks";
import { formatBytes } from "../parts/format.ts";
import { type ValueForm, formsOf, shownAs } from "./value-text.ts";

const FORM_NAMES: Readonly<Record<ValueForm, string>> = { text: "Text", json: "JSON", hex: "Hex" };

export interface ValueBoxProps {
  readonly bytes: Uint8Array;
  /** For the name of a downloaded file and for screen readers. */
  readonly label: string;
}

export function ValueBox({ bytes, label }: ValueBoxProps): preact.JSX.Element {
  const forms = formsOf(bytes);
  const [chosen, setChosen] = useState<ValueForm>(forms[0]!);
  const form = forms.includes(chosen) ? chosen : forms[0]!;
  const { text, isCut } = shownAs(bytes, form);
  return (
    <div class="value-box">
      <div class="value-bar">
        <div role="group" aria-label={`Form of ${label}`} class="segments">
          {forms.map((each) => (
            <button
              type="button"
              key={each}
              aria-pressed={each === form}
              onClick={() => setChosen(each)}
            >
              {FORM_NAMES[each]}
            </button>
          ))}
        </div>
        <span class="dim">{formatBytes(bytes.length)}</span>
        <button type="button" class="button quiet" onClick={() => saveAs(bytes)}>
          Download
        </button>
      </div>
      <pre class={form === "hex" ? "value is-hex" : "value"} tabIndex={0} aria-label={label}>
        {bytes.length === 0 ? <span class="dim">(empty)</span> : text}
      </pre>
      {isCut && <p class="dim">Only the beginning is shown. Download it to see all.</p>}
    </div>
  );
}

/** As bytes without a type, so that no browser shows it in our name. */
function saveAs(bytes: Uint8Array): void {
  const part = bytes as Uint8Array<ArrayBuffer>; // nobody here shares memory
  const url = URL.createObjectURL(new Blob([part], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "value";
  link.click();
  URL.revokeObjectURL(url);
}
