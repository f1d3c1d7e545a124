package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/advice"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

const explainHelp = `explain prints what a reason means, when it occurs and what to do about it.
Reasons are in the log, in metrics and in the report of check.

For a variable, explain prints its meaning, its default, its scope and the
reasons that it cures.`

func newExplainCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use:     "explain REASON|VARIABLE",
		Short:   "Print what a reason or a variable means, and what to do",
		Long:    explainHelp,
		Example: "  pgorigin explain cert_expired\n  pgorigin explain PGORIGIN_TLS_CA_FILE",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("give one reason, such as cert_expired, or one variable")
			}
			return refuseArguments(cmd, args[1:])
		},
		ValidArgsFunction: completeFirst(func(*cobra.Command) []string {
			return append(advice.Words(), config.Names()...)
		}),
		RunE: func(_ *cobra.Command, args []string) error {
			err := advice.Explain(p.Stdout, args[0])
			if unknown := new(advice.UnknownWordError); errors.As(err, &unknown) {
				return err
			}
			if err != nil {
				fmt.Fprintf(p.Stderr, "pgorigin: %v\n", err)
				p.code = cli.ExitFailed
			}
			return nil
		},
	}
}
