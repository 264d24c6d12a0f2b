/** The frame around every view: navigation, which node we look at, whether what we see is live, light or dark. */
import { useEffect, useRef } from "preact/hooks";
import { NO_ANSWER, signIn, wantsToken } from "../api.ts";
import { live, useLive } from "../live/live.ts";
import { VIEWS, type View } from "../views.ts";
import { type Place, usePlace } from "./place.ts";
import { useTheme } from "./theme.ts";
import { TokenDialog } from "./token-dialog.tsx";

export function Shell() {
  const place = usePlace();
  const view = VIEWS.find(({ id }) => id === place.view);
  const main = useRef<HTMLElement>(null);
  const isFirst = useRef(true);
  const { status } = useLive();
  useEffect(() => {
    document.title = view === undefined || view.id === "" ? "hutch" : `${view.title} · hutch`;
    // Whoever reads with a screen reader or moves by keyboard starts where the new view starts.
    if (!isFirst.current) {
      main.current?.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
    isFirst.current = false;
  }, [view]);
  return (
    <>
      <a
        class="skip"
        href="#main"
        onClick={(event) => (event.preventDefault(), main.current?.focus())}
      >
        Skip to content
      </a>
      <Header current={place.view} />
      <GoneBanner />
      <main id="main" class={`main is-${status}`} tabIndex={-1} ref={main}>
        <Page view={view} place={place} />
      </main>
      <TokenDialog />
    </>
  );
}

function Page({ view, place }: { readonly view: View | undefined; readonly place: Place }) {
  if (view !== undefined) return <view.Page place={place} />;
  return (
    <section class="empty">
      <h1>Nothing here</h1>
      <p>
        The address names no view. <a href="#/">Back to the overview</a>
      </p>
    </section>
  );
}

function Header({ current }: { readonly current: string }) {
  const { sample } = useLive();
  return (
    <header class="header">
      <a class="brand" href="#/">
        <img src="/ui/icon.svg" alt="" width="22" height="22" />
        <strong>hutch</strong>
        <span class="brand-cluster">{sample?.cluster.name}</span>
        <span class="visually-hidden">overview</span>
      </a>
      <nav class="nav" aria-label="Views">
        {VIEWS.map(({ id, title }) => (
          <a key={id} href={`#/${id}`} {...(id === current && { "aria-current": "page" as const })}>
            {title}
          </a>
        ))}
      </nav>
      <div class="header-end">
        <Pulse />
        {wantsToken() && (
          <button
            type="button"
            class="button quiet"
            onClick={() => void signIn().then((isGiven) => isGiven && live.retry())}
          >
            Sign in
          </button>
        )}
        <ThemeButton />
      </div>
    </header>
  );
}

function Pulse() {
  const { status, sample } = useLive();
  const words = { connecting: "Connecting", live: "Live", gone: "Not connected" }[status];
  return (
    <span class={`pulse is-${status}`} role="status">
      <i class="dot" aria-hidden="true" />
      <span class="pulse-node">{sample?.node}</span>
      {words}
    </span>
  );
}

function ThemeButton() {
  const [theme, next] = useTheme();
  const words = { system: "Auto", light: "Light", dark: "Dark" }[theme];
  return (
    <button
      type="button"
      class="button quiet"
      onClick={next}
      aria-label={`Colours: ${words}. Change`}
    >
      {words}
    </button>
  );
}

/** The other nodes serve the same page; going there is for the person to decide. */
function GoneBanner() {
  const { status, reason, sample } = useLive();
  if (status !== "gone") return null;
  const others =
    sample?.nodes.filter(({ id, state }) => id !== sample.node && state === "up") ?? [];
  return (
    <div class="banner" role="alert">
      <span>
        <strong>
          {reason === NO_ANSWER
            ? `${sample?.node ?? "The node"} does not answer.`
            : `No news from ${sample?.node ?? "the node"}.`}
        </strong>{" "}
        {reason !== NO_ANSWER && `${reason}. `}
        {sample === undefined
          ? "Trying again."
          : "Trying again; what you see is the last that it told."}
      </span>
      <span class="banner-links">
        {others.map(({ id, address }) => (
          <a key={id} href={`${window.location.protocol}//${address}/ui${window.location.hash}`}>
            Look at {id}
          </a>
        ))}
        <button type="button" class="button" onClick={() => live.retry()}>
          Try now
        </button>
      </span>
    </div>
  );
}
