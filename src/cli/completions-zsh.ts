/** The completion script for zsh, with a word about each command and option; a file `_hutch` in `$fpath`, or to be sourced. */

import type { CommandNode, OptionNode } from "./completions.ts";
import { shortly } from "./completions.ts";
import { quoted } from "./shell-word.ts";
import { wantedWord } from "./completions-bash.ts";

const WALK = `_hutch_fill() {
  case "$1" in
    file) _files ;;
    directory) _files -/ ;;
    choice\\ *) compadd -- \${=1#choice } ;;
  esac
}

_hutch() {
  local route='' word skip='' wanted
  local -a commands options
  local -A values
  local -i i
  _hutch_node ''
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    if [[ -n $skip ]]; then
      skip=''
    elif [[ $word == -* ]]; then
      (( \${+values[$word]} )) && skip=$word
    elif (( \${commands[(I)$word:*]} )); then
      route="\${route:+$route }$word"
      _hutch_node "$route"
    fi
  done
  if [[ -n $skip ]]; then
    _hutch_fill "\${values[$skip]}"
  elif [[ \${words[CURRENT]} == -* ]]; then
    _describe -o 'option' options
  else
    (( \${#commands} )) && _describe 'command' commands
    _hutch_fill "$wanted"
  fi
}

if [[ \${funcstack[1]} == _hutch ]]; then
  _hutch "$@"
else
  compdef _hutch hutch
fi
`;

export function zshScript(nodes: readonly CommandNode[]): string {
  return `#compdef hutch
# Completions of hutch for zsh, made by \`hutch completions zsh\`.

# Sets commands, options, values and wanted of one command; values are pairs of an option and what it takes.
_hutch_node() {
  commands=() options=() values=() wanted=''
  case "$1" in
${nodes.map(nodeCase).join("\n")}
  esac
}

${WALK}`;
}

function nodeCase({ path, commands, options, wanted }: CommandNode): string {
  const names = commands.map(({ name, about }) => described(name, about)).join(" ");
  const flags = options.map(({ flag, about }) => described(flag, about)).join(" ");
  const values = options.flatMap(valuePair).join(" ");
  return [
    `    ${quoted(path)})`,
    `      commands=(${names})`,
    `      options=(${flags})`,
    `      values=(${values})`,
    `      wanted=${quoted(wantedWord(wanted))} ;;`,
  ].join("\n");
}

function described(word: string, about: string): string {
  return quoted(`${word}:${shortly(about).replaceAll(":", String.raw`\:`)}`);
}

function valuePair({ flag, wanted }: OptionNode): string[] {
  return wanted.kind === "nothing" ? [] : [`${quoted(flag)} ${quoted(wantedWord(wanted))}`];
}
