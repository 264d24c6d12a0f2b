/** Asks before something is changed. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

export interface ConfirmProps {
  readonly title: string;
  readonly action: string;
  readonly isDanger?: boolean;
  readonly children: ComponentChildren;
  readonly onAnswer: (isYes: boolean) => void;
}

export function Confirm({ title, action, isDanger = false, children, onAnswer }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const cancel = (event: Event): void => {
    event.preventDefault();
    onAnswer(false);
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="confirm-title" onCancel={cancel}>
      <div>
        <h2 id="confirm-title">{title}</h2>
        {children}
        <div class="actions">
          <button type="button" class="button" onClick={() => onAnswer(false)}>
            Cancel
          </button>
          <button
            type="button"
            class={`button ${isDanger ? "danger" : "primary"}`}
            onClick={() => onAnswer(true)}
          >
            {action}
          </button>
        </div>
      </div>
    </dialog>
  );
}
