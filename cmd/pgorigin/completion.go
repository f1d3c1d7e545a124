package main

import (
	"context"
	"flag"
	"fmt"
	"regexp"
	"strings"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
)

const completionHelp = `
  Prints a script for the shell. To have it in every session:

    bash   source <(pgorigin completion bash)      in ~/.bashrc
    zsh    source <(pgorigin completion zsh)       in ~/.zshrc, behind compinit
    fish   pgorigin completion fish | source       in ~/.config/fish/config.fish
`

// shells have a completion script.
func shells() []string { return []string{"bash", "zsh", "fish"} }

func runCompletion(_ context.Context, p process) int {
	if len(p.args) == 1 {
		switch p.args[0] {
		case "bash":
			fmt.Fprintf(p.Stdout, "%s", bashCompletion())
			return cli.ExitOK
		case "zsh":
			fmt.Fprintf(p.Stdout, "%s", zshCompletion())
			return cli.ExitOK
		case "fish":
			fmt.Fprintf(p.Stdout, "%s", fishCompletion())
			return cli.ExitOK
		}
	}
	if code, done := p.parseFlags("completion", func(*flag.FlagSet) {}); done {
		return code
	}
	return p.misused("completion: for which shell? bash, zsh or fish")
}

// flagLine is a line of a command's help that explains a flag.
var flagLine = regexp.MustCompile(`(?m)^  (--[a-z][a-z-]*)`)

// flagsIn returns the flags that the help of a command explains.
func flagsIn(details string) []string {
	var flags []string
	for _, found := range flagLine.FindAllStringSubmatch(details, -1) {
		flags = append(flags, found[1])
	}
	return flags
}

// wordsBehind returns what may follow the name of a command.
func wordsBehind(c command) []string {
	switch c.name {
	case "completion":
		return shells()
	case "help":
		return commandNames()
	}
	return flagsIn(c.details)
}

func bashCompletion() string {
	var cases strings.Builder
	for _, c := range commands() {
		if words := wordsBehind(c); len(words) > 0 {
			fmt.Fprintf(&cases, "    1:%s) words=%s ;;\n", c.name, shellQuote(strings.Join(words, " ")))
		}
	}
	return `# bash completion for pgorigin
_pgorigin() {
  local words=
  case $((COMP_CWORD > 1)):${COMP_WORDS[1]} in
    0:*) words=` + shellQuote(strings.Join(commandNames(), " ")) + ` ;;
` + cases.String() + `  esac
  COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _pgorigin pgorigin
`
}

func zshCompletion() string {
	var names, cases strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&names, "    %s\n", shellQuote(c.name+":"+c.summary))
		if words := wordsBehind(c); len(words) > 0 {
			fmt.Fprintf(&cases, "    %s) compadd -- %s ;;\n", c.name, strings.Join(words, " "))
		}
	}
	return `#compdef pgorigin
_pgorigin() {
  local -a names=(
` + names.String() + `  )
  if (( CURRENT == 2 )); then
    _describe command names
    return
  fi
  case $words[2] in
` + cases.String() + `    *) _files ;;
  esac
}
compdef _pgorigin pgorigin
`
}

func fishCompletion() string {
	var out strings.Builder
	out.WriteString("# fish completion for pgorigin\ncomplete -c pgorigin -n __fish_use_subcommand -f\n")
	for _, c := range commands() {
		fmt.Fprintf(&out, "complete -c pgorigin -n __fish_use_subcommand -f -a %s -d %s\n", c.name, shellQuote(c.summary))
		behind := shellQuote("__fish_seen_subcommand_from " + c.name)
		for _, word := range wordsBehind(c) {
			if flag, ok := strings.CutPrefix(word, "--"); ok {
				fmt.Fprintf(&out, "complete -c pgorigin -n %s -l %s\n", behind, flag)
				continue
			}
			fmt.Fprintf(&out, "complete -c pgorigin -n %s -f -a %s\n", behind, word)
		}
	}
	return out.String()
}

// shellQuote makes one word of text, for all three shells.
func shellQuote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
