/** Changing the ring: a change is staged, its effect shown, and then applied or dropped. Nothing moves before it is applied. */
import { useState } from "preact/hooks";
import type { Job } from "../../http/admin-api.ts";
import type { ChangeRequest, LayoutSummary, StagedChange } from "../../http/layout-api.ts";
import { postJson, wordsOf } from "../api.ts";
import { useLive } from "../live/live.ts";
import { Waiting } from "../overview/overview-view.tsx";
import { Confirm } from "../parts/confirm.tsx";
import { counted, formatBytes, listed } from "../parts/format.ts";
import { useLoaded } from "../parts/loaded.ts";
import { ChangeForm } from "./change-form.tsx";
import { Preview } from "./preview.tsx";

const PATH = "/v1/cluster/layout";
const RELOAD_MS = 3000;

export function LayoutView() {
  const { sample } = useLive();
  const { value: layout, failure, reload } = useLoaded<LayoutSummary>(PATH, RELOAD_MS);
  const [trial, setTrial] = useState<LayoutSummary>();
  const [problem, setProblem] = useState("");
  const run = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
      setProblem("");
    } catch (thrown) {
      setProblem(wordsOf(thrown));
    }
    reload();
  };
  if (sample === undefined || layout === undefined)
    return failure === "" ? <Waiting /> : <p class="notice is-bad">{failure}</p>;
  const names = sample.nodes.filter(({ state }) => state !== "left").map(({ id }) => id);
  const ask = (path: string, change: ChangeRequest): Promise<LayoutSummary> =>
    postJson<LayoutSummary>(`${PATH}/${path}`, { changes: [change] });
  return (
    <>
      <div class="page-head">
        <h1>Layout</h1>
        <p>
          Version {layout.version}: {counted(layout.nodes.length, "node")} share{" "}
          {counted(layout.q, "partition")} in {counted(layout.n, "copy", "copies")} each, by weight.
          Changes are staged first; nothing moves before they are applied.
        </p>
      </div>
      {problem !== "" && (
        <p class="notice is-bad" role="alert">
          {problem}
        </p>
      )}
      {layout.change !== null && <Change change={layout.change} />}
      <Staged layout={layout} run={run} />
      <section class="card stack" aria-labelledby="new-change">
        <h2 id="new-change">Stage a change</h2>
        <ChangeForm
          layout={layout}
          names={names}
          onPreview={(change) => void run(async () => setTrial(await ask("preview", change)))}
          onStage={(change) =>
            void run(async () => {
              await ask("stage", change);
              setTrial(undefined);
            })
          }
        />
        {trial?.preview !== undefined && <Preview preview={trial.preview} />}
        {trial !== undefined && trial.preview === undefined && <p>That changes nothing.</p>}
      </section>
    </>
  );
}

interface StagedProps {
  readonly layout: LayoutSummary;
  readonly run: (work: () => Promise<void>) => Promise<void>;
}

function Staged({ layout, run }: StagedProps) {
  const { staged, preview } = layout;
  const [asked, setAsked] = useState<"apply" | "revert">();
  if (staged.length === 0)
    return (
      <section class="card">
        <h2>Staged</h2>
        <p class="soft">Nothing.</p>
      </section>
    );
  const version = preview?.version ?? layout.version + 1;
  const isForced = (preview?.objections.length ?? 0) > 0;
  const answer = (isYes: boolean): void => {
    const action = asked;
    setAsked(undefined);
    if (!isYes) return;
    const apply = async (): Promise<void> => {
      await postJson<Job>(`${PATH}/apply`, { version, force: isForced });
    };
    const revert = async (): Promise<void> => {
      await postJson<LayoutSummary>(`${PATH}/revert`);
    };
    void run(action === "apply" ? apply : revert);
  };
  return (
    <section class="card stack" aria-labelledby="staged">
      <div class="card-head">
        <h2 id="staged">Staged, as version {version}</h2>
        <span class="actions">
          <button type="button" class="button" onClick={() => setAsked("revert")}>
            Drop
          </button>
          <button type="button" class="button primary" onClick={() => setAsked("apply")}>
            Apply
          </button>
        </span>
      </div>
      <ul class="plain">
        {staged.map((change) => (
          <li key={change.id}>{wordsOfChange(change)}</li>
        ))}
      </ul>
      {preview !== undefined && <Preview preview={preview} />}
      {asked !== undefined && (
        <Confirm
          title={asked === "apply" ? `Apply version ${version}?` : "Drop what is staged?"}
          action={asked === "apply" ? "Apply" : "Drop"}
          isDanger={asked === "revert" || isForced}
          onAnswer={answer}
        >
          <p>{asked === "apply" ? applyWords(layout, isForced) : "The ring stays as it is."}</p>
        </Confirm>
      )}
    </section>
  );
}

function applyWords({ preview }: LayoutSummary, isForced: boolean): string {
  const moves = preview?.moves ?? { partitions: 0, bytes: 0 };
  const forced = isForced ? " The cluster advises against it; it would be forced." : "";
  return `${counted(moves.partitions, "copy", "copies")} of partitions move, about ${formatBytes(moves.bytes)}. Reads and writes go on meanwhile.${forced}`;
}

function wordsOfChange({ id, action, weight, zone, replaces }: StagedChange): string {
  const place = zone === undefined ? "" : ` in ${zone.dc} / ${zone.rack}`;
  const heavy = weight === undefined ? "" : ` with weight ${weight}`;
  if (replaces !== undefined) return `${id} takes the place of ${replaces}`;
  if (action === "leave") return `${id} hands over all it has, and goes`;
  if (action === "remove") return `${id} is removed`;
  return `${id} ${action === "join" ? "joins" : "goes on"}${place}${heavy}`;
}

function Change({ change }: { readonly change: NonNullable<LayoutSummary["change"]> }) {
  const { version, transfers, bytesSent, nodes, synced, waitingFor } = change;
  const { done, total } = transfers;
  return (
    <section class="card stack" aria-labelledby="under-way">
      <h2 id="under-way">On the way to version {version}</h2>
      <progress value={synced} max={nodes} aria-label="Nodes that have all that is theirs" />
      <p>
        {synced} of {counted(nodes, "node")} have all that is theirs.{" "}
        {total === 0
          ? "This node has nothing to hand over."
          : `This node has handed over ${done} of ${counted(total, "copy", "copies")}, ${formatBytes(bytesSent)}.`}
      </p>
      {waitingFor.length > 0 && (
        <p class="notice is-warn">
          Waiting for {listed(waitingFor)}, which {waitingFor.length === 1 ? "is" : "are"} not up.
        </p>
      )}
    </section>
  );
}
