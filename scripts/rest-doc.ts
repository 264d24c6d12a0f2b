/**
 * Writes docs/rest.md from the OpenAPI document, which is made from the routes: `bun scripts/rest-doc.ts`. `test/docs/rest.test.ts` holds it fresh, and runs its examples.
 */
import { join } from "node:path";
import { openApiDocument } from "../src/http/openapi.ts";
import { PROBLEM_KINDS } from "../src/http/problem.ts";
import { ROUTES } from "../src/http/routes.ts";
import { EXAMPLES } from "./rest-examples.ts";

export const REST_PAGE = join(import.meta.dir, "..", "docs", "rest.md");

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly description?: string;
}

interface Content {
  readonly schema?: { readonly properties?: Readonly<Record<string, unknown>> };
}

interface Operation {
  readonly summary: string;
  readonly "x-role": string;
  readonly parameters: readonly Parameter[];
  readonly requestBody?: {
    readonly description: string;
    readonly content: Readonly<Record<string, Content>>;
  };
  readonly responses: Readonly<
    Record<string, { readonly description: string; readonly content?: unknown }>
  >;
}

const HEAD = `# REST

Every call, as \`GET /v1/openapi.json\` of a node tells it too. This page is made from that document by \`bun scripts/rest-doc.ts\`; its examples were run in their order on

\`\`\`console stays
$ hutch cluster
hutch: a cluster of 3 nodes is running
...
\`\`\`

Values are raw bytes in and out; JSON only where there is structure. A *bucket* is \`[a-z0-9][a-z0-9._-]{0,62}\` and any works at once; the *key* is everything behind it, percent-decoded once, 1 to 256 bytes of UTF-8. A key
that a URL cannot carry (\`.\` and \`..\` as segments, bytes that are not UTF-8) goes in base64url through \`/v1/kv64/{bucket}/{key}\`, which has GET, PUT and DELETE of \`/v1/kv\`. \`HEAD\` answers as \`GET\`, without the body.
Every header \`X-Name\` of a request has a twin in the query (\`?name=\`, \`?context=\` for the causal context); the header wins.

Every answer has \`X-Request-Id\` and \`X-Node\`. An error is a problem document (RFC 9457) with a stable \`code\`, and \`retry\`: \`safe\`, \`safe-with-idempotency-key\` (nobody knows whether it happened) or \`no\`.
Where authentication is on, each call says which role its token needs ([security.md](security.md)).
`;

/** In the order of the page; the first that fits. The twins of keys in base64url and the page of the dashboard are told in words. */
const GROUPS: readonly (readonly [title: string, pattern: RegExp])[] = [
  ["One key", /^\/v1\/kv\/\{bucket\}\/\{key\}/],
  ["Many keys", /^\/v1\/(kv\/|batch|export|import|watch)/],
  ["Buckets", /^\/v1\/buckets/],
  ["Cluster", /^\/v1\/cluster/],
  ["Administration", /^\/v1\/admin/],
  ["Health, metrics, contract", /^\/(healthz|readyz|metrics|v1\/openapi)/],
];
const TOLD_IN_WORDS = /^\/(v1\/kv64|ui)/;

export function restPage(): string {
  const paths = openApiDocument(ROUTES)["paths"] as Record<string, Record<string, Operation>>;
  const calls = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations)
      .filter(([method]) => method !== "head" && !TOLD_IN_WORDS.test(path))
      .map(([method, operation]) => ({ path, name: `${method.toUpperCase()} ${path}`, operation })),
  );
  const groupOf = (path: string): string | undefined =>
    GROUPS.find(([, pattern]) => pattern.test(path))?.[0];
  const lost = calls.filter(({ path }) => groupOf(path) === undefined);
  if (lost.length > 0) throw new Error(`no group for ${lost.map(({ name }) => name).join(", ")}`);
  const sections = GROUPS.map(([title]) => {
    const own = calls.filter(({ path }) => groupOf(path) === title);
    return `\n## ${title}\n${own.map(({ name, operation }) => callText(name, operation)).join("")}`;
  });
  return `${HEAD}${sections.join("")}\n${headersText(calls.map(({ operation }) => operation))}\n${codesText()}`;
}

