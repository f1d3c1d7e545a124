package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
)

// killedClient is gone in the middle of an answer, every other time by a reset.
func killedClient(ctx context.Context, addr string) error {
	conn, err := pgx.Connect(ctx, servers.DSN(addr))
	if err != nil {
		return err
	}
	socket, ok := conn.PgConn().Conn().(*net.TCPConn)
	if !ok {
		return fmt.Errorf("pgx has a %T", conn.PgConn().Conn())
	}
	if deaths.Add(1)%2 == 0 {
		if err := socket.SetLinger(0); err != nil {
			return err
		}
	}
	if _, err := conn.PgConn().CopyTo(ctx, &killer{socket}, fmt.Sprintf(copyQuery, 100*copyRows)); err == nil {
		return errors.New("the killed client lives")
	}
	return nil
}

var deaths atomic.Int64 // every other one is a reset, whoever dies

type killer struct{ socket io.Closer }

func (k *killer) Write(p []byte) (int, error) { return len(p), k.socket.Close() }

// killedServer loses its backend to another session of the same user.
func killedServer(ctx context.Context, addr string) error {
	victim, err := pgx.Connect(ctx, servers.DSN(addr))
	if err != nil {
		return err
	}
	defer func() { _ = victim.Close(ctx) }()
	var pid int
	if err := victim.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return err
	}
	if err := shortKill(ctx, addr, pid); err != nil {
		return err
	}
	if _, err := victim.Exec(ctx, "SELECT pg_sleep(60)"); err == nil {
		return errors.New("the killed backend lives")
	}
	return nil
}

func shortKill(ctx context.Context, addr string, pid int) error {
	return session(ctx, addr, func(conn *pgx.Conn) error {
		var killed bool
		if err := conn.QueryRow(ctx, "SELECT pg_terminate_backend($1)", pid).Scan(&killed); err != nil || !killed {
			return fmt.Errorf("backend %d is killed: %v: %w", pid, killed, err)
		}
		return nil
	})
}
