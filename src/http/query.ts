/** The query of a request, decoded strictly and only when somebody asks. */
import { utf8Text } from "../base/bytes.ts";
import { HutchError, type RestCode } from "../base/errors.ts";
import { percentDecode } from "./percent.ts";

/** Parameters in the order given. Invariant: names and values are well-formed escapes of what the client meant. */
export class Query {
  readonly #parameters: readonly (readonly [name: string, value: Uint8Array])[];

  private constructor(parameters: readonly (readonly [string, Uint8Array])[]) {
    this.#parameters = parameters;
  }

  static readonly EMPTY = new Query([]);

  /**
   * @param raw what stands behind the `?`
   * @throws HutchError `bad-request` for a malformed escape or more than `parametersMax` parameters.
   */
  static parse(raw: string, parametersMax: number): Query {
    if (raw === "") return Query.EMPTY;
    const pairs = raw.split("&", parametersMax + 2).filter((pair) => pair !== "");
    if (pairs.length > parametersMax) {
      throw new HutchError(
        "bad-request",
        `Cannot read the query: more than ${parametersMax} parameters`,
      );
    }
    return new Query(pairs.map(parsePair));
  }

  /** Names in the order given, repeated ones repeated. */
  names(): string[] {
    return this.#parameters.map(([name]) => name);
  }

  /**
   * The bytes of parameter `name`, or `undefined` without one.
   *
   * @throws HutchError `code` when it is given twice.
   */
  bytes(name: string, code: RestCode = "bad-request"): Uint8Array | undefined {
    let found: Uint8Array | undefined;
    for (const [given, value] of this.#parameters) {
      if (given !== name) continue;
      if (found !== undefined) {
        throw new HutchError(code, `Cannot read the query: "${name}" is given twice, want once`);
      }
      found = value;
    }
    return found;
  }

  /** `bytes` as text; anything but UTF-8 is refused. */
  text(name: string, code: RestCode = "bad-request"): string | undefined {
    const bytes = this.bytes(name, code);
    if (bytes === undefined) return undefined;
    const text = utf8Text(bytes);
    if (text === undefined) {
      throw new HutchError(code, `Cannot read the query: "${name}" is not UTF-8`);
    }
    return text;
  }

  /** `1` and `true` are yes, `0`, `false` and the empty text are no. */
  flag(name: string): boolean {
    const text = this.text(name) ?? "0";
    if (text === "1" || text === "true") return true;
    if (text === "0" || text === "false" || text === "") return false;
    throw new HutchError(
      "bad-request",
      `Cannot read the query: "${name}" is "${text}", want 0 or 1`,
    );
  }
}

function parsePair(pair: string): readonly [string, Uint8Array] {
  const equals = pair.indexOf("=");
  const name = percentDecode(equals < 0 ? pair : pair.slice(0, equals), true);
  const value = percentDecode(equals < 0 ? "" : pair.slice(equals + 1), true);
  const nameText = name === undefined ? undefined : utf8Text(name);
  if (nameText === undefined || value === undefined) {
    throw new HutchError(
      "bad-request",
      `Cannot read the query: "${pair.slice(0, 64)}" is not percent-encoded UTF-8`,
    );
  }
  return [nameText, value];
}
