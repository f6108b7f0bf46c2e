package main

import (
	"fmt"
	"strings"
)

// completions returns the writers of the completion scripts, by shell.
func completions() map[string]func(table) string {
	return map[string]func(table) string{
		"bash": bashCompletion,
		"zsh":  zshCompletion,
		"fish": fishCompletion,
	}
}

const bashScript = `# bash completion for wavegate. To use it now: source <(wavegate --completion bash)

_wavegate() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    COMPREPLY=()
    if [[ $cur == "=" ]]; then
        cur=
    elif [[ $prev == "=" ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    case ${prev/#--/-} in
%s    esac
    local dash=--
    [[ $cur == -[!-]* ]] && dash=-
    local flag text
    local -a flags=() texts=()
    while IFS='|' read -r flag text; do
        [[ $dash$flag == "$cur"* ]] || continue
        flags+=("$dash$flag")
        texts+=("$text")
    done <<'FLAGS'
%sFLAGS
    if (( ${#flags[@]} < 2 )) || [[ ${COMP_TYPE:-9} != 9 && ${COMP_TYPE:-9} != 63 ]]; then
        COMPREPLY=("${flags[@]}")
        return
    fi
    local i
    for i in "${!flags[@]}"; do
        COMPREPLY+=("$(printf '%%-30s (%%s)' "${flags[i]}" "${texts[i]}")")
    done
}
complete -o nosort -F _wavegate wavegate 2>/dev/null || complete -F _wavegate wavegate
`

func bashCompletion(options table) string {
	var cases, flags strings.Builder
	for _, o := range options.shown() {
		fmt.Fprintf(&flags, "%s|%s\n", o.name, o.usage)
		if o.kind == toggle {
			continue
		}
		reply := "" // nothing to offer
		switch o.kind {
		case file:
			reply = `compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur")`
		case dir:
			reply = `compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "$cur")`
		case choice:
			reply = fmt.Sprintf(`mapfile -t COMPREPLY < <(compgen -W "%s" -- "$cur")`, strings.Join(o.choices, " "))
		}
		if reply != "" {
			reply += "; "
		}
		fmt.Fprintf(&cases, "        -%s) %sreturn ;;\n", o.name, reply)
	}
	return fmt.Sprintf(bashScript, cases.String(), flags.String())
}

const zshScript = `#compdef wavegate
# zsh completion for wavegate. To use it now: source <(wavegate --completion zsh)

_wavegate() {
    _arguments -S \
%s}

if [[ $funcstack[1] == _wavegate ]]; then
    _wavegate "$@"
else
    compdef _wavegate wavegate
fi
`

func zshCompletion(options table) string {
	var specs []string
	for _, o := range options.shown() {
		specs = append(specs, zshSpec(o, "--"), zshSpec(o, "-"))
	}
	return fmt.Sprintf(zshScript, "        "+strings.Join(specs, " \\\n        ")+"\n")
}

// zshSpec describes one spelling of an option as _arguments wants it.
func zshSpec(o *option, dash string) string {
	others := fmt.Sprintf("(--%s -%s)", o.name, o.name)
	if o.adds() {
		others = "*"
	}
	flag, action := dash+o.name, ""
	if o.kind != toggle {
		flag += "="
		action = ":" + zshEscape(o.arg) + ":"
	}
	switch o.kind {
	case file:
		action += "_files"
	case dir:
		action += "_files -/"
	case choice:
		action += "(" + strings.Join(o.choices, " ") + ")"
	}
	return "'" + others + flag + "[" + zshEscape(o.usage) + "]" + action + "'"
}

// zshEscape protects what means something inside a spec in single quotes.
func zshEscape(text string) string {
	return strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `:`, `\:`, `'`, `'\''`).Replace(text)
}

const fishHead = `# fish completion for wavegate. To use it now: wavegate --completion fish | source

complete -c wavegate -f
`

func fishCompletion(options table) string {
	var b strings.Builder
	b.WriteString(fishHead)
	for _, o := range options.shown() {
		fmt.Fprintf(&b, "complete -c wavegate -l %s -o %s -d %s", o.name, o.name, fishQuote(o.usage))
		switch o.kind {
		case toggle:
		case file:
			b.WriteString(" -r -F")
		case dir:
			b.WriteString(" -x -a '(__fish_complete_directories)'")
		case choice:
			fmt.Fprintf(&b, " -x -a %s", fishQuote(strings.Join(o.choices, " ")))
		default:
			b.WriteString(" -x")
		}
		b.WriteString("\n")
	}
	return b.String()
}

// fishQuote puts text in single quotes.
func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}
