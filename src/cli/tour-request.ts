/** One request of `hutch tour`: the same value becomes the curl line that is shown and the request that is sent. */

import { HutchError } from "../base/errors.ts";
import { terminalWidth } from "./screen.ts";
import { cutTo } from "./table.ts";
import { print, styled, visible } from "./terminal.ts";

export interface TourRequest {
  readonly method?: "GET" | "PUT" | "POST" | "PATCH";
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Of the answer, those that matter here. */
  readonly shown?: readonly string[];
  /** What the answer must be; the tour ends where it is not. */
  readonly status: number;
}

export interface TourAnswer {
  readonly headers: Headers;
  readonly body: string;
}

const ANSWER_TIMEOUT_MS = 10_000;
const BODY_LINES_MAX = 14;

export function curlLine({ method = "GET", url, headers = {}, body, shown }: TourRequest): string {
  const words = ["curl"];
  if (shown !== undefined) words.push("-i");
  if (method !== "GET") words.push("-X", method);
  words.push(/[?&]/.test(url) ? `'${url}'` : url);
  for (const [name, value] of Object.entries(headers)) words.push("-H", `'${name}: ${value}'`);
  if (body !== undefined) words.push("-d", `'${body}'`);
  return words.join(" ");
}

/** Sends without a picture. */
export async function sendRequest(request: TourRequest): Promise<TourAnswer> {
  const { method = "GET", url, headers = {}, body, status } = request;
  const response = await fetch(url, {
    method,
    headers: { ...headers },
    signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    ...(body === undefined ? {} : { body }),
  });
  const answer = { headers: response.headers, body: await response.text() };
  if (response.status === status) return answer;
  throw new HutchError(
    "internal",
    `The tour expected ${status} of ${curlLine(request)}, and got ${response.status}: ${answer.body}`,
  );
}

/** Shows the line, sends it, shows the answer. */
export async function tell(request: TourRequest): Promise<TourAnswer> {
  print(styled("cyan", `  $ ${curlLine(request)}`));
  const answer = await sendRequest(request);
  show(request, answer);
  return answer;
}

export function show({ shown = [], status }: TourRequest, { headers, body }: TourAnswer): void {
  const lines = shown.map((name) => `${name}: ${headers.get(name) ?? ""}`);
  if (shown.length > 0 || body === "") print(styled("dim", `    ${status} ${reasonOf(status)}`));
  for (const line of lines) print(styled("dim", `    ${visible(line)}`));
  for (const line of bodyLines(body)) print(cutTo(`    ${visible(line)}`, terminalWidth()));
}

function bodyLines(body: string): string[] {
  if (body === "") return [];
  const lines = prettied(body).split("\n");
  if (lines.length <= BODY_LINES_MAX) return lines;
  return [...lines.slice(0, BODY_LINES_MAX), "..."];
}

function prettied(body: string): string {
  if (!body.startsWith("{")) return body;
  // Rows stay rows: a line each is easier on the eye than one for each bracket.
  const value = JSON.parse(body) as Record<string, unknown>;
  const members = Object.entries(value).map(([name, member]) =>
    Array.isArray(member) && member.length > 0
      ? `  "${name}": [\n${member.map((each) => `    ${JSON.stringify(each)}`).join(",\n")}\n  ]`
      : `  "${name}": ${JSON.stringify(member)}`,
  );
  return `{\n${members.join(",\n")}\n}`;
}

function reasonOf(status: number): string {
  return status === 204
    ? "No Content"
    : status === 202
      ? "Accepted"
      : status === 300
        ? "Multiple Choices"
        : "OK";
}
