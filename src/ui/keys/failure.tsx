/** What went wrong, in words, and a way to try again. */

export interface FailureProps {
  readonly words: string;
  readonly onAgain?: () => void;
}

export function Failure({ words, onAgain }: FailureProps): preact.JSX.Element {
  return (
    <p class="notice notice-bad" role="alert">
      {words}{" "}
      {onAgain !== undefined && (
        <button type="button" class="button" onClick={onAgain}>
          Try again
        </button>
      )}
    </p>
  );
}
