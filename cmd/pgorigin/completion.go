package main

import (
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
)

const completionHelp = `completion prints a script that lets a shell complete commands, flags and
values. To load it in every session:

    bash        source <(pgorigin completion bash)           in ~/.bashrc
    zsh         source <(pgorigin completion zsh)            in ~/.zshrc
    fish        pgorigin completion fish | source            in config.fish
    powershell  pgorigin completion powershell | Out-String | Invoke-Expression

bash needs the package bash-completion. In zsh, the line comes after compinit.`

func newCompletionCommand(p *program) *cobra.Command {
	shells := []string{"bash", "zsh", "fish", "powershell"}
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "Print the completion script of a shell",
		Long:      completionHelp,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(shells, args[0]) {
				return errors.New("for which shell? bash, zsh, fish or powershell")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if writeCompletion(cmd.Root(), args[0], p.Stdout) != nil {
				p.code = cli.ExitFailed
			}
			return nil
		},
	}
}

func writeCompletion(root *cobra.Command, shell string, w io.Writer) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(w, true)
	case "zsh":
		return root.GenZshCompletion(w)
	case "fish":
		return root.GenFishCompletion(w, true)
	}
	return root.GenPowerShellCompletionWithDesc(w)
}

// completeFirst completes the first argument of a command with words.
func completeFirst(words func(*cobra.Command) []string) cobra.CompletionFunc {
	return func(
		cmd *cobra.Command, args []string, typed string,
	) (found []cobra.Completion, _ cobra.ShellCompDirective) {
		for _, word := range words(cmd) {
			if len(args) == 0 && strings.HasPrefix(word, typed) {
				found = append(found, word)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}
