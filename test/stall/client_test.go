//go:build stall

package stall

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/servers"
)

// halfCloseAndWait sends a slow query, and then the end of its stream. libpq cannot do that, and TLS would
// hide the end from the server: the way without pgorigin is plain here.
func halfCloseAndWait(ctx context.Context, way string) (string, error) {
	marker := "halfclosed_" + way
	dsn, _, err := reach(ctx, way, shared.postgres.Addr)
	if err != nil {
		return "", err
	}
	config, err := pgconn.ParseConfig(dsn + " sslmode=disable sslrootcert=''")
	if err != nil {
		return "", err
	}
	var tcp *net.TCPConn
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		tcp = c.(*net.TCPConn)
		return c, nil
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return "", err
	}
	defer func() { _ = tcp.Close() }()
	closed := make(chan error, 1)
	go func() {
		_, err := awaitBackend(ctx, shared.postgres, marker)
		closed <- errors.Join(err, tcp.CloseWrite())
	}()
	ctx, cancel := context.WithTimeout(ctx, *long+time.Minute)
	defer cancel()
	answer, err := conn.Exec(ctx, fmt.Sprintf("SELECT 'answered', pg_sleep(%f) /* %s */", long.Seconds(), marker)).ReadAll()
	if err != nil {
		return "no answer: " + err.Error(), <-closed
	}
	return string(answer[0].Rows[0][0]), <-closed
}

// readLate asks for all rows and begins to read them when the stall is over.
func readLate(ctx context.Context, way string) (string, error) {
	dsn, _, err := reach(ctx, way, shared.postgres.Addr)
	if err != nil {
		return "", err
	}
	cmd := shared.lab.Psql(ctx, dsn, "-c",
		fmt.Sprintf("COPY (SELECT repeat('x', 300) FROM generate_series(1, %d)) TO STDOUT", rows))
	var problems strings.Builder
	cmd.Stderr = &problems
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	pause(ctx, *long)
	text, errRead := io.ReadAll(stdout)
	err = errors.Join(errRead, cmd.Wait())
	saw := fmt.Sprintf("%d rows", bytes.Count(text, []byte("\n")))
	if err != nil {
		saw = fmt.Sprintf("%s, %v, %s", saw, err, strings.ReplaceAll(problems.String(), "\n", " "))
	}
	return saw, nil
}

// soon is what the server may take to notice that a client is gone. Directly it takes a fraction of a second;
// a pgorigin that waits for something of its own before it passes the end on is later than this.
const soon = 6 * time.Second

// killClient kills a psql while the server works for it. The server asks every 200 ms whether its client is
// still there.
func killClient(ctx context.Context, way string) (string, error) {
	pg, marker := shared.postgres, "killed_"+way
	dsn, _, err := reach(ctx, way, pg.Addr)
	if err != nil {
		return "", err
	}
	cmd := shared.lab.Psql(ctx, dsn, "-c", "SET client_connection_check_interval = '200ms'",
		"-c", fmt.Sprintf("SELECT pg_sleep(%f) /* %s */", 2*long.Seconds()+60, marker))
	if err := cmd.Start(); err != nil {
		return "", err
	}
	defer func() { _ = cmd.Wait() }()
	if _, err := awaitBackend(ctx, pg, marker); err != nil {
		return "", errors.Join(err, cmd.Process.Kill())
	}
	pause(ctx, *long)
	if err := cmd.Process.Kill(); err != nil {
		return "", err
	}
	killed := time.Now()
	count := "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query LIKE '%" + marker + "%'"
	err = servers.PollEvery(ctx, 100*time.Millisecond, func() error {
		out, err := pg.Exec(ctx, count)
		if err == nil && out != "0" {
			err = errors.New("the query still runs")
		}
		return err
	})
	if took := time.Since(killed); err == nil && took > soon {
		return fmt.Sprintf("the query ended %.1fs after its client", took.Seconds()), nil
	}
	return "the query ended with its client", err
}
