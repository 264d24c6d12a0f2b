/**
 * From flags, variables and a file to one checked `Config` that knows where each value came from.
 *
 *   1. each source becomes a list of settings (knob, raw value, origin); unknown names are errors with a suggestion
 *   2. for each knob the strongest setting wins: flag > variable > file > preset > default
 *   3. every setting given is checked, also one that loses: a wrong line of a file is wrong in any case
 *   4. relations between knobs are checked once all values are sound
 *
 * Nothing is read here: texts and objects come in, so tests need no files and the file's format is the caller's matter.
 */

import { HutchError } from "../base/errors.ts";
import type { AnyKnob, Config, KnobKey } from "../config.ts";
import { KNOBS, KNOB_KEYS, PRESETS, knobName, variableName } from "../config.ts";
import { breachesOf } from "./relations.ts";
import { nearest } from "./nearest.ts";

/** A parsed configuration file. */
export interface ConfigFile {
  readonly path: string;
  readonly content: Readonly<Record<string, unknown>>;
  /** True where others than the owner may read it. */
  readonly isReadableByOthers: boolean;
}

/** Everything that says something about the configuration. */
export interface ConfigSources {
  /** By property name, as the command line gave them. */
  readonly flags: Partial<Readonly<Record<KnobKey, unknown>>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file?: ConfigFile | undefined;
}

export interface LoadedConfig {
  readonly config: Config;
  /** For each knob: `default`, `preset wan`, `file PATH`, `HUTCH_X` or `--flag`. */
  readonly origins: Readonly<Record<KnobKey, string>>;
  /** Sentences for the operator that do not stop the start. */
  readonly warnings: readonly string[];
}

/** Variables of the program that are not knobs. */
const OTHER_VARIABLES: readonly string[] = ["HUTCH_URL", "HUTCH_CONFIG", "HUTCH_TOKEN", "HUTCH_CA"];

/** What somebody might write who wants to close a node, and what he wants instead. Ignored, it would leave the node open. */
const MEANT_NAMES: ReadonlyMap<string, string> = new Map([
  ["auth-file", "auth-tokens"],
  ["auth-token", "auth-tokens"],
  ["cluster-key", "cluster-key-file"],
]);
const SECRET_NAMES: readonly string[] = ["auth-token", "cluster-key"];

interface Setting {
  readonly key: KnobKey;
  readonly raw: unknown;
  readonly origin: string;
}

/** Collects what is wrong, so that one start shows all of it. */
interface Findings {
  readonly errors: string[];
  readonly warnings: string[];
}

const keyByName = new Map(KNOB_KEYS.map((key) => [knobName(key), key]));
const keyByVariable = new Map(KNOB_KEYS.map((key) => [variableName(key), key]));

/**
 * @throws HutchError `bad-config`; its message has one line per error, its data has them as `errors`.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const findings: Findings = { errors: [], warnings: [] };
  const settings = [
    ...(sources.file === undefined ? [] : fileSettings(sources.file, findings)),
    ...variableSettings(sources.environment, findings),
    ...flagSettings(sources.flags),
  ];
  const { values, origins } = resolve(settings, findings);
  if (findings.errors.length > 0) throw badConfig(findings.errors);
  // Every knob has a value of its own kind: the loop in `resolve` put it there or recorded an error.
  const config = values as unknown as Config;
  const broken = breachesOf(config).map(({ key, message }) =>
    errorLine(origins[key], key, message),
  );
  if (broken.length > 0) throw badConfig(broken);
  return { config, origins, warnings: findings.warnings };
}

function badConfig(errors: readonly string[]): HutchError {
  return new HutchError("bad-config", errors.join("\n"), { data: { errors } });
}

function errorLine(origin: string, key: KnobKey, message: string): string {
  return origin.startsWith("--") || origin.startsWith("HUTCH_")
    ? `${origin}: ${message}`
    : `${origin.replace(/^file /, "")}: ${knobName(key)}: ${message}`;
}

function fileSettings(file: ConfigFile, findings: Findings): Setting[] {
  const settings: Setting[] = [];
  for (const [name, raw] of Object.entries(file.content)) {
    const key = keyByName.get(name);
    if (key !== undefined) settings.push({ key, raw, origin: `file ${file.path}` });
    else if (MEANT_NAMES.has(name)) meantName(file, name, findings);
    else
      findings.errors.push(
        `${file.path}: ${name}: unknown key${suggestion(name, keyByName.keys())}`,
      );
  }
  return settings;
}

function meantName(file: ConfigFile, name: string, findings: Findings): void {
  findings.errors.push(
    `${file.path}: ${name}: unknown key; want ${MEANT_NAMES.get(name)}, which names a file`,
  );
  if (SECRET_NAMES.includes(name) && file.isReadableByOthers)
    findings.errors.push(
      `${file.path}: ${name}: the file holds a secret and others can read it; chmod 600`,
    );
}

/**
 * An unknown variable is a warning unless it looks like a typing error: Kubernetes sets `HUTCH_PORT_...` for a service
 * named hutch, and that must not keep a node from starting.
 */
