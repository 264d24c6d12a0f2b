/** Asks for a bearer token when the node answered 401. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { onTokenWanted } from "../api.ts";

interface Question {
  readonly reason: string;
  readonly answer: (token: string | undefined) => void;
}

export function TokenDialog() {
  const [question, setQuestion] = useState<Question>();
  const dialog = useRef<HTMLDialogElement>(null);
  // Before the first request is sent: its 401 must find somebody to ask.
  useLayoutEffect(
    () => onTokenWanted((reason) => new Promise((answer) => setQuestion({ reason, answer }))),
    [],
  );
  useEffect(() => {
    if (question !== undefined) dialog.current?.showModal();
  }, [question]);
  if (question === undefined) return null;
  const close = (token: string | undefined): void => {
    dialog.current?.close();
    setQuestion(undefined);
    question.answer(token);
  };
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = new FormData(event.currentTarget as HTMLFormElement);
    close(String(form.get("token") ?? "").trim());
  };
  return (
    <dialog
      ref={dialog}
      class="dialog"
      aria-labelledby="token-title"
      onCancel={() => close(undefined)}
    >
      <form onSubmit={submit}>
        <h2 id="token-title">Sign in</h2>
        <p>{question.reason} It stays in this page and is forgotten with it.</p>
        <label class="field">
          Token
          <input
            name="token"
            type="password"
            autocomplete="off"
            spellcheck={false}
            required
            autofocus
          />
        </label>
        <div class="actions">
          <button type="button" class="button" onClick={() => close(undefined)}>
            Not now
          </button>
          <button type="submit" class="button primary">
            Sign in
          </button>
        </div>
      </form>
    </dialog>
  );
}
