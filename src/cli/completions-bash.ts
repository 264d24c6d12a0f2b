/** The completion script for bash 4 and later; it needs nothing else, `bash-completion` neither. */

import type { CommandNode, Wanted } from "./completions.ts";
import { quoted } from "./shell-word.ts";

const WALK = `# Completions of hutch for bash, made by \`hutch completions bash\`.
_hutch() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev="" path="" word i
  local -i skip=0
  ((COMP_CWORD > 0)) && prev=\${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if ((skip)); then skip=0; continue; fi
    if [[ $word == -* ]]; then
      _hutch_wants "$path" "$word" && skip=1
    elif _hutch_has "$path" "$word"; then
      path=\${path:+$path }$word
    fi
  done
  if ((skip)); then
    _hutch_value "$path" "$prev"
    return
  fi
  local commands="" options="" wanted=""
  _hutch_node "$path"
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
    return
  fi
  COMPREPLY=($(compgen -W "$commands" -- "$cur"))
  _hutch_fill "$wanted"
}

`;

const FILL = `# Adds files, directories or words to what is offered.
_hutch_fill() {
  case "$1" in
    file) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -f -- "$cur")) ;;
    directory) compopt -o filenames 2>/dev/null; COMPREPLY+=($(compgen -d -- "$cur")) ;;
    "choice "*) COMPREPLY+=($(compgen -W "\${1#choice }" -- "$cur")) ;;
  esac
}

complete -F _hutch hutch
`;

export function bashScript(nodes: readonly CommandNode[]): string {
  return `${WALK}# Sets commands, options and wanted of one command.
_hutch_node() {
  case "$1" in
${nodes.map(nodeCase).join("\n")}
  esac
}

_hutch_has() {
  local commands="" options="" wanted=""
  _hutch_node "$1"
  [[ " $commands " == *" $2 "* ]]
}

# True where the option takes the next word.
_hutch_wants() {
  case "$1 $2" in
${nodes.flatMap(wantCases).join("\n")}
    *) return 1 ;;
  esac
}

_hutch_value() {
  case "$1 $2" in
${nodes.flatMap(valueCases).join("\n")}
  esac
}

${FILL}`;
}

function nodeCase({ path, commands, options, wanted }: CommandNode): string {
  const names = commands.map(({ name }) => name).join(" ");
  const flags = options.map(({ flag }) => flag).join(" ");
  return `    ${quoted(path)}) commands=${quoted(names)} options=${quoted(flags)} wanted=${quoted(wantedWord(wanted))} ;;`;
}

function wantCases({ path, options }: CommandNode): string[] {
  const flags = options.filter(({ wanted }) => wanted.kind !== "nothing");
  if (flags.length === 0) return [];
  return [`    ${flags.map(({ flag }) => quoted(`${path} ${flag}`)).join(" | ")}) return 0 ;;`];
}

function valueCases({ path, options }: CommandNode): string[] {
  return options.flatMap(({ flag, wanted }) => {
    const word = wantedWord(wanted);
    return word === "" ? [] : [`    ${quoted(`${path} ${flag}`)}) _hutch_fill ${quoted(word)} ;;`];
  });
}

/** As `_hutch_fill` takes it; "" for nothing to offer. */
export function wantedWord(wanted: Wanted): string {
  if (wanted.kind === "choice") return `choice ${wanted.words.join(" ")}`;
  return wanted.kind === "file" || wanted.kind === "directory" ? wanted.kind : "";
}
