/**
 * Carries out steps by REST and says what a client could see of each answer, in words that do not depend on the variant.
 *
 * What differs by right and is left out, or replaced by what it means:
 *
 *   dots, contexts, ETags, sessions   name the node that minted and the time in milliseconds; used where the step says so, compared nowhere
 *   X-HLC, X-Expires-At, dates        times in milliseconds; whether there is an expiry is compared, and when it takes effect
 *   X-Node, X-Request-Id              say who answered
 *   X-Acks, n, copies                 three nodes keep three copies, one node keeps one
 *   cursors                           pages are joined: where one ends, and which prefixes come on it, is the node's choice
 *   problem documents                 status and code are compared, the sentence is for people
 */
import type { Bucket, Sight, Step } from "./steps.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

/** To some node of the system. */
export type Send = (path: string, init?: RequestInit) => Answer;

/** What a client has seen of a key, the newest first. */
interface Sighting {
  readonly context: string;
  readonly etag: string;
}
const NOTHING: Sighting = { context: "", etag: "" };
const PAGES_MAX = 100;

export class MetamorphicClient {
  private readonly seen = new Map<string, readonly [last: Sighting, before: Sighting]>();
  private session = "new";
  private readonly consistency: string;

  constructor(consistency: string) {
    this.consistency = consistency;
  }

  /** One line for each thing that was seen. */
  perform(step: Step, send: Send): string[] {
    switch (step.kind) {
      case "put":
        return this.put(step, send);
      case "delete":
        return this.delete(step, send);
      case "get":
        return this.get(step.bucket, step.key, send);
      case "list":
        return this.list(step.bucket, step.query, send);
      case "batch":
        return batchLines(
          this.ask(send, "/v1/batch", "POST", JSON_TYPE, JSON.stringify({ ops: step.operations })),
        );
      case "import": {
        const path = `/v1/import/${step.bucket}?mode=write`;
        const { status, text } = this.ask(send, path, "POST", NDJSON_TYPE, step.lines);
        return [`import ${status} ${text.trim()}`];
      }
      case "pass":
        return [];
    }
  }

  private ask(
    send: Send,
    path: string,
    method: string,
    headers: Record<string, string> = {},
    body?: string,
  ): Answer {
    const common = { "X-Consistency": this.consistency, "X-Session": this.session };
    const answer = send(path, {
      method,
      headers: { ...common, ...headers },
      ...(body !== undefined && { body: new TextEncoder().encode(body) }),
    });
    this.session = answer.headers.get("x-session") ?? this.session;
    return answer;
  }

  private put(step: Extract<Step, { kind: "put" }>, send: Send): string[] {
    const { bucket, key, value, context, ttlSeconds, condition, meta, contentType } = step;
    const { etag } = this.sight(bucket, key, "last");
    const answer = this.ask(
      send,
      pathOf(bucket, key),
      "PUT",
      {
        ...contextHeader(this.sight(bucket, key, context).context),
        ...(ttlSeconds > 0 && { "X-TTL": `${ttlSeconds}s` }),
        ...(condition === "absent" && { "If-None-Match": "*" }),
        ...(condition === "unchanged" && etag !== "" && { "If-Match": etag }),
        ...(meta !== "" && { "X-Meta-Name": meta }),
        ...(contentType !== "" && { "Content-Type": contentType }),
        ...(step.idempotencyKey !== "" && { "Idempotency-Key": step.idempotencyKey }),
      },
      value,
    );
    // A refused condition shows what is there; whoever goes on has seen that.
    if (answer.status < 300) this.saw(bucket, key, answer);
    return [`put ${verdictOf(answer)}`];
  }

  private delete(step: Extract<Step, { kind: "delete" }>, send: Send): string[] {
    const { bucket, key, context } = step;
    const headers = contextHeader(this.sight(bucket, key, context).context);
    const answer = this.ask(send, pathOf(bucket, key), "DELETE", headers);
    if (answer.status < 300) this.saw(bucket, key, answer);
    return [`delete ${verdictOf(answer)}`];
  }

  private get(bucket: Bucket, key: string, send: Send): string[] {
    const answer = this.ask(send, pathOf(bucket, key), "GET");
    if (answer.status === 200 || answer.status === 300 || answer.status === 404)
      this.saw(bucket, key, answer);
    return readingLines(answer);
  }

  private list(bucket: Bucket, query: string, send: Send): string[] {
    const keys: string[] = [];
    const prefixes: string[] = [];
    let cursor = "";
    for (let page = 0; page < PAGES_MAX; page++) {
      const more = cursor === "" ? "" : `&cursor=${cursor}`;
      const answer = this.ask(send, `/v1/kv/${bucket}?${query}${more}`, "GET");
      if (answer.status !== 200) return [`list ${verdictOf(answer)}`];
      const found = JSON.parse(answer.text) as ListAnswer;
      keys.push(...found.keys.map(listedLine));
      prefixes.push(...(found.prefixes ?? []).map((prefix) => `under ${prefix}`));
      if (found.partial) keys.push("partial");
      if (found.complete || found.cursor === undefined) return [...keys, ...prefixes];
      cursor = found.cursor;
    }
    return ["a list without end"];
  }

