//go:build switchover

package switchover

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/servers"
)

// told is what came of one connection.
type told string

const (
	served told = "served" // logged in, and had a query answered
	failed told = "failed" // before the client got a first message of the server's
	// severed: between that message and ReadyForQuery. A proxy that does not log in itself, as in the mode
	// strip, cannot save it: the client's part of the proof is for that connection alone.
	severed told = "severed"
	lost    told = "lost" // after ReadyForQuery, as in every session that ends with its server
)

// result is one connection.
type result struct {
	began time.Time
	took  time.Duration
	told  told
	err   error
}

// connector connects once, and asks for an answer.
type connector func(ctx context.Context) result

// watched notes the type of the first message from the server.
type watched struct {
	net.Conn
	first byte
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if n > 0 && w.first == 0 {
		w.first = p[0]
	}
	return n, err
}

// logIn connects by pgx.
func logIn(ctx context.Context, dsn string) (*pgconn.PgConn, result) {
	r := result{began: time.Now()}
	conn, told, err := tryLogIn(ctx, dsn)
	r.took, r.told, r.err = time.Since(r.began), told, err
	return conn, r
}

func tryLogIn(ctx context.Context, dsn string) (*pgconn.PgConn, told, error) {
	config, err := pgconn.ParseConfig(dsn + " connect_timeout=0")
	if err != nil {
		return nil, failed, err
	}
	var seen watched
	config.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		seen.Conn = conn
		return &seen, err
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		const authentication = 'R'
		if seen.first == authentication {
			return nil, severed, err
		}
		return nil, failed, err
	}
	if _, err := conn.Exec(ctx, "SELECT 1").ReadAll(); err != nil {
		_ = conn.Conn().Close()
		return nil, lost, err
	}
	return conn, served, nil
}

// byPgx connects to addr by pgx.
func byPgx(dsn string) connector {
	return func(ctx context.Context) result {
		conn, r := logIn(ctx, dsn)
		if conn != nil {
			_ = conn.Close(ctx)
		}
		return r
	}
}

// byLibpq connects by libpq, in a psql. The time has the start of a process in it.
func byLibpq(dsn string) connector {
	return func(ctx context.Context) result {
		r := result{began: time.Now(), told: served}
		out, err := shared.lab.Psql(ctx, dsn, "-Atc", "SELECT 1").CombinedOutput()
		r.took = time.Since(r.began)
		var exit *exec.ExitError
		switch {
		case errors.As(err, &exit):
			r.told, r.err = failed, fmt.Errorf("%s", strings.Join(strings.Fields(string(out)), " "))
		case err != nil:
			r.told, r.err = failed, err
		}
		return r
	}
}

// load begins new connections at a steady pace, whatever becomes of them.
type load struct {
	connect connector

	mu      sync.Mutex
	results []result
}

// run ends with the last connection that was begun before until was closed.
func (l *load) run(ctx context.Context, perSecond int, until <-chan struct{}) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		select {
		case <-tick.C:
		case <-until:
			return
		}
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			l.add(l.connect(ctx))
		})
	}
}

func (l *load) add(r result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.results = append(l.results, r)
}

// pool has sessions that ask something now and then. It connects anew when one ends, as pools do.
type pool struct {
	dsn string
	load
	losses int
}

func (p *pool) run(ctx context.Context, size int, until <-chan struct{}) {
	var all sync.WaitGroup
	for range size {
		all.Go(func() { p.hold(ctx, until) })
	}
	all.Wait()
}

func (p *pool) hold(ctx context.Context, until <-chan struct{}) {
	var conn *pgconn.PgConn
	for {
		ctx, cancel := context.WithTimeout(ctx, patience)
		if conn == nil {
			var r result
			conn, r = logIn(ctx, p.dsn)
			p.add(r)
		} else if _, err := conn.Exec(ctx, "SELECT 1").ReadAll(); err != nil {
			_ = conn.Conn().Close()
			conn = nil
			p.mu.Lock()
			p.losses++
			p.mu.Unlock()
			cancel()
			continue // at once
		}
		cancel()
		select {
		case <-time.After(100*time.Millisecond + rand.N(20*time.Millisecond)):
		case <-until:
			if conn != nil {
				_ = conn.Conn().Close()
			}
			return
		}
	}
}

// figures sum up connections.
type figures struct {
	n             int
	told          map[told]int
	p50, p99, max time.Duration
	example       error // of a failure
}

// endedBy, touching and begun choose connections for sum. A connection that lasts beyond a change does not count
// as one from before the change.
func endedBy(t time.Time) func(result) bool {
	return func(r result) bool { return r.began.Add(r.took).Before(t) }
}

func touching(from, to time.Time) func(result) bool {
	return func(r result) bool { return r.began.Before(to) && !endedBy(from)(r) }
}

func begun(from, to time.Time) func(result) bool {
	return func(r result) bool { return !r.began.Before(from) && r.began.Before(to) }
}

// sum sums up the connections that are chosen.
func sum(results []result, chosen func(result) bool) figures {
	f := figures{told: map[told]int{}}
	var times []time.Duration
	for _, r := range results {
		if !chosen(r) {
			continue
		}
		f.n++
		f.told[r.told]++
		times = append(times, r.took)
		if r.told == failed || f.example == nil && r.told != served {
			f.example = r.err
		}
	}
	if f.n == 0 {
		return f
	}
	slices.Sort(times)
	f.p50, f.p99, f.max = times[f.n/2], times[f.n*99/100], times[f.n-1]
	return f
}

func (f figures) times() string {
	if f.n == 0 {
		return "none"
	}
	return seconds(f.p50) + " / " + seconds(f.p99) + " / " + seconds(f.max)
}

func seconds(d time.Duration) string {
	return fmt.Sprintf("%.3f", d.Seconds())
}

// table is text in columns.
type table struct {
	text strings.Builder
	w    *tabwriter.Writer
}

func newTable(head ...string) *table {
	t := &table{}
	t.w = tabwriter.NewWriter(&t.text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(&t.text)
	t.row(head...)
	return t
}

func (t *table) row(cells ...string) { fmt.Fprintln(t.w, strings.Join(cells, "\t")) }

func (t *table) String() string {
	_ = t.w.Flush() // to memory
	return t.text.String()
}

// through is the connection string for clients of a sidecar.
func through(addr string) string { return servers.DSN(addr) }
