package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/control"
)

const waitHelp = `wait asks /startupz on PGORIGIN_HEALTH_ADDR until pgorigin has started. Use it
before a program that needs pgorigin, for instance as the first line of a
container's script. wait prints nothing unless the time is over. Then it says
what it saw last.

Exit codes: 0 pgorigin is up, 1 not in time, 2 wrong usage, 78 wrong
PGORIGIN_HEALTH_ADDR.`

func newWaitCommand(p *program) *cobra.Command {
	timeout := time.Minute
	cmd := &cobra.Command{
		Use:   "wait [--timeout 60s]",
		Short: "Wait until pgorigin is up, even if it has not started yet",
		Long:  waitHelp,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.code = control.Wait(cmd.Context(), p.Process, timeout)
			return nil
		},
	}
	cmd.Flags().Var(durationFlag{&timeout}, "timeout", "how long to wait")
	return cmd
}
