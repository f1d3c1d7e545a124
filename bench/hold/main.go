// Command hold opens sessions and keeps them: each line of its input, "number query", brings it to that number of sessions,
// each of which runs the query once. It answers each line by "ok" or by what went wrong, and ends with its input.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// loginsAtATime keeps the machine busy and no login waiting for long.
const loginsAtATime = 8

func main() {
	if err := serve(strings.Join(os.Args[1:], " "), os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "hold:", err)
		os.Exit(1)
	}
}

func serve(dsn string, in io.Reader, out io.Writer) error {
	config, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return fmt.Errorf("read connection string: %w", err)
	}
	h := &holder{config: config}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		number, query, _ := strings.Cut(lines.Text(), " ")
		count, err := strconv.Atoi(number)
		if err == nil {
			err = h.open(count, query)
		}
		answer := "ok"
		if err != nil {
			answer = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		fmt.Fprintln(out, answer)
	}
	return lines.Err()
}

// holder keeps sessions from the garbage collector, which would close them.
type holder struct {
	config *pgconn.Config
	mu     sync.Mutex
	held   []*pgconn.PgConn
}

// open brings the number of sessions to count.
func (h *holder) open(count int, query string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	var workers sync.WaitGroup
	problems := make([]error, loginsAtATime)
	missing := make(chan struct{}, max(0, count-len(h.held)))
	for range cap(missing) {
		missing <- struct{}{}
	}
	close(missing)
	for worker := range loginsAtATime {
		workers.Go(func() {
			for range missing {
				if problems[worker] = h.session(ctx, query); problems[worker] != nil {
					return
				}
			}
		})
	}
	workers.Wait()
	return errors.Join(problems...)
}

// session connects, runs query to its end and keeps the connection.
func (h *holder) session(ctx context.Context, query string) error {
	conn, err := pgconn.ConnectConfig(ctx, h.config)
	if err != nil {
		return fmt.Errorf("open session: %w", err)
	}
	h.mu.Lock()
	h.held = append(h.held, conn)
	h.mu.Unlock()
	if _, err := conn.Exec(ctx, query).ReadAll(); err != nil {
		return fmt.Errorf("run query: %w", err)
	}
	return nil
}