function callText(name: string, operation: Operation): string {
  const { summary, parameters, requestBody, responses } = operation;
  const answers = Object.entries(responses).filter(([, { content }]) => content === undefined);
  const problems = Object.entries(responses).filter(([, { content }]) => content !== undefined);
  const lines = [`\n### ${name}\n`, `${summary}. Role \`${operation["x-role"]}\`.\n`];
  if (requestBody !== undefined) lines.push(bodyText(requestBody));
  const query = parameters.filter((parameter) => parameter.in === "query");
  if (query.length > 0) lines.push(`- **query** ${query.map(parameterText).join(" · ")}`);
  const headers = parameters.filter((parameter) => parameter.in === "header");
  if (headers.length > 0)
    lines.push(`- **[headers](#headers)** ${headers.map(({ name }) => `\`${name}\``).join(", ")}`);
  lines.push(
    `- **answers** ${answers.map(([status, { description }]) => `${status} ${description}`).join(" · ")}`,
  );
  const own = problems.map(([status, { description }]) => `${status} ${ownCodes(description)}`);
  const told = own.filter((text) => /\d /.test(text) && !text.endsWith(" "));
  if (told.length > 0) lines.push(`- **problems** ${told.join(" · ")}`);
  const example = EXAMPLES[name];
  if (example !== undefined) lines.push(`\n\`\`\`console\n${example.trim()}\n\`\`\``);
  return `${lines.join("\n")}\n`;
}

function bodyText({ description, content }: NonNullable<Operation["requestBody"]>): string {
  const [[mediaType, { schema }]] = Object.entries(content) as [[string, Content]];
  const fields = Object.keys(schema?.properties ?? {}).map((name) => `\`${name}\``);
  return `- **body** ${description} (\`${mediaType}\`)${fields.length === 0 ? "" : `: ${fields.join(", ")}`}`;
}

function parameterText({ name, description }: Parameter): string {
  return description === undefined ? `\`${name}\`` : `\`${name}\` (${description})`;
}

/** Without those that every call can have; they are told once. */
const OF_ALL = [
  "bad-request",
  "forbidden",
  "wrong-cluster",
  "internal",
  "unauthenticated",
  "rate-limited",
];

function ownCodes(description: string): string {
  const codes = description.split(", ").filter((code) => !OF_ALL.includes(code));
  return codes.map((code) => `\`${code}\``).join(", ");
}

function headersText(operations: readonly Operation[]): string {
  const all = operations.flatMap(({ parameters }) =>
    parameters.filter((one) => one.in === "header"),
  );
  const byName = new Map(all.map(({ name, description = "" }) => [name, description]));
  const rows = [...byName].map(
    ([name, description]) => `| \`${name}\` | ${HEADERS[name] ?? description} |`,
  );
  return `## Headers

Of requests; names in any case.

| header | |
| --- | --- |
${rows.join("\n")}
| \`x-meta-NAME\` | metadata of the value, 4 KiB in all; given back |
| \`authorization\` | \`Bearer TOKEN\` |

${ANSWER_HEADERS}`;
}

function codesText(): string {
  const rows = Object.entries(PROBLEM_KINDS).map(
    ([code, { status, title, retry }]) => `| \`${code}\` | ${status} | ${title} | ${retry} |`,
  );
  return `## Codes

Any call may answer ${OF_ALL.map((code) => `\`${code}\``).join(", ")}. 503 and 507 did not happen; 504 may have.

| code | status | title | retry |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}

/** Where a few words are not enough. */
const HEADERS: Readonly<Record<string, string>> = {
  "x-consistency":
    "`ONE`, `QUORUM`, `ALL`, or `r=2, w=2, pr=1, pw=1, dw=1, sloppy=?0` ([consistency.md](consistency.md))",
  "x-causal-context":
    "what this write follows, from a read or a write; it replaces exactly that. A DELETE without one deletes what a quorum shows",
  "x-ttl": "`60`, `60s`, `5m`, `2h`, `7d`, or `keep`; 1 s to 10 years",
  "x-expires-at": "the same as an instant of RFC 3339",
  "idempotency-key":
    "a repetition within 10 minutes is the same write, on whichever node it arrives",
  "if-match":
    "ETags or `*`; else 412. Between writers at the same time it is advice, and the answer says so (`X-Condition: advisory`)",
  "if-none-match": "the same the other way round",
  "x-timeout": "`250ms`, `2s`; at most 60 s",
};

const ANSWER_HEADERS = `Of answers:

| header | |
| --- | --- |
| \`x-causal-context\` | send it with the write that follows this read |
| \`x-acks\` | of writes: \`n\` copies, \`ok\` answered by now, \`primary\` of them owners, \`hinted\` kept for others, \`durable\` on disk |
| \`x-replies\` | the same of reads |
| \`x-siblings\` | how many values there are, where more than one |
| \`x-conflict-mode\`, \`x-conflict-dropped\` | \`siblings\` or \`lww\`; how many values \`lww\` dropped just now |
| \`x-read-repair\` | \`done\` or \`incomplete\`: replies differed and were merged |
| \`x-tombstone\` | of a 404: it was deleted, and the context covers the deletion |
| \`x-session\`, \`x-expires-at\`, \`x-effective-n\`, \`etag\`, \`last-modified\`, \`x-meta-NAME\` | as their names say |
`;

if (import.meta.main) await Bun.write(REST_PAGE, restPage());
