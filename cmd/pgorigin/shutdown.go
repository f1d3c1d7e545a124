package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/control"
)

const shutdownHelp = `shutdown sends POST /quitquitquit to PGORIGIN_ADMIN_ADDR. Use it when nothing
needs the database any more, for instance in the last line of a Job's script.

Running sessions may finish, as after SIGTERM. PGORIGIN_SHUTDOWN_DELAY does not
apply. A second shutdown does no harm.

Exit codes: 0 pgorigin was told, and with --wait has ended; 1 not, 2 wrong
usage, 78 wrong PGORIGIN_ADMIN_ADDR.`

func newShutdownCommand(p *program) *cobra.Command {
	var wait time.Duration
	cmd := &cobra.Command{
		Use:        "shutdown [--wait 30s]",
		Short:      "Tell a running pgorigin to drain and end",
		Long:       shutdownHelp,
		SuggestFor: []string{"stop", "quit"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.code = control.Shutdown(cmd.Context(), p.Process, wait)
			return nil
		},
	}
	cmd.Flags().Var(durationFlag{&wait}, "wait", "return when pgorigin has ended, or after this time")
	return cmd
}
