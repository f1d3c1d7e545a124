package main

import (
	"context"
	"flag"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/control"
)

const healthcheckHelp = `
  Asks /livez on PGORIGIN_HEALTH_ADDR, whatever the other variables are. Silent when all is well, one line when not, so
  that it can be the health command of a container without a shell.

  --ready            ask /readyz: would a new client be served?

  Exit codes: 0 fine, 1 not, 2 wrong usage, 78 wrong PGORIGIN_HEALTH_ADDR.
`

func runHealthcheck(ctx context.Context, p process) int {
	var ready bool
	code, done := p.parseFlags("healthcheck", func(flags *flag.FlagSet) {
		flags.BoolVar(&ready, "ready", false, "")
	})
	if done {
		return code
	}
	return control.Healthcheck(ctx, p.Process, ready)
}
