/**
 * The REST interface as the dashboard calls it. The token is kept in memory only: it is gone with the page, and no other page can send it (a cookie
 * would be sent by any). A 401 asks the person for a token (`onTokenWanted`) and tries again with it.
 */

export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly requestId?: string;
}

/** An answer from 400 on. */
export class ApiProblem extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

let token = "";
/** Asks the person; `undefined` where they would rather not. */
let askForToken: (reason: string) => Promise<string | undefined> = async () => undefined;
let asking: Promise<boolean> | undefined;
/** Who said "not now" is not asked again until they want to be. */
let hasDeclined = false;

export function onTokenWanted(ask: (reason: string) => Promise<string | undefined>): void {
  askForToken = ask;
}

/** The cluster wants a token: one was given, or asked for in vain. */
export const wantsToken = (): boolean => token !== "" || hasDeclined;

/** Another token than the one that is used now. */
export function signIn(): Promise<boolean> {
  hasDeclined = false;
  return gotToken("Another token takes the place of the one in use.");
}

export function mayAskAgain(): void {
  hasDeclined = false;
}

/** Everything that is under way waits for the one answer. */
function gotToken(reason: string): Promise<boolean> {
  if (hasDeclined) return Promise.resolve(false);
  asking ??= askForToken(reason)
    .then((given) => {
      token = given ?? token;
      hasDeclined = given === undefined;
      return given !== undefined;
    })
    .finally(() => (asking = undefined));
  return asking;
}

/** As `fetch`, with the token; an answer from 400 on is returned, not thrown. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  const sent = token;
  const headers = new Headers(init.headers);
  if (token !== "") headers.set("Authorization", `Bearer ${token}`);
  const response = await fetch(path, { ...init, headers, credentials: "omit" });
  if (response.status !== 401) return response;
  const reason = sent === "" ? "This cluster wants a token." : "The node does not know that token.";
  return sent !== token || (await gotToken(reason)) ? send(path, init) : response;
}

/** @throws ApiProblem for an answer from 400 on */
export async function checked(response: Response): Promise<Response> {
  if (response.status < 400) return response;
  throw new ApiProblem(await problemOf(response));
}

async function problemOf(response: Response): Promise<Problem> {
  const { status, statusText: title } = response;
  const plain = { status, code: "", title, detail: `The node answered ${status} ${title}` };
  try {
    return { ...plain, ...((await response.json()) as Partial<Problem>) };
  } catch {
    return plain;
  }
}

/** @throws ApiProblem, and what `fetch` throws where nobody answers */
export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const headers = { Accept: "application/json" };
  const response = await checked(await send(path, { headers, ...(signal && { signal }) }));
  // The routes' own types; the node that serves the page serves them.
  return (await response.json()) as T;
}

/** A change: JSON in, JSON out; a page of another site cannot send that without asking first. */
export async function postJson<T>(path: string, body: unknown = {}): Promise<T> {
  const headers = { "Content-Type": "application/json", Accept: "application/json" };
  const init = { method: "POST", headers, body: JSON.stringify(body) };
  const response = await checked(await send(path, init));
  const text = await response.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

export const NO_ANSWER = "The node does not answer";

/** What to show of anything that was thrown. */
export function wordsOf(thrown: unknown): string {
  if (thrown instanceof ApiProblem)
    return thrown.problem.status === 401 ? "Nobody is signed in" : thrown.problem.detail;
  if (thrown instanceof TypeError) return NO_ANSWER;
  return thrown instanceof Error ? thrown.message : String(thrown);
}
