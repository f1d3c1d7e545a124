package main

import (
	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/control"
)

const healthcheckHelp = `healthcheck asks /livez on PGORIGIN_HEALTH_ADDR. It ignores all other variables.
It prints nothing if pgorigin is alive, and one line if not. It needs no shell,
so a container without one can use it as its health command.

Exit codes: 0 alive or ready, 1 not, 2 wrong usage, 78 wrong
PGORIGIN_HEALTH_ADDR.`

func newHealthcheckCommand(p *program) *cobra.Command {
	var ready bool
	cmd := &cobra.Command{
		Use:        "healthcheck [--ready]",
		Short:      "Ask a running pgorigin whether it is alive, or ready",
		Long:       healthcheckHelp,
		SuggestFor: []string{"status", "ping"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.code = control.Healthcheck(cmd.Context(), p.Process, ready)
			return nil
		},
	}
	cmd.Flags().BoolVar(&ready, "ready", false, "ask /readyz instead: would pgorigin serve a new client?")
	return cmd
}
