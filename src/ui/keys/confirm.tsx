/** A question before something that cannot be undone. The browser's own dialog: it holds the focus, and Esc says no. */
import { useEffect, useId, useRef } from "preact/hooks";

export interface ConfirmProps {
  readonly question: string;
  readonly detail: string;
  /** What the button says that does it. */
  readonly action: string;
  readonly onYes: () => void;
  readonly onNo: () => void;
}

export function Confirm({
  question,
  detail,
  action,
  onYes,
  onNo,
}: ConfirmProps): preact.JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => dialog.current?.showModal(), []);
  const cancel = (event: Event): void => {
    event.preventDefault();
    onNo();
  };
  // Esc is for the dialog; what is behind it must not hear of it.
  const keep = (event: KeyboardEvent): void => event.stopPropagation();
  return (
    <dialog
      ref={dialog}
      aria-labelledby={titleId}
      onCancel={cancel}
      onKeyDown={keep}
      class="confirm"
    >
      <h3 id={titleId}>{question}</h3>
      <p>{detail}</p>
      <div class="actions">
        <button type="button" class="button danger" onClick={onYes}>
          {action}
        </button>
        <button type="button" class="button" onClick={onNo} autofocus>
          Cancel
        </button>
      </div>
    </dialog>
  );
}
