package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"syscall"
	"time"

	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/cli"
	"github.com/pgorigin/pgorigin/cmd/pgorigin/internal/config"
)

// Shutdown tells a running pgorigin to drain and end. If wait is not zero, it waits for that end, but no
// longer than wait. It returns the exit code.
func Shutdown(ctx context.Context, p cli.Process, wait time.Duration) int {
	const example = "127.0.0.1:9633 or unix:/run/pgorigin/admin.sock"
	addr, code, done := addrToAsk(p, config.Prefix+"ADMIN_ADDR", example,
		func(s *config.Config) config.Endpoint { return s.AdminAddr })
	if done {
		return code
	}
	if err := ask(ctx, orderTimeout, http.MethodPost, addr, "/quitquitquit"); err != nil {
		fmt.Fprintf(p.Stderr, "pgorigin: shutdown: %v\nIs it running, with %sADMIN_ADDR=%s?\n",
			err, config.Prefix, addr)
		return cli.ExitFailed
	}
	if wait == 0 {
		return cli.ExitOK
	}
	// A process closes its admin address last.
	err := poll(ctx, wait, func(ctx context.Context) error {
		conn, err := dialAny(ctx, addr)
		switch {
		case err == nil:
			_ = conn.Close()
			return errors.New("it still listens")
		case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
			return nil // it has ended
		}
		return fmt.Errorf("look for it: %w", err) // for instance: the time is over
	})
	if err != nil {
		fmt.Fprintf(p.Stderr, "pgorigin: shutdown: not ended after %v: "+
			"running sessions may go on for %sSHUTDOWN_TIMEOUT\n", wait, config.Prefix)
		return cli.ExitFailed
	}
	return cli.ExitOK
}
