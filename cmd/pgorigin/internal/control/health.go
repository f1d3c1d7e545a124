package control

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

// Healthcheck asks a running pgorigin whether it is alive, or, if ready is true, whether it would serve a new
// client. It returns the exit code.
func Healthcheck(ctx context.Context, p cli.Process, ready bool) int {
	addr, code, done := healthToAsk(p)
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

// waitPeriod is the time between two tries.
const waitPeriod = 100 * time.Millisecond

// Wait waits until a pgorigin is up, or until timeout is over. It returns the exit code.
func Wait(ctx context.Context, p cli.Process, timeout time.Duration) int {
	addr, code, done := healthToAsk(p)
	if done {
		return code
	}
	err := poll(ctx, timeout, func(ctx context.Context) error {
		return ask(ctx, probeTimeout, http.MethodGet, addr, "/startupz")
	})
	if err != nil {
		fmt.Fprintf(p.Stderr, "pgorigin: wait: not up after %v: %v\n"+
			"Is it running, with %sHEALTH_ADDR=%s, and where this command can reach it? "+
			"Its log says why it does not start.\n",
			timeout, err, config.Prefix, addr)
		return cli.ExitFailed
	}
	return cli.ExitOK
}

// poll calls try until it returns nil or timeout is over. It returns the last error from before the end of
// the time, because "deadline exceeded" explains nothing.
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
