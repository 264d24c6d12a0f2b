/** The completion script for fish: one line for each command and option, shown where the words typed so far lead to it. */

import type { CommandNode, Wanted } from "./completions.ts";
import { flagsWithValue, shortly } from "./completions.ts";

export function fishScript(nodes: readonly CommandNode[]): string {
  const paths = nodes.map(({ path }) => fishQuoted(path)).filter((path) => path !== "''");
  return `# Completions of hutch for fish, made by \`hutch completions fish\`.

# True where the words typed so far lead to the command of the argument.
function __hutch_at
    set -l path ''
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
        else if contains -- $word ${flagsWithValue(nodes).join(" ")}
            set skip 1
        else if not string match -q -- '-*' $word
            set -l next (string trim -- "$path $word")
            contains -- $next ${paths.join(" ")}
            and set path $next
        end
    end
    test "$path" = "$argv[1]"
end

complete -c hutch -e
complete -c hutch -f
${nodes.flatMap(nodeLines).join("\n")}
`;
}

function nodeLines({ path, commands, options, wanted }: CommandNode): string[] {
  const at = `complete -c hutch -n ${fishQuoted(`__hutch_at ${fishQuoted(path)}`)}`;
  return [
    ...commands.map(
      ({ name, about }) => `${at} -a ${fishQuoted(name)} -d ${fishQuoted(shortly(about))}`,
    ),
    ...options.map(
      ({ flag, about, wanted: value }) =>
        `${at} -l ${flag.slice(2)}${valueFlags(value)} -d ${fishQuoted(shortly(about))}`,
    ),
    ...argumentLines(at, wanted),
  ];
}

function argumentLines(at: string, wanted: Wanted): string[] {
  if (wanted.kind === "file") return [`${at} -F`];
  if (wanted.kind === "directory") return [`${at} -a '(__fish_complete_directories)'`];
  return wanted.kind === "choice" ? [`${at} -a ${fishQuoted(wanted.words.join(" "))}`] : [];
}

function valueFlags(wanted: Wanted): string {
  switch (wanted.kind) {
    case "nothing":
      return "";
    case "anything":
      return " -x";
    case "file":
      return " -r -F";
    case "directory":
      return " -x -a '(__fish_complete_directories)'";
    case "choice":
      return ` -x -a ${fishQuoted(wanted.words.join(" "))}`;
  }
}

function fishQuoted(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`;
}
