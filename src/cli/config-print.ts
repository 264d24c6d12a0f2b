/** `hutch config print`: the configuration as a file that would give the same, with the origin of each value. */

import type { Config, KnobKey } from "../config.ts";
import { KNOBS, KNOB_KEYS, knobName, showValue } from "../config.ts";
import { configFrom } from "./knob-options.ts";
import { note, print, styled } from "./terminal.ts";

export function printConfig(options: Readonly<Record<string, unknown>>): void {
  const { config, origins, warnings } = configFrom(options);
  warnings.forEach(note);
  if (options["json"] === true) {
    print(
      JSON.stringify(
        Object.fromEntries(KNOB_KEYS.map((key) => jsonEntry(config, origins[key], key))),
        null,
        2,
      ),
    );
    return;
  }
  let group = "";
  for (const key of KNOB_KEYS) {
    if (KNOBS[key].group !== group) {
      if (group !== "") print();
      group = KNOBS[key].group;
      print(styled("bold", `# ${group}`));
    }
    const line = `${knobName(key)} = ${tomlValue(config, key)}`;
    print(
      options["origin"] === true
        ? `${line.padEnd(44)} ${styled("dim", `# ${origins[key]}`)}`
        : line,
    );
  }
}

function jsonEntry(config: Config, origin: string, key: KnobKey): [string, unknown] {
  return [knobName(key), { value: JSON.parse(tomlValue(config, key)), origin }];
}

/** Numbers and truth as they are, everything else as text; JSON's and TOML's basic strings are written alike. */
function tomlValue(config: Config, key: KnobKey): string {
  const shown = showValue(key, config[key] as never);
  const isBare =
    typeof config[key] === "boolean" ||
    (typeof config[key] === "number" && shown === String(config[key]));
  return isBare ? shown : JSON.stringify(shown);
}
