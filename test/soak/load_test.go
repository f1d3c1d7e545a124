package soak

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/test/servers"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// load is one kind of thing that happens to sessions.
type load struct {
	name  string
	every time.Duration // how often, for each upstream
	once  func(ctx context.Context, addr string) error
}

// stall is how long a reader stands still, and idleness how long sessions are idle.
const (
	stall    = 300 * time.Millisecond
	idleness = 800 * time.Millisecond
)

func (r *rig) loads() []load {
	return []load{
		{"short sessions", 20 * time.Millisecond, shortSession},
		{"batches", 100 * time.Millisecond, batch},
		{"cancels", 100 * time.Millisecond, cancelled},
		{"copies out", 150 * time.Millisecond, copyOut},
		{"copies in", 150 * time.Millisecond, copyIn},
		{"stalled readers", 400 * time.Millisecond, stalledReader},
		{"idle sessions", 500 * time.Millisecond, idleSessions},
		{"killed clients", 100 * time.Millisecond, killedClient},
		{"killed servers", 100 * time.Millisecond, killedServer},
		{"refused logins", 100 * time.Millisecond, refusedLogin},
		{"rude clients", 500 * time.Millisecond, rudeClient},
		{"reloads", 250 * time.Millisecond, r.reload},
	}
}

// session runs use on a session of its own.
func session(ctx context.Context, addr string, use func(*pgx.Conn) error) error {
	conn, err := pgx.Connect(ctx, servers.DSN(addr))
	if err != nil {
		return err
	}
	return errors.Join(use(conn), conn.Close(ctx))
}

func shortSession(ctx context.Context, addr string) error {
	return session(ctx, addr, func(conn *pgx.Conn) error { return askOne(ctx, conn) })
}

func askOne(ctx context.Context, conn *pgx.Conn) error {
	var one int
	if err := conn.QueryRow(ctx, "SELECT 1").Scan(&one); err != nil || one != 1 {
		return fmt.Errorf("1 is %d: %w", one, err)
	}
	return nil
}

func batch(ctx context.Context, addr string) error {
	return session(ctx, addr, func(conn *pgx.Conn) error {
		var queries pgx.Batch
		sum, want := 0, 0
		for i := range 100 {
			want += i
			queries.Queue("SELECT $1::int", i).QueryRow(func(row pgx.Row) error {
				var n int
				err := row.Scan(&n)
				sum += n
				return err
			})
		}
		err := conn.SendBatch(ctx, &queries).Close()
		if err == nil && sum != want {
			err = fmt.Errorf("the sum is %d, want %d", sum, want)
		}
		return err
	})
}

func cancelled(ctx context.Context, addr string) error {
	return session(ctx, addr, func(conn *pgx.Conn) error {
		ended := make(chan error, 1)
		go func() {
			_, err := conn.Exec(ctx, "SELECT pg_sleep(60)")
			ended <- err
		}()
		// One that comes before the query has begun hits nothing.
		again := time.NewTicker(100 * time.Millisecond)
		defer again.Stop()
		for {
			if err := conn.PgConn().CancelRequest(ctx); err != nil {
				return errors.Join(fmt.Errorf("send the cancel request: %w", err), conn.PgConn().Conn().Close(), ignore(<-ended))
			}
			select {
			case err := <-ended:
				return expectState(err, "57014")
			case <-again.C:
			}
		}
	})
}

func ignore(error) error { return nil }

// expectState wants an ErrorResponse with one of the SQLSTATEs.
func expectState(err error, states ...string) error {
	var answer *pgconn.PgError
	if errors.As(err, &answer) {
		for _, state := range states {
			if answer.Code == state {
				return nil
			}
		}
	}
	return fmt.Errorf("ended with %w, want SQLSTATE %s", err, strings.Join(states, " or "))
}

const (
	copyRows  = 3000
	copyRow   = 1000 // bytes, with the end of the line
	copyQuery = "COPY (SELECT repeat('x', 999) FROM generate_series(1, %d)) TO STDOUT"
)

func copyOut(ctx context.Context, addr string) error {
	return session(ctx, addr, func(conn *pgx.Conn) error { return copyTo(ctx, conn, io.Discard) })
}