  /** Everything there is, seen from here. */
  all(buckets: readonly Bucket[], send: Send): string[] {
    return buckets.flatMap((bucket) => {
      const keys = this.list(bucket, "values=1", send);
      return [`bucket ${bucket}`, ...keys];
    });
  }

  private sight(bucket: Bucket, key: string, sight: Sight): Sighting {
    const [last, before] = this.seen.get(`${bucket}/${key}`) ?? [NOTHING, NOTHING];
    return sight === "none" ? NOTHING : sight === "last" ? last : before;
  }

  private saw(bucket: Bucket, key: string, { headers }: Answer): void {
    const [last] = this.seen.get(`${bucket}/${key}`) ?? [NOTHING];
    const context = headers.get("x-causal-context") ?? "";
    const etag = headers.get("etag") ?? "";
    this.seen.set(`${bucket}/${key}`, [{ context, etag }, last]);
  }
}

const JSON_TYPE = { "Content-Type": "application/json" };
const NDJSON_TYPE = { "Content-Type": "application/x-ndjson" };

const pathOf = (bucket: Bucket, key: string): string =>
  `/v1/kv/${bucket}/${key.split("/").map(encodeURIComponent).join("/")}`;

const contextHeader = (context: string): Record<string, string> =>
  context === "" ? {} : { "X-Causal-Context": context };

/** Status, and for a refusal its code. */
function verdictOf({ status, text }: Answer): string {
  if (status < 400) return String(status);
  const { code } = JSON.parse(text) as { code: string };
  return `${status} ${code}`;
}

function readingLines(answer: Answer): string[] {
  const { status, headers, text } = answer;
  if (status === 404) return [`get 404${headers.get("x-tombstone") === "true" ? " deleted" : ""}`];
  if (status === 200) {
    const about = ["content-type", "x-meta-name"].map((name) => headers.get(name) ?? "-");
    const expires = headers.has("x-expires-at") ? " expires" : "";
    return [`get 200 ${about.join(" ")}${expires} ${shortened(text)}`];
  }
  if (status !== 300) return [`get ${verdictOf(answer)}`];
  const { siblings } = JSON.parse(text) as { siblings: readonly SiblingJson[] };
  return ["get 300", ...siblings.map(siblingLine)];
}

interface SiblingJson {
  readonly value?: string;
  readonly valueB64?: string;
  readonly deleted?: boolean;
  readonly contentType?: string;
  readonly meta?: object;
  readonly expiresAt?: string;
}

function siblingLine(sibling: SiblingJson): string {
  if (sibling.deleted === true) return "  deleted";
  const { contentType, meta, expiresAt, value, valueB64 } = sibling;
  const expires = expiresAt === undefined ? "" : " expires";
  return `  ${contentType} ${JSON.stringify(meta)}${expires} ${shortened(value ?? valueB64 ?? "")}`;
}

interface ListAnswer {
  readonly keys: readonly ListedJson[];
  readonly prefixes?: readonly string[];
  readonly cursor?: string;
  readonly complete: boolean;
  readonly partial: boolean;
}

interface ListedJson extends SiblingJson {
  readonly key?: string;
  readonly size: number;
  readonly siblings: number | readonly SiblingJson[];
  readonly expiresAt?: string;
}

function listedLine({ key, size, siblings, expiresAt, value, contentType }: ListedJson): string {
  const count = typeof siblings === "number" ? siblings : siblings.map(siblingLine).join(";");
  const expires = expiresAt === undefined || expiresAt === null ? "" : " expires";
  const shown = value === undefined ? "" : ` ${contentType} ${shortened(value)}`;
  return `key ${key} ${size} bytes, siblings ${count}${expires}${shown}`;
}

function batchLines({ status, text }: Answer): string[] {
  if (status !== 200) return [`batch ${verdictOf({ status, text, headers: new Headers() })}`];
  const { results } = JSON.parse(text) as { results: readonly BatchResultJson[] };
  return results.map(({ status: own, value, siblings, problem }) => {
    const shown = siblings?.map(siblingLine).join(";") ?? shortened(value ?? "");
    return `batch ${own} ${problem?.code ?? ""} ${shown}`;
  });
}

interface BatchResultJson {
  readonly status: number;
  readonly value?: string;
  readonly siblings?: readonly SiblingJson[];
  readonly problem?: { readonly code: string };
}

const SHOWN = 40;
const shortened = (text: string): string => `"${text.slice(0, SHOWN)}" of ${text.length}`;
