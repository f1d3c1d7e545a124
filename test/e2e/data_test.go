package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgorigin/pgorigin/test/servers"
)

// copySize is how much goes through COPY, each way.
const copySize = 200 << 20

// copyRows makes rows of COPY text, every one different, until size is reached.
type copyRows struct {
	noise []byte // printable
	size  int
	row   int
	rest  []byte
}

func newCopyRows(size int) *copyRows {
	random := rand.NewChaCha8([32]byte{'p', 'g'})
	noise := make([]byte, 1<<16)
	_, _ = random.Read(noise) // never fails
	for i := range noise {
		noise[i] = 'A' + noise[i]%26
	}
	return &copyRows{noise: noise, size: size}
}

func (c *copyRows) Read(p []byte) (int, error) {
	if len(c.rest) == 0 {
		if c.size <= 0 {
			return 0, io.EOF
		}
		from := (c.row * 97) % (len(c.noise) - 1900)
		c.rest = fmt.Appendf(nil, "%08d%s\n", c.row, c.noise[from:from+1900])
		c.row++
		c.size -= len(c.rest)
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func TestCopyBothWays(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		const table = "copied"
		conn := connect(ctx, t, origin.Addr)
		// Plain storage: rows are kept as they are, in the order in which they came.
		mustExec(ctx, t, conn, "CREATE UNLOGGED TABLE "+table+" (line text)", "ALTER TABLE "+table+" ALTER line SET STORAGE PLAIN")
		in, out := sha256.New(), sha256.New()
		start := time.Now()
		tag, err := conn.PgConn().CopyFrom(ctx, io.TeeReader(newCopyRows(copySize), in), "COPY "+table+" FROM STDIN")
		if err != nil {
			t.Fatalf("copy in: %v", err)
		}
		between := time.Now()
		counted := &counter{w: out}
		if _, err := conn.PgConn().CopyTo(ctx, counted, "COPY "+table+" TO STDOUT"); err != nil {
			t.Fatalf("copy out: %v", err)
		}
		t.Logf("%d rows, %d bytes: in %.1f s, out %.1f s", tag.RowsAffected(), counted.n,
			between.Sub(start).Seconds(), time.Since(between).Seconds())
		if counted.n < copySize || !bytes.Equal(in.Sum(nil), out.Sum(nil)) {
			t.Errorf("%d bytes came back with hash %x, sent was %x", counted.n, out.Sum(nil), in.Sum(nil))
		}
		mustExec(ctx, t, conn, "DROP TABLE "+table)
	})
}

type counter struct {
	w io.Writer
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return c.w.Write(p)
}

func mustExec(ctx context.Context, t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, statement := range statements {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("run %q: %v", statement, err)
		}
	}
}

// A notification reaches a session that has been idle for longer than any login timeout, and only that one.
func TestNotifyWhileIdle(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	origin := startOrigin(t, shared.postgres.Addr, "PGORIGIN_LOGIN_TIMEOUT=4s", "PGORIGIN_DIAL_TIMEOUT=4s")
	conn := connect(ctx, t, origin.Addr)
	mustExec(ctx, t, conn, "LISTEN news")
	sent := make(chan error, 1)
	go func() {
		_, err := shared.postgres.Exec(ctx, "DO $$ BEGIN PERFORM pg_sleep(5); PERFORM pg_notify('news', 'hello'); END $$")
		sent <- err
	}()
	notification, err := conn.WaitForNotification(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if notification.Channel != "news" || notification.Payload != "hello" {
		t.Errorf("got %+v", notification)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestLargeValues(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		conn := connect(ctx, t, origin.Addr)
		value := make([]byte, 8<<20)
		_, _ = rand.NewChaCha8([32]byte{'8'}).Read(value) // never fails
		for range 3 {
			if got := ask[[]byte](ctx, t, conn, "SELECT $1::bytea", value); !bytes.Equal(got, value) {
				t.Fatalf("%d bytes came back changed", len(got))
			}
		}
		if got := ask[string](ctx, t, conn, "SELECT repeat('x', 64 << 20)"); len(got) != 64<<20 || strings.Trim(got, "x") != "" {
			t.Errorf("%d bytes came back changed", len(got))
		}
	})
}

// A pipeline whose questions and answers are both larger than every buffer on the way: whoever waits for one direction
// before serving the other would hang.
func TestPipeline(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		conn := connect(ctx, t, origin.Addr)
		const queries, width = 2000, 10_000
		batch := &pgx.Batch{}
		for i := range queries {
			batch.Queue("SELECT $1::int, $2::text", i, strings.Repeat("v", width))
		}
		results := conn.SendBatch(ctx, batch)
		for i := range queries {
			var number int
			var text string
			if err := results.QueryRow().Scan(&number, &text); err != nil {
				t.Fatalf("query %d: %v", i, err)
			}
			if number != i || len(text) != width {
				t.Fatalf("query %d answered %d with %d bytes", i, number, len(text))
			}
		}
		if err := results.Close(); err != nil {
			t.Error(err)
		}
	})
}

// In session pooling each session holds a backend of its own from its first query until it leaves. The race detector
// makes a P-521 signature cost 30 ms to verify, so that two hundred handshakes at once need more than the usual timeout.
func TestTwoHundredSessions(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		const sessions = 200
		pids := make([]int32, sessions)
		var asked, left sync.WaitGroup
		asked.Add(sessions)
		for i := range pids {
			left.Go(func() {
				conn, err := pgx.Connect(ctx, servers.DSN(origin.Addr))
				if err != nil {
					t.Errorf("log in: %v", err)
					asked.Done()
					return
				}
				if err := conn.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pids[i]); err != nil {
					t.Errorf("ask: %v", err)
				}
				asked.Done()
				asked.Wait() // nobody leaves before all are in
				if err := conn.Close(ctx); err != nil {
					t.Errorf("leave: %v", err)
				}
			})
		}
		left.Wait()
		slices.Sort(pids)
		if distinct := len(slices.Compact(pids)); distinct != sessions {
			t.Errorf("%d sessions had %d backends at the same time", sessions, distinct)
		}
	}, "PGORIGIN_DIAL_TIMEOUT=60s")
}

// Small transactions on many connections, by the simple and by the extended protocol.
func TestPgbench(t *testing.T) {
	eachUpstream(t, func(ctx context.Context, t *testing.T, origin *servers.Origin) {
		for _, args := range [][]string{
			{"-i", "-q", "-s", "1"},
			{"-n", "-S", "-c", "20", "-j", "2", "-t", "50"},
			{"-n", "-S", "-c", "10", "-j", "2", "-t", "50", "-M", "prepared"},
		} {
			out, err := shared.lab.Pgbench(ctx, servers.DSN(origin.Addr), args...).CombinedOutput()
			if err != nil || strings.Contains(string(out), "aborted") {
				t.Fatalf("pgbench %s: %v\n%s", args, err, out)
			}
		}
	})
}
