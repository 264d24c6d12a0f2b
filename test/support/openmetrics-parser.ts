/** A strict reader of OpenMetrics 1.0 text: throws at the first line that the specification does not allow. */

export interface ParsedFamily {
  readonly type: string;
  readonly unit: string;
  readonly help: string;
  /** Lines of samples: full name, labels in text form, value. */
  readonly samples: { readonly name: string; readonly labels: string; readonly value: number }[];
}

const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ["_total"],
  gauge: [""],
  histogram: ["_bucket", "_count", "_sum"],
  info: ["_info"],
};
const META = /^# (TYPE|UNIT|HELP) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/;
const LABEL = String.raw`[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"`;
const SAMPLE = new RegExp(
  String.raw`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(${LABEL}(?:,${LABEL})*)\})? (NaN|[+-]Inf|-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$`,
);

export function parseOpenMetrics(text: string): ReadonlyMap<string, ParsedFamily> {
  if (!text.endsWith("\n# EOF\n")) throw new Error("does not end with # EOF");
  const families = new Map<string, ParsedFamily>();
  const facts = { name: "", TYPE: "", UNIT: "", HELP: "" };
  let family: ParsedFamily | undefined;
  for (const line of text.slice(0, -"# EOF\n".length).split("\n").slice(0, -1)) {
    const meta = META.exec(line);
    if (meta !== null) {
      const [, kind = "", name = "", value = ""] = meta;
      if (kind === "TYPE") {
        if (families.has(name)) throw new Error(`${name}: its samples are not together`);
        Object.assign(facts, { name, TYPE: value, UNIT: "", HELP: "" });
        if (SUFFIXES[value] === undefined) throw new Error(`${name}: type ${value}`);
      } else if (name !== facts.name) throw new Error(`${line}: not within its family`);
      else Object.assign(facts, { [kind]: value });
      if (facts.UNIT !== "" && !name.endsWith(`_${facts.UNIT}`)) throw new Error(`${name}: unit`);
      family = { type: facts.TYPE, unit: facts.UNIT, help: facts.HELP, samples: [] };
      families.set(name, family);
      continue;
    }
    addSample(line, facts.name, family);
  }
  for (const [name, one] of families) checkFamily(name, one);
  return families;
}

function addSample(line: string, family: string, parsed: ParsedFamily | undefined): void {
  const sample = SAMPLE.exec(line);
  if (sample === null || parsed === undefined) throw new Error(`no sample: ${line}`);
  const [, name = "", labels = "", value = ""] = sample;
  const isOf = SUFFIXES[parsed.type]!.some((suffix) => name === family + suffix);
  if (!isOf) throw new Error(`${name} is not of ${family}`);
  if (parsed.samples.some((other) => other.name === name && other.labels === labels))
    throw new Error(`${name}{${labels}} is there twice`);
  parsed.samples.push({ name, labels, value: Number(value.replace("Inf", "Infinity")) });
}

function checkFamily(name: string, { type, help, samples }: ParsedFamily): void {
  if (help === "") throw new Error(`${name}: no help`);
  if (type === "counter" && samples.some(({ value }) => !(value >= 0)))
    throw new Error(`${name}: a counter below 0`);
  if (type !== "histogram") return;
  const counts = samples.filter((sample) => sample.name === `${name}_count`);
  for (const { labels, value } of counts) checkBuckets(name, samples, labels, value);
}

function checkBuckets(
  name: string,
  samples: ParsedFamily["samples"],
  labels: string,
  count: number,
): void {
  const prefix = labels === "" ? "" : `${labels},`;
  const own = samples.filter(
    (sample) => sample.name === `${name}_bucket` && sample.labels.startsWith(`${prefix}le="`),
  );
  let before = { le: -Infinity, value: 0 };
  for (const { labels: all, value } of own) {
    const le = Number(/le="([^"]+)"$/.exec(all)![1]!.replace("Inf", "Infinity"));
    if (!(le > before.le) || value < before.value) throw new Error(`${name}{${all}}: not in order`);
    before = { le, value };
  }
  if (before.le !== Infinity || before.value !== count) throw new Error(`${name}: no bucket +Inf`);
}