// copyTo copies out and checks how much came.
func copyTo(ctx context.Context, conn *pgx.Conn, to io.Writer) error {
	counted := &counter{to: to}
	_, err := conn.PgConn().CopyTo(ctx, counted, fmt.Sprintf(copyQuery, copyRows))
	if err == nil && counted.n != copyRows*copyRow {
		err = fmt.Errorf("%d bytes came, want %d", counted.n, copyRows*copyRow)
	}
	return err
}

type counter struct {
	to io.Writer
	n  int
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return c.to.Write(p)
}

func copyIn(ctx context.Context, addr string) error {
	return session(ctx, addr, func(conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "CREATE TEMPORARY TABLE copied (t text)"); err != nil {
			return err
		}
		line := strings.Repeat("y", copyRow-1) + "\n"
		tag, err := conn.PgConn().CopyFrom(ctx, strings.NewReader(strings.Repeat(line, copyRows)), "COPY copied FROM STDIN")
		if err == nil && tag.RowsAffected() != copyRows {
			err = fmt.Errorf("%d rows arrived, want %d", tag.RowsAffected(), copyRows)
		}
		return err
	})
}

// stalledReader stops reading for a while, so that the upstream is held back, too.
func stalledReader(ctx context.Context, addr string) error {
	return session(ctx, addr, func(conn *pgx.Conn) error { return copyTo(ctx, conn, &stalling{ctx: ctx}) })
}

type stalling struct {
	ctx  context.Context //nolint:containedctx // it is a Writer, which has no other way to learn of it
	done bool
}

func (s *stalling) Write(p []byte) (int, error) {
	if !s.done {
		s.done = true
		wait(s.ctx, stall)
	}
	return len(p), s.ctx.Err()
}

// wait returns after d, or when ctx ends.
func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func idleSessions(ctx context.Context, addr string) error {
	var conns [10]*pgx.Conn
	var errs []error
	began := time.Now()
	for i := range conns {
		var err error
		conns[i], err = pgx.Connect(ctx, servers.DSN(addr))
		errs = append(errs, err)
	}
	connected := time.Now()
	wait(ctx, idleness)
	for i, conn := range conns {
		if conn == nil {
			continue
		}
		asked := time.Now()
		if err := errors.Join(askOne(ctx, conn), conn.Close(ctx)); err != nil {
			errs = append(errs, fmt.Errorf("session %d of %d, which took %v to connect, after %v: %w",
				i+1, len(conns), connected.Sub(began), time.Since(asked), err))
		}
	}
	return errors.Join(errs...)
}

func refusedLogin(ctx context.Context, addr string) error {
	conn, err := pgx.Connect(ctx, servers.DSN(addr, "password=wrong"))
	if err == nil {
		return errors.Join(errors.New("a wrong password was accepted"), conn.Close(ctx))
	}
	return expectState(err, "28P01", "08P01") // of PostgreSQL, of pgbouncer
}

// rudeClient does what no client should, one thing after the other.
func rudeClient(ctx context.Context, addr string) error {
	startup := pgtest.Startup("user", servers.User, "database", servers.Database)
	for _, said := range [][]byte{
		nil,                   // a port check
		startup[:10],          // leaves half-way
		pgtest.SSLRequest(),   // insists on encryption
		startup,               // leaves during the login
		[]byte("GET / HTTP/"), // is no Postgres client
		pgtest.CancelRequest("no such key"),
	} {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil {
			return err
		}
		_, err = conn.Write(said)
		if err := errors.Join(err, conn.Close()); err != nil && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, syscall.EPIPE) {
			return err
		}
	}
	return nil
}

// reload changes the trusted certificates, and never takes the one away that matters.
func (r *rig) reload(context.Context, string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	content := append(r.lab.CA.PEM(), tlstest.NewCA(fmt.Sprintf("another CA %d", r.reloads), tlstest.P256).PEM()...)
	r.reloads++
	next := r.caFile + ".next"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return err
	}
	if err := os.Rename(next, r.caFile); err != nil {
		return err
	}
	return r.origin.Signal(syscall.SIGHUP)
}
