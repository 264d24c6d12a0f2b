/** What is known of a value besides its bytes. */
import type { Sibling } from "./key-client.ts";
import { visibleText } from "./stored-key.ts";
import { sinceText, untilText } from "./words.ts";

export interface ValueFactsProps {
  readonly sibling: Sibling;
  readonly nowMs: number;
  /** Further facts. */
  readonly children?: preact.ComponentChildren;
}

export function ValueFacts({ sibling, nowMs, children }: ValueFactsProps): preact.JSX.Element {
  const written = new Date(sibling.wallMs).toISOString();
  return (
    <dl class="key-facts">
      <Fact name="Written">
        <time dateTime={written} title={written}>
          {sinceText(sibling.wallMs, nowMs)}
        </time>
      </Fact>
      {!sibling.isDeleted && <Fact name="Type">{visibleText(sibling.contentType)}</Fact>}
      {sibling.contentEncoding !== "" && (
        <Fact name="Encoding">{visibleText(sibling.contentEncoding)}</Fact>
      )}
      {!sibling.isDeleted && (
        <Fact name="Expires">
          <span title={sibling.expiresAt}>{untilText(sibling.expiresAt, nowMs)}</span>
        </Fact>
      )}
      <Fact name="Dot">
        <code class="one-line" title={sibling.dot}>
          {sibling.dot}
        </code>
      </Fact>
      {sibling.meta.map(([name, value]) => (
        <Fact key={name} name={`Meta ${visibleText(name)}`}>
          {visibleText(value)}
        </Fact>
      ))}
      {children}
    </dl>
  );
}

export interface FactProps {
  readonly name: string;
  readonly children?: preact.ComponentChildren;
}

export function Fact({ name, children }: FactProps): preact.JSX.Element {
  return (
    <div class="key-fact">
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
