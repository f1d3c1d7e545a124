//go:build stall

package stall

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/servers"
)

// offLoop is the metric of sessions that have a goroutine of their own because they are not on the event
// loop.
const offLoop = "pgorigin_sessions_off_loop"

// arrivals are the ways in which a hundred clients come: how many at once, and what each does behind its
// login.
var arrivals = []struct {
	name  string
	width int
	then  func(ctx context.Context, conn *pgconn.PgConn) error
}{
	{"one by one, idle", 1, nil},
	{"one by one, query", 1, query},
	{"all at once, idle", clients, nil},
	{"all at once, query", clients, query},
	{"all at once, pipeline", clients, pipeline},
}

const clients = 100

func query(ctx context.Context, conn *pgconn.PgConn) error {
	_, err := conn.Exec(ctx, "SELECT 1").ReadAll()
	return err
}

// pipeline sends three statements before it reads an answer.
func pipeline(ctx context.Context, conn *pgconn.PgConn) error {
	var batch pgconn.Batch
	for range 3 {
		batch.ExecParams("SELECT 1", nil, nil, nil, nil)
	}
	_, err := conn.ExecBatch(ctx, &batch).ReadAll()
	return err
}

// TestOffLoop: no session stays off the event loop, however it came. Off the loop it takes three times the
// memory.
func TestOffLoop(t *testing.T) {
	bouncer, err := shared.lab.PgBouncer(t.Context(), shared.postgres, servers.PgBouncerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\noff the loop, of ", clients)
	for _, arrival := range arrivals {
		fmt.Fprint(w, "\t", arrival.name)
	}
	for _, way := range ways[1:] {
		for upstream, addr := range map[string]string{"PostgreSQL": shared.postgres.Addr, "pgbouncer": bouncer.Addr} {
			fmt.Fprintf(w, "\n%s, %s", way, upstream)
			dsn, origin, err := reach(t.Context(), way, addr)
			if err != nil {
				t.Fatal(err)
			}
			for _, arrival := range arrivals {
				told, conns := logInMany(t.Context(), dsn, clients, arrival.width, arrival.then)
				if len(conns) != clients {
					t.Errorf("%s, %s, %s: %s", way, upstream, arrival.name, tally(told))
				}
				n, err := rest(t.Context(), origin)
				if err != nil {
					t.Errorf("%s, %s, %s: %v", way, upstream, arrival.name, err)
				}
				fmt.Fprintf(w, "\t%d", n)
				closeAll(conns)
			}
			origin.Stop()
		}
	}
	fmt.Fprintln(w)
	_ = w.Flush() // to memory
	t.Log(text.String())
}

// rest waits until no session is off the loop, and returns how many stay there.
func rest(ctx context.Context, origin *servers.Origin) (n int, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	err = servers.Poll(ctx, func() error {
		_, body, err := origin.Get(ctx, "/metrics")
		if err != nil {
			return err
		}
		found := false
		n = 0
		for line := range strings.Lines(body) {
			if !strings.HasPrefix(line, offLoop) {
				continue
			}
			words := strings.Fields(line)
			value, err := strconv.ParseFloat(words[len(words)-1], 64)
			if err != nil {
				return err
			}
			found, n = true, n+int(value)
		}
		if !found {
			return errors.New("there is no metric " + offLoop)
		}
		if n > 0 {
			return fmt.Errorf("%d sessions are off the loop", n)
		}
		return nil
	})
	return n, err
}
