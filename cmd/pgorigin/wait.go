package main

import (
	"context"
	"flag"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/control"
)

const waitHelp = `
  Asks /startupz on PGORIGIN_HEALTH_ADDR until it says yes, for programs that must not start before pgorigin: the first
  line of a container's script, or a preStart command. Silent unless the time is over; then it says what it saw last.

  --timeout 60s      how long

  Exit codes: 0 it is up, 1 not in time, 2 wrong usage, 78 wrong PGORIGIN_HEALTH_ADDR.
`

func runWait(ctx context.Context, p process) int {
	timeout := time.Minute
	code, done := p.parseFlags("wait", func(flags *flag.FlagSet) {
		flags.DurationVar(&timeout, "timeout", timeout, "")
	})
	switch {
	case done:
		return code
	case timeout <= 0:
		return p.misused("wait: --timeout must be above zero, such as 60s")
	}
	return control.Wait(ctx, p.Process, timeout)
}
