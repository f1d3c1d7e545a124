package main

import (
	"context"
	"flag"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/control"
)

const shutdownHelp = `
  Sends POST /quitquitquit to PGORIGIN_ADMIN_ADDR, for whoever is done with the database: the last line of a Job's script,
  for instance. Running sessions may finish, as after SIGTERM; PGORIGIN_SHUTDOWN_DELAY does not apply. Asking again does no harm.

  --wait 30s         return only when that pgorigin has ended, but not later than this

  Exit codes: 0 it was told, and has ended if that was asked for; 1 not, 2 wrong usage, 78 wrong PGORIGIN_ADMIN_ADDR.
`

func runShutdown(ctx context.Context, p process) int {
	var wait time.Duration
	code, done := p.parseFlags("shutdown", func(flags *flag.FlagSet) {
		flags.DurationVar(&wait, "wait", 0, "")
	})
	switch {
	case done:
		return code
	case wait < 0:
		return p.misused("shutdown: --wait must be above zero, such as 30s")
	}
	return control.Shutdown(ctx, p.Process, wait)
}
