package main

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
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
	addr, code, done := p.healthToAsk()
	if done {
		return code
	}
	path := "/livez"
	if ready {
		path = "/readyz"
	}
	if err := ask(ctx, probeTimeout, http.MethodGet, addr, path); err != nil {
		fmt.Fprintf(p.Stderr, "pgorigin: healthcheck: %v\n", err)
		return cli.ExitFailed
	}
	return cli.ExitOK
}

const waitHelp = `
  Asks /startupz on PGORIGIN_HEALTH_ADDR until it says yes, for programs that must not start before pgorigin: the first
  line of a container's script, or a preStart command. Silent unless the time is over; then it says what it saw last.

  --timeout 60s      how long

  Exit codes: 0 it is up, 1 not in time, 2 wrong usage, 78 wrong PGORIGIN_HEALTH_ADDR.
`

// waitPeriod is how long a command that waits for another process sleeps before it looks again.
const waitPeriod = 100 * time.Millisecond

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
	addr, code, done := p.healthToAsk()
	if done {
		return code
	}
	err := poll(ctx, timeout, func(ctx context.Context) error { return ask(ctx, probeTimeout, http.MethodGet, addr, "/startupz") })
	if err != nil {
		fmt.Fprintf(p.Stderr, "pgorigin: wait: not up after %v: %v\n"+
			"Is it running, with %sHEALTH_ADDR=%s, and where this command can reach it? Its log says why it does not start.\n",
			timeout, err, config.Prefix, addr)
		return cli.ExitFailed
	}
	return cli.ExitOK
}

// poll calls try until it returns nil or timeout is over, and returns its last error that is not just about that end.
func poll(ctx context.Context, timeout time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var last error
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		if last == nil || ctx.Err() == nil {
			last = err
		}
		select {
		case <-time.After(waitPeriod):
		case <-ctx.Done():
			return last
		}
	}
}
