// Command login is pgx and lib/pq as judges: each line of standard input is one login, each line of output its verdict.
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	_ "github.com/lib/pq"
)

// limit bounds a login and the query behind it.
const limit = 40 * time.Second

// attempt is a login to make.
type attempt struct {
	ID     int    `json:"id"`
	Driver string `json:"driver"` // pgx or pq
	DSN    string `json:"dsn"`
}

// verdict says what a driver made of it.
type verdict struct {
	ID        int    `json:"id"`
	Connected bool   `json:"connected"` // the driver believes that it is logged in
	Answered  bool   `json:"answered"`  // and a query returned what was asked for
	Error     string `json:"error"`
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	var lock sync.Mutex
	var running sync.WaitGroup
	defer running.Wait()
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var a attempt
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return fmt.Errorf("read attempt: %w", err)
		}
		running.Go(func() {
			v := judge(a)
			lock.Lock()
			defer lock.Unlock()
			_ = out.Encode(v) // the reader has gone, and this program with it
		})
	}
	return lines.Err()
}

func judge(a attempt) verdict {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	v := verdict{ID: a.ID}
	var err error
	switch a.Driver {
	case "pgx":
		err = v.pgx(ctx, a.DSN)
	case "pq":
		err = v.pq(ctx, a.DSN)
	default:
		err = errors.New("no such driver")
	}
	if err != nil {
		v.Error = err.Error()
	}
	return v
}

func (v *verdict) pgx(ctx context.Context, dsn string) error {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	v.Connected = true
	var n int
	if err := conn.QueryRow(ctx, "SELECT 1").Scan(&n); err != nil {
		return err
	}
	v.Answered = n == 1
	return nil
}

func (v *verdict) pq(ctx context.Context, dsn string) error {
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	v.Connected = true
	var n int
	if err := conn.QueryRowContext(ctx, "SELECT 1").Scan(&n); err != nil {
		return err
	}
	v.Answered = n == 1
	return nil
}
