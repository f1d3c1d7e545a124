// Command url logs in by each URL with a driver, pgx or pq, and uses the session. It prints a line for each: "works",
// or what failed.
package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/lib/pq"
)

// session is a connection of either driver.
type session interface {
	exec(ctx context.Context, sql string) error
	value(ctx context.Context, sql string) (string, error)
	// cancelled calls begun while sql runs, cancels it and returns the SQLSTATE with which it ended.
	cancelled(ctx context.Context, sql string, begun func() error) (string, error)
	close(ctx context.Context)
}

func main() {
	urls := os.Args[2:]
	if len(urls) == 0 {
		urls = []string{os.Getenv("DATABASE_URL")}
	}
	for _, url := range urls {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		said := "works"
		if err := use(ctx, os.Args[1], url); err != nil {
			said = strings.Join(strings.Fields(err.Error()+" "+hint(err)), " ")
		}
		cancel()
		fmt.Println(said)
	}
}

func use(ctx context.Context, driver, url string) error {
	s, err := open(ctx, driver, url)
	if err != nil {
		return err
	}
	defer s.close(ctx)
	for _, sql := range []string{
		"CREATE TEMP TABLE kept (n int)",
		"BEGIN", "INSERT INTO kept VALUES (1)", "COMMIT", "BEGIN", "INSERT INTO kept VALUES (2)", "ROLLBACK",
	} {
		if err := s.exec(ctx, sql); err != nil {
			return err
		}
	}
	if count, err := s.value(ctx, "SELECT count(*)::text FROM kept"); err != nil || count != "1" {
		return fmt.Errorf("transaction: %s rows, %w", count, err)
	}
	pid, err := s.value(ctx, "SELECT pg_backend_pid()::text")
	if err != nil {
		return err
	}
	code, err := s.cancelled(ctx, "SELECT pg_sleep(30)", func() error { return awaitAsleep(ctx, driver, url, pid) })
	if err != nil || code != "57014" {
		return fmt.Errorf("cancel: the query ended with %q, %w", code, err)
	}
	return nil
}

// hint is what an application can tell beside the message: neither driver puts it into its error's text.
func hint(err error) string {
	var fromPgx *pgconn.PgError
	var fromPq *pq.Error
	switch {
	case errors.As(err, &fromPgx):
		return fromPgx.Hint
	case errors.As(err, &fromPq):
		return fromPq.Hint
	}
	return ""
}

func awaitAsleep(ctx context.Context, driver, url, pid string) error {
	other, err := open(ctx, driver, url)
	if err != nil {
		return err
	}
	defer other.close(ctx)
	for ctx.Err() == nil {
		wait, err := other.value(ctx, "SELECT coalesce(wait_event, '') FROM pg_stat_activity WHERE pid = "+pid)
		if err != nil || wait == "PgSleep" {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
	return ctx.Err()
}

func open(ctx context.Context, driver, url string) (session, error) {
	if driver == "pgx" {
		conn, err := pgx.Connect(ctx, url)
		return pgxSession{conn}, err
	}
	db, err := sql.Open("postgres", url)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return pqSession{db}, db.PingContext(ctx)
}

type pgxSession struct{ conn *pgx.Conn }

func (s pgxSession) exec(ctx context.Context, sql string) error {
	_, err := s.conn.Exec(ctx, sql)
	return err
}

func (s pgxSession) value(ctx context.Context, sql string) (value string, err error) {
	err = s.conn.QueryRow(ctx, sql).Scan(&value)
	return value, err
}

func (s pgxSession) cancelled(ctx context.Context, sql string, begun func() error) (string, error) {
	ended := make(chan error, 1)
	go func() { ended <- s.exec(ctx, sql) }()
	if err := errors.Join(begun(), s.conn.PgConn().CancelRequest(ctx)); err != nil {
		return "", err
	}
	var answer *pgconn.PgError
	if err := <-ended; !errors.As(err, &answer) {
		return "", err
	}
	return answer.Code, nil
}

func (s pgxSession) close(ctx context.Context) { _ = s.conn.Close(ctx) }

type pqSession struct{ db *sql.DB }

func (s pqSession) exec(ctx context.Context, sql string) error {
	_, err := s.db.ExecContext(ctx, sql)
	return err
}

func (s pqSession) value(ctx context.Context, sql string) (value string, err error) {
	err = s.db.QueryRowContext(ctx, sql).Scan(&value)
	return value, err
}

// cancelled cancels the way of database/sql: lib/pq turns the end of a context into a cancel request.
func (s pqSession) cancelled(ctx context.Context, sql string, begun func() error) (string, error) {
	query, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.exec(query, sql) }()
	if err := begun(); err != nil {
		return "", err
	}
	stop()
	var answer *pq.Error
	if err := <-ended; !errors.As(err, &answer) {
		return "", err
	}
	return string(answer.Code), nil
}

func (s pqSession) close(context.Context) { _ = s.db.Close() }
