package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
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
	addr, code, done := p.addrToAsk(config.Prefix+"ADMIN_ADDR", "127.0.0.1:9633 or unix:/run/pgorigin/admin.sock",
		func(s *config.Config) string { return string(s.AdminAddr) })
	if done {
		return code
	}
	if err := ask(ctx, orderTimeout, http.MethodPost, addr, quitPath); err != nil {
		fmt.Fprintf(p.Stderr, "pgorigin: shutdown: %v\nIs it running, with %sADMIN_ADDR=%s?\n", err, config.Prefix, addr)
		return cli.ExitFailed
	}
	if wait == 0 {
		return cli.ExitOK
	}
	// The admin address is the last thing that a process gives back.
	err := poll(ctx, wait, func(ctx context.Context) error {
		conn, err := dialAny(ctx, addr)
		switch {
		case err == nil:
			_ = conn.Close()
			return errors.New("it still listens")
		case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
			return nil // nobody listens any more: that is what we wait for
		}
		return fmt.Errorf("look for it: %w", err) // that the time is over, for instance, says nothing about it
	})
	if err != nil {
		fmt.Fprintf(p.Stderr, "pgorigin: shutdown: not ended after %v: running sessions may go on for %sSHUTDOWN_TIMEOUT\n", wait, config.Prefix)
		return cli.ExitFailed
	}
	return cli.ExitOK
}
