// Command pgx runs the checks of the driver matrix with pgx.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/drivers/go/check"
)

func main() {
	check.Run("pgx", "github.com/jackc/pgx/v5",
		check.Check{Name: "login", Do: onConnection(login)},
		check.Check{Name: "wrong password", Do: wrongPassword},
		check.Check{Name: "parameters", Do: onConnection(parameters)},
		check.Check{Name: "prepared", Do: onConnection(prepared)},
		check.Check{Name: "pipeline", Do: onConnection(pipeline)},
		check.Check{Name: "copy", Do: onConnection(copyBothWays)},
		check.Check{Name: "notice", Do: notice},
		check.Check{Name: "notify", Do: onConnection(notify)},
		check.Check{Name: "cancel", Do: onConnection(cancelQuery)},
		check.Check{Name: "large", Do: onConnection(large)},
		check.Check{Name: "unicode", Do: unicode},
		check.Check{Name: "restart", Do: restart},
	)
}

func connect(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, check.Main.DSN()) }

// onConnection gives a check a connection of its own.
func onConnection(do func(context.Context, *pgx.Conn) error) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := connect(ctx)
		if err != nil {
			return err
		}
		return errors.Join(do(ctx, conn), conn.Close(ctx))
	}
}

func login(ctx context.Context, conn *pgx.Conn) error {
	var user string
	return errors.Join(conn.QueryRow(ctx, "SELECT current_user").Scan(&user), check.Equal(user, check.Main.User))
}

func wrongPassword(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, check.Main.WithPassword("not-the-one").DSN())
	if err == nil {
		_ = conn.Close(ctx)
	}
	return check.Refused(err)
}

func parameters(ctx context.Context, conn *pgx.Conn) error {
	when := time.Date(2024, 2, 29, 12, 34, 56, 789000000, time.UTC)
	data := []byte{0, 1, 0x80, 0xff, '\''}
	var (
		number  int64
		real    float64
		truth   bool
		gotWhen time.Time
		gotData []byte
		list    []string
		nothing *string
	)
	err := conn.QueryRow(ctx, "SELECT $1::bigint, $2::float8, $3::bool, $4::timestamptz, $5::bytea, $6::text[], $7::text",
		int64(-1)<<62, 0.1, true, when, data, []string{"a", "b,c"}, nil).
		Scan(&number, &real, &truth, &gotWhen, &gotData, &list, &nothing)
	if err != nil {
		return err
	}
	return errors.Join(check.Equal(number, -1<<62), check.Equal(real, 0.1), check.Equal(truth, true),
		check.Equal(gotWhen.Equal(when), true), check.Equal(bytes.Equal(gotData, data), true),
		check.Equal(strings.Join(list, "|"), "a|b,c"), check.Equal(nothing == nil, true))
}

func prepared(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Prepare(ctx, "double", "SELECT $1::int * 2"); err != nil {
		return err
	}
	for i := range 5 {
		var got int
		if err := conn.QueryRow(ctx, "double", i).Scan(&got); err != nil {
			return err
		}
		if err := check.Equal(got, 2*i); err != nil {
			return err
		}
	}
	return nil
}

func pipeline(ctx context.Context, conn *pgx.Conn) error {
	batch := new(pgx.Batch)
	var sum int
	for i := range 10 {
		batch.Queue("SELECT $1::int", i).QueryRow(func(row pgx.Row) error {
			var got int
			err := row.Scan(&got)
			sum += got
			return err
		})
	}
	return errors.Join(conn.SendBatch(ctx, batch).Close(), check.Equal(sum, 45))
}

func copyBothWays(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "CREATE TEMP TABLE copied (n int, t text)"); err != nil {
		return err
	}
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"n", "t"},
		pgx.CopyFromSlice(1000, func(i int) ([]any, error) { return []any{i, fmt.Sprint("row ", i)}, nil }))
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if _, err := conn.PgConn().CopyTo(ctx, &out, "COPY copied TO STDOUT"); err != nil {
		return err
	}
	return errors.Join(check.Equal(n, 1000), check.Equal(strings.Count(out.String(), "row "), 1000))
}

func notice(ctx context.Context) error {
	config, err := pgx.ParseConfig(check.Main.DSN())
	if err != nil {
		return err
	}
	var heard string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { heard = n.Message }
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "DO $$ BEGIN RAISE NOTICE 'look here'; END $$")
	return errors.Join(err, check.Equal(heard, "look here"), conn.Close(ctx))
}

func notify(ctx context.Context, conn *pgx.Conn) error {
	other, err := connect(ctx)
	if err != nil {
		return err
	}
	channel := fmt.Sprint("driver_", os.Getpid())
	_, errListen := conn.Exec(ctx, "LISTEN "+channel)
	_, errNotify := other.Exec(ctx, "SELECT pg_notify($1, 'hello')", channel)
	if err := errors.Join(errListen, errNotify, other.Close(ctx)); err != nil {
		return err
	}
	got, err := conn.WaitForNotification(ctx)
	if err != nil {
		return err
	}
	return check.Equal(got.Payload, "hello")
}

func cancelQuery(ctx context.Context, conn *pgx.Conn) error {
	var pid int
	if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(30)")
		ended <- err
	}()
	other, err := connect(ctx)
	if err != nil {
		return err
	}
	err = check.Until(ctx, func() (asleep bool, err error) {
		err = other.QueryRow(ctx, "SELECT wait_event IS NOT DISTINCT FROM 'PgSleep' FROM pg_stat_activity WHERE pid = $1", pid).Scan(&asleep)
		return asleep, err
	})
	if err := errors.Join(err, conn.PgConn().CancelRequest(ctx), other.Close(ctx)); err != nil {
		return err
	}
	var answer *pgconn.PgError
	if err := <-ended; !errors.As(err, &answer) {
		return fmt.Errorf("the query ended with %w", err)
	}
	return check.Equal(answer.Code, "57014")
}

func large(ctx context.Context, conn *pgx.Conn) error {
	value := strings.Repeat("0123456789abcdef", check.LargeSize/16)
	var back string
	return errors.Join(conn.QueryRow(ctx, "SELECT $1::text", value).Scan(&back), check.Equal(back == value, true))
}

func unicode(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, check.Other.DSN())
	if err != nil {
		return err
	}
	var user, database, text string
	err = conn.QueryRow(ctx, "SELECT current_user, current_database(), $1::text", check.Text).Scan(&user, &database, &text)
	return errors.Join(err, check.Equal(user, check.Other.User), check.Equal(database, check.Other.Database),
		check.Equal(text, check.Text), conn.Close(ctx))
}

func restart(ctx context.Context) error {
	conn, err := connect(ctx)
	if err != nil {
		return err
	}
	check.AwaitRestart()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := conn.Exec(ctx, "SELECT 1"); err == nil {
		return errors.New("the connection outlived its server")
	}
	conn, err = connect(ctx)
	if err != nil {
		return fmt.Errorf("connect anew: %w", err)
	}
	return errors.Join(login(ctx, conn), conn.Close(ctx))
}
