//go:build stall

package stall

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgorigin/pgorigin/test/servers"
)

// The burst, and the memory that there is for it.
const (
	sessions    = 2000
	logins      = 2000 // at once, on top of the sessions
	memoryLimit = 64 << 20
	// atOnce is how many of the sessions log in at the same time.
	atOnce = 50
	// patience is how long a client of the burst waits.
	patience = 90 * time.Second
)

// TestBurst is a storm of logins under a memory limit. Nobody who is connected may lose the session, and
// everybody else is told why not. The table shows stunnel under the same limit beside pgorigin.
func TestBurst(t *testing.T) {
	bouncer, err := shared.lab.PgBouncer(t.Context(), shared.postgres, servers.PgBouncerOptions{
		PoolMode: "transaction",
		Settings: []string{
			"max_client_conn = 19000", "listen_backlog = 4096", "query_wait_timeout = 0",
			"verbose = 0", "log_connections = 0", "log_disconnections = 0",
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "\nunder 64 MiB\tsessions were told\tthe burst was told\tsessions that live on\tpeak")
	fmt.Fprintln(w, "\ta minute later\tprocess")
	for _, peer := range []string{"strip", "bridge", "spares", "stunnel"} {
		t.Run(peer, func(t *testing.T) {
			p := startConfined(t, peer, bouncer.Addr)
			before := p.group.Anonymous()
			first, kept := logInMany(t.Context(), servers.DSN(p.addr), sessions, atOnce, nil)
			steady := p.group.Anonymous()
			second, burst := logInMany(t.Context(), servers.DSN(p.addr), logins, logins, nil)
			living := alive(t.Context(), kept)
			closeAll(burst)
			pause(t.Context(), time.Minute)
			after := p.group.Anonymous()
			lives := "lives"
			select {
			case <-p.ended:
				lives = "killed"
			default:
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d of %d\t%d MiB", peer, tally(first), tally(second), living, len(kept), p.group.Peak()>>20)
			fmt.Fprintf(w, "\t%d MiB, %d before the burst, %d at rest\t%s\n", after>>20, steady>>20, before>>20, lives)
			closeAll(kept)
			if peer == "stunnel" {
				return
			}
			if living != len(kept) || lives != "lives" {
				t.Errorf("%d of %d sessions live on, pgorigin %s; its log ends with:\n%s", living, len(kept), lives, p.log())
			}
			delete(second, "closed") // a client that a busy machine keeps silent makes room for others
			for what, n := range sum(first, second) {
				if what != "ok" && what != "53300" {
					t.Errorf("%d clients were told %s, want a session or SQLSTATE 53300", n, what)
				}
			}
			if peak := p.group.Peak(); peak > memoryLimit*95/100 {
				t.Errorf("at its peak it took %d MiB of 64", peak>>20)
			}
			if after > steady+8<<20 {
				t.Errorf("a minute after the burst it has %d MiB, %d before it", after>>20, steady>>20)
			}
		})
	}
	_ = w.Flush() // to memory
	t.Log(text.String())
}

// logInMany logs in n clients, width at a time, who then call then, unless that is nil. It returns what they
// were told, and the connections of those who got in.
func logInMany(
	ctx context.Context, dsn string, n, width int, then func(context.Context, *pgconn.PgConn) error,
) (told map[string]int, conns []*pgconn.PgConn) {
	var mu sync.Mutex
	var all sync.WaitGroup
	told = map[string]int{}
	turns := make(chan struct{}, width)
	for range n {
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			ctx, cancel := context.WithTimeout(ctx, patience)
			defer cancel()
			conn, err := pgconn.Connect(ctx, dsn+" connect_timeout=0")
			if err == nil && then != nil {
				err = then(ctx, conn)
			}
			mu.Lock()
			defer mu.Unlock()
			var answer *pgconn.PgError
			switch {
			case err == nil:
				told["ok"]++
				conns = append(conns, conn)
			case errors.As(err, &answer):
				told[answer.Code]++
			case ctx.Err() != nil:
				told["nothing"]++
			case errors.Is(err, syscall.ECONNREFUSED):
				told["refused"]++
			default:
				told["closed"]++
			}
		})
	}
	all.Wait()
	return told, conns
}

// alive counts the connections on which a query is answered.
func alive(ctx context.Context, conns []*pgconn.PgConn) (n int) {
	for _, conn := range conns {
		ctx, cancel := context.WithTimeout(ctx, patience)
		if _, err := conn.Exec(ctx, "SELECT 1").ReadAll(); err == nil {
			n++
		}
		cancel()
	}
	return n
}

func closeAll(conns []*pgconn.PgConn) {
	for _, conn := range conns {
		_ = conn.Conn().Close()
	}
}

func sum(a, b map[string]int) map[string]int {
	both := maps.Clone(a)
	for what, n := range b {
		both[what] += n
	}
	return both
}

func tally(told map[string]int) string {
	var words []string
	for _, what := range slices.Sorted(maps.Keys(told)) {
		words = append(words, fmt.Sprintf("%d %s", told[what], what))
	}
	return strings.Join(words, ", ")
}

// confined is a process in a control group of its own.
type confined struct {
	addr  string
	ended <-chan struct{}
	log   func() string

	group servers.MemoryGroup
}

// startConfined starts pgorigin in a mode, or stunnel, in front of upstream and with little memory.
func startConfined(t *testing.T, peer, upstream string) confined {
	t.Helper()
	group, err := servers.NewMemoryGroup(memoryLimit)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := group.Remove(); err != nil {
			t.Error(err)
		}
	})
	c := confined{group: group}
	program := shared.binary
	if peer == "stunnel" {
		if program, err = exec.LookPath("stunnel"); err != nil {
			t.Fatal(err)
		}
	}
	script, err := group.Confine(shared.lab.Dir(), program)
	if err != nil {
		t.Fatal(err)
	}
	var p *servers.Process
	if peer == "stunnel" {
		p, c.addr, err = shared.lab.StunnelBy(t.Context(), script, upstream)
	} else {
		var origin *servers.Origin
		// The machine may be busy.
		env := []string{"PGORIGIN_LOG_LEVEL=warn", "PGORIGIN_DIAL_TIMEOUT=80s", "PGORIGIN_LOGIN_TIMEOUT=80s"}
		origin, err = shared.lab.Origin(t.Context(), script, upstream, append(env, modes[peer]...)...)
		if err == nil {
			p, c.addr = origin.Process, origin.Addr
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	c.ended, c.log = p.Ended(), func() string { return p.Log.Tail(10) }
	return c
}