function variableSettings(
  environment: ConfigSources["environment"],
  findings: Findings,
): Setting[] {
  const settings: Setting[] = [];
  for (const [name, raw] of Object.entries(environment)) {
    if (!name.startsWith("HUTCH_") || raw === undefined || OTHER_VARIABLES.includes(name)) continue;
    const key = keyByVariable.get(name);
    if (key !== undefined) settings.push({ key, raw, origin: name });
    else reportVariable(name, findings);
  }
  return settings;
}

function reportVariable(name: string, findings: Findings): void {
  const wanted = MEANT_NAMES.get(name.slice("HUTCH_".length).replaceAll("_", "-").toLowerCase());
  if (wanted !== undefined) {
    findings.errors.push(`${name}: unknown variable; want ${wanted}, which names a file`);
    return;
  }
  const meant = nearest(name.slice("HUTCH_".length), keyByName.keys());
  const hint = meant === undefined ? "" : `; did you mean ${variableName(keyByName.get(meant)!)}?`;
  if (hint !== "") findings.errors.push(`${name}: unknown variable${hint}`);
  else findings.warnings.push(`${name}: unknown variable, ignored`);
}

function flagSettings(flags: ConfigSources["flags"]): Setting[] {
  return KNOB_KEYS.filter((key) => flags[key] !== undefined).map((key) => ({
    key,
    raw: flags[key],
    origin: `--${knobName(key)}`,
  }));
}

function suggestion(name: string, candidates: Iterable<string>): string {
  const found = nearest(name, candidates);
  return found === undefined ? "" : `; did you mean ${found}?`;
}

/** Later settings win, so `settings` come weakest first. */
function resolve(settings: readonly Setting[], findings: Findings) {
  const values: Record<string, unknown> = {};
  const origins = Object.fromEntries(KNOB_KEYS.map((key) => [key, "default"])) as Record<
    KnobKey,
    string
  >;
  for (const key of KNOB_KEYS) values[key] = KNOBS[key].default;
  const given = new Map<KnobKey, Setting & { readonly value: unknown }>();
  for (const setting of settings) {
    const checked = (KNOBS[setting.key] as AnyKnob).kind.schema.safeParse(setting.raw);
    if (checked.success) given.set(setting.key, { ...setting, value: checked.data });
    else
      for (const issue of checked.error.issues)
        findings.errors.push(errorLine(setting.origin, setting.key, issue.message));
  }
  // The schema of the knob has just accepted it.
  const preset = (given.get("preset")?.value ?? KNOBS.preset.default) as Config["preset"];
  for (const [key, value] of Object.entries(PRESETS[preset])) {
    values[key] = value;
    origins[key as KnobKey] = `preset ${preset}`;
  }
  for (const [key, { value, origin }] of given) {
    values[key] = value;
    origins[key] = origin;
  }
  return { values, origins };
}
