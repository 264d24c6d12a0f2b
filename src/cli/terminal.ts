/** What the program says and how: answers on standard output, everything else on standard error, colours for people only. */

import { styleText } from "node:util";
import type { ErrorCode } from "../base/errors.ts";
import { HutchError, messageOf } from "../base/errors.ts";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan" | "magenta" | "blue";

const NODE_STYLES: readonly Style[] = ["cyan", "yellow", "green", "magenta", "blue", "red"];

/** One node, one colour, as far as there are colours. */
export function nodeStyle(index: number): Style {
  return NODE_STYLES[index % NODE_STYLES.length]!;
}

/** What a node prints on standard output once it is ready; `hutch cluster` waits for it. */
export const READY_MARK = " is ready on ";

/** True where colours reach a person who wants them. */
export function isColourful(stream: NodeJS.WriteStream = process.stdout): boolean {
  return stream.isTTY === true && (process.env["NO_COLOR"] ?? "") === "";
}

/** `text` in `style` where standard output is a terminal and `NO_COLOR` is not set. */
export function styled(
  style: Style,
  text: string,
  stream: NodeJS.WriteStream = process.stdout,
): string {
  return isColourful(stream) ? styleText(style, text, { validateStream: false }) : text;
}

/** One line of the answer. */
export function print(line = ""): void {
  process.stdout.write(`${line}\n`);
}

/** One line for the person at the terminal; not part of the answer. */
export function note(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** What the runtime advises a program about its own requests: no use to who runs it. */
const RUNTIME_ADVICE =
  /\.? (Is the computer able to access the url\?|For more information, pass `verbose: true` in the second argument to fetch\(\))/g;

/** Says what failed, one line per error, with what to try where there is something. */
export function complain(thrown: unknown): void {
  const label = styled("red", "hutch:", process.stderr);
  const message = messageOf(thrown).replaceAll(RUNTIME_ADVICE, "");
  for (const line of message.split("\n")) note(`${label} ${line}`);
  const advice = adviceFor(thrown);
  if (advice !== "") note(`${styled("dim", "try:", process.stderr)} ${advice}`);
}

const ADVICE: Readonly<Partial<Record<ErrorCode, string>>> = {
  "node-unreachable":
    "start a node with `hutch serve`, or name a running one with --url or HUTCH_URL",
  unauthenticated:
    "say who you are with --token-file FILE, or HUTCH_TOKEN; `hutch token create` makes tokens",
  forbidden: "a token of a greater role; `hutch token list` shows which there are",
  "wrong-cluster": "ask the node by an address of its own, or give it that name with --host-names",
  "port-in-use": "stop the other program, or choose another address with --listen",
  "data-dir-in-use": "stop the other process, or choose another directory with --data-dir",
  "node-alive":
    "`hutch leave NODE` lets it hand over what it holds; --force declares it lost all the same",
  "would-underreplicate":
    "start another node first (`hutch serve --seeds ...`), or take fewer copies with --force",
  "layout-conflict": "`hutch layout` shows what is staged and under way",
  "absence-unproven": "`hutch status` shows which nodes are away; the key may be there",
  "write-indeterminate": "`hutch get` shows whether it is there; writing it again does no harm",
  overloaded: "again in a moment; `hutch top` shows what keeps it busy",
  "rate-limited": "again in a moment",
  "too-many-siblings": "`hutch get` the key, and put one value with the context of that read",
  "bucket-not-empty": "`hutch list BUCKET` shows its keys",
  "disk-full": "make room on the node's disk; reads and deletes go on",
  "bad-config": "`hutch config print --origin` shows every knob and where its value comes from",
};

function adviceFor(thrown: unknown): string {
  if (!(thrown instanceof HutchError)) return "";
  // A value of an option of one command is no knob.
  if (thrown.code === "bad-config" && thrown.message.startsWith("Cannot use --")) return "";
  if (thrown.code === "node-unreachable") {
    if (/certificate/i.test(thrown.message))
      return "name the certificates to believe with --ca FILE or HUTCH_CA";
    if (/http:.*closed/.test(thrown.message))
      return "perhaps it wants https: name it as https://HOST:PORT with --url or HUTCH_URL";
  }
  return ADVICE[thrown.code] ?? "";
}

/** Text from a stranger on one line of a terminal: control characters are shown, not obeyed. */
export function visible(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(2, "0");
    return character === "\n" ? "\\n" : character === "\t" ? "\\t" : `\\x${code}`;
  });
}
