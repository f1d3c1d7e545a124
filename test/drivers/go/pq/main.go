// Command pq runs the checks of the driver matrix with lib/pq and database/sql.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/lib/pq"

	"github.com/pgorigin/pgorigin/test/drivers/go/check"
)

func main() {
	check.Run("lib/pq", "github.com/lib/pq",
		check.Check{Name: "login", Do: onConnection(login)},
		check.Check{Name: "wrong password", Do: wrongPassword},
		check.Check{Name: "parameters", Do: onConnection(parameters)},
		check.Check{Name: "prepared", Do: onConnection(prepared)},
		check.Check{Name: "pipeline", Do: func(context.Context) error { return check.Limit("lib/pq has no pipeline or batch") }},
		check.Check{Name: "copy", Do: onConnection(copyIn)},
		check.Check{Name: "notice", Do: notice},
		check.Check{Name: "notify", Do: onConnection(notify)},
		check.Check{Name: "cancel", Do: onConnection(cancelQuery)},
		check.Check{Name: "large", Do: onConnection(large)},
		check.Check{Name: "unicode", Do: unicode},
		check.Check{Name: "restart", Do: restart},
	)
}

// onConnection gives a check a connection of its own.
func onConnection(do func(context.Context, *sql.Conn) error) func(context.Context) error {
	return func(ctx context.Context) error { return connected(ctx, check.Main, do) }
}

func connected(ctx context.Context, account check.Account, do func(context.Context, *sql.Conn) error) error {
	db, err := sql.Open("postgres", account.DSN())
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return do(ctx, conn)
}

func login(ctx context.Context, conn *sql.Conn) error {
	var user string
	return errors.Join(conn.QueryRowContext(ctx, "SELECT current_user").Scan(&user), check.Equal(user, check.Main.User))
}

func wrongPassword(ctx context.Context) error {
	return check.Refused(connected(ctx, check.Main.WithPassword("not-the-one"), login))
}

func parameters(ctx context.Context, conn *sql.Conn) error {
	when := time.Date(2024, 2, 29, 12, 34, 56, 789000000, time.UTC)
	data := []byte{0, 1, 0x80, 0xff, '\''}
	var (
		number  int64
		real    float64
		truth   bool
		gotWhen time.Time
		gotData []byte
		list    []string
		nothing sql.NullString
	)
	err := conn.QueryRowContext(ctx,
		"SELECT $1::bigint, $2::float8, $3::bool, $4::timestamptz, $5::bytea, $6::text[], $7::text",
		int64(-1)<<62, 0.1, true, when, data, pq.Array([]string{"a", "b,c"}), nil).
		Scan(&number, &real, &truth, &gotWhen, &gotData, pq.Array(&list), &nothing)
	if err != nil {
		return err
	}
	return errors.Join(check.Equal(number, -1<<62), check.Equal(real, 0.1), check.Equal(truth, true),
		check.Equal(gotWhen.Equal(when), true), check.Equal(bytes.Equal(gotData, data), true),
		check.Equal(strings.Join(list, "|"), "a|b,c"), check.Equal(nothing.Valid, false))
}

func prepared(ctx context.Context, conn *sql.Conn) error {
	statement, err := conn.PrepareContext(ctx, "SELECT $1::int * 2")
	if err != nil {
		return err
	}
	defer statement.Close()
	for i := range 5 {
		var got int
		if err := statement.QueryRowContext(ctx, i).Scan(&got); err != nil {
			return err
		}
		if err := check.Equal(got, 2*i); err != nil {
			return err
		}
	}
	return nil
}

func copyIn(ctx context.Context, conn *sql.Conn) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "CREATE TEMP TABLE copied (n int, t text)"); err != nil {
		return err
	}
	statement, err := tx.PrepareContext(ctx, "COPY copied (n, t) FROM STDIN")
	if err != nil {
		return err
	}
	for i := range 1000 {
		if _, err := statement.ExecContext(ctx, i, fmt.Sprint("row ", i)); err != nil {
			return err
		}
	}
	_, err = statement.ExecContext(ctx)
	if err := errors.Join(err, statement.Close()); err != nil {
		return err
	}
	var n int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM copied").Scan(&n); err != nil {
		return err
	}
	if err := check.Equal(n, 1000); err != nil {
		return err
	}
	return check.Note("COPY in only; lib/pq has no COPY out")
}

func notice(ctx context.Context) error {
	connector, err := pq.NewConnector(check.Main.DSN())
	if err != nil {
		return err
	}
	var heard string
	db := sql.OpenDB(pq.ConnectorWithNoticeHandler(connector, func(n *pq.Error) { heard = n.Message }))
	_, err = db.ExecContext(ctx, "DO $$ BEGIN RAISE NOTICE 'look here'; END $$")
	return errors.Join(err, check.Equal(heard, "look here"), db.Close())
}

func notify(ctx context.Context, conn *sql.Conn) error {
	channel := fmt.Sprint("driver_", os.Getpid())
	listener := pq.NewListener(check.Main.DSN(), time.Second, time.Second, nil)
	defer listener.Close()
	if err := listener.Listen(channel); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "SELECT pg_notify($1, 'hello')", channel); err != nil {
		return err
	}
	select {
	case got := <-listener.Notify:
		return check.Equal(got.Extra, "hello")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cancelQuery cancels the way of database/sql: lib/pq turns the end of a context into a cancel request.
func cancelQuery(ctx context.Context, conn *sql.Conn) error {
	var pid int
	if err := conn.QueryRowContext(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return err
	}
	query, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		_, err := conn.ExecContext(query, "SELECT pg_sleep(30)")
		ended <- err
	}()
	asleep := func(ctx context.Context, other *sql.Conn) error {
		awaited := func(want bool) error {
			return check.Until(ctx, func() (done bool, err error) {
				var found int
				err = other.QueryRowContext(ctx,
					"SELECT count(*) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'", pid).Scan(&found)
				return (found == 1) == want, err
			})
		}
		if err := awaited(true); err != nil {
			return err
		}
		stop()
		if err := <-ended; err == nil {
			return errors.New("the query was not cancelled")
		}
		return awaited(false) // well before the 30 seconds: ctx says so
	}
	began := time.Now()
	if err := connected(ctx, check.Main, asleep); err != nil {
		return err
	}
	if took := time.Since(began); took > 20*time.Second {
		return fmt.Errorf("the query went on for %s", took)
	}
	return nil
}

func large(ctx context.Context, conn *sql.Conn) error {
	value := strings.Repeat("0123456789abcdef", check.LargeSize/16)
	var back string
	err := conn.QueryRowContext(ctx, "SELECT $1::text", value).Scan(&back)
	return errors.Join(err, check.Equal(back == value, true))
}

func unicode(ctx context.Context) error {
	return connected(ctx, check.Other, func(ctx context.Context, conn *sql.Conn) error {
		var user, database, text string
		err := conn.QueryRowContext(ctx, "SELECT current_user, current_database(), $1::text", check.Text).
			Scan(&user, &database, &text)
		return errors.Join(err, check.Equal(user, check.Other.User), check.Equal(database, check.Other.Database),
			check.Equal(text, check.Text))
	})
}

func restart(ctx context.Context) error {
	return connected(ctx, check.Main, func(ctx context.Context, conn *sql.Conn) error {
		check.AwaitRestart()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		if _, err := conn.ExecContext(ctx, "SELECT 1"); err == nil {
			return errors.New("the connection outlived its server")
		}
		if err := connected(ctx, check.Main, login); err != nil {
			return fmt.Errorf("connect anew: %w", err)
		}
		return nil
	})
}
