/** One change of the layout, put together by hand: shown first, staged then. */
import { useState } from "preact/hooks";
import type { ChangeRequest, LayoutSummary } from "../../http/layout-api.ts";

const ACTIONS = [
  ["weight", "Give it another weight"],
  ["leave", "Let it hand over all it has, and go"],
  ["remove", "Remove it: it is gone for good"],
  ["replace", "Put another node in its place"],
  ["join", "Let it join"],
] as const;

type Action = (typeof ACTIONS)[number][0];

export interface ChangeFormProps {
  readonly layout: LayoutSummary;
  /** Names of all nodes, those that are no part of the layout included. */
  readonly names: readonly string[];
  readonly onPreview: (change: ChangeRequest) => void;
  readonly onStage: (change: ChangeRequest) => void;
}

export function ChangeForm({ layout, names, onPreview, onStage }: ChangeFormProps) {
  const [id, setId] = useState(names[0] ?? "");
  const [action, setAction] = useState<Action>("weight");
  const [weight, setWeight] = useState("1");
  const [successor, setSuccessor] = useState("");
  const others = names.filter((name) => name !== id);
  const change = changeOf(id, action, Number(weight), successor || (others[0] ?? ""));
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (change !== undefined) onPreview(change);
  };
  const now = layout.nodes.find((node) => node.id === id)?.weight;
  return (
    <form class="change-form" onSubmit={submit}>
      <Choice name="Node" value={id} options={names.map((name) => [name, name])} onChange={setId} />
      <Choice name="Change" value={action} options={ACTIONS} onChange={setAction} />
      {action === "weight" && (
        <label class="field">
          Weight{now !== undefined && `, now ${now}`}
          <input
            type="number"
            min="1"
            max="1000"
            required
            value={weight}
            onInput={(event) => setWeight(event.currentTarget.value)}
          />
        </label>
      )}
      {action === "replace" && (
        <Choice
          name="By"
          value={successor}
          options={others.map((name) => [name, name])}
          onChange={setSuccessor}
        />
      )}
      <div class="actions">
        <button type="submit" class="button" disabled={change === undefined}>
          Show what would move
        </button>
        <button
          type="button"
          class="button"
          disabled={change === undefined}
          onClick={() => change !== undefined && onStage(change)}
        >
          Stage
        </button>
      </div>
    </form>
  );
}

interface ChoiceProps<T extends string> {
  readonly name: string;
  readonly value: T;
  /** Values with their words. */
  readonly options: readonly (readonly [T, string])[];
  readonly onChange: (value: T) => void;
}

function Choice<T extends string>({ name, value, options, onChange }: ChoiceProps<T>) {
  return (
    <label class="field">
      {name}
      {/* Only what is offered can be chosen. */}
      <select value={value} onChange={(event) => onChange(event.currentTarget.value as T)}>
        {options.map(([option, words]) => (
          <option key={option} value={option}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

function changeOf(
  id: string,
  action: Action,
  weight: number,
  successor: string,
): ChangeRequest | undefined {
  if (id === "") return undefined;
  if (action === "weight")
    return Number.isInteger(weight) && weight >= 1 && weight <= 1000 ? { id, weight } : undefined;
  if (action === "replace") return successor === "" ? undefined : { id, action, with: successor };
  return { id, action };
}
