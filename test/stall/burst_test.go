//go:build stall

package stall

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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
			before := p.memory("rss")
			first, kept := logInMany(t.Context(), servers.DSN(p.addr), sessions, atOnce, nil)
			steady := p.memory("rss")
			second, burst := logInMany(t.Context(), servers.DSN(p.addr), logins, logins, nil)
			living := alive(t.Context(), kept)
			closeAll(burst)
			pause(t.Context(), time.Minute)
			after := p.memory("rss")
			lives := "lives"
			select {
			case <-p.ended:
				lives = "killed"
			default:
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%d of %d\t%d MiB", peer, tally(first), tally(second), living, len(kept), p.memory("peak")>>20)
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
			if peak := p.memory("peak"); peak > memoryLimit*95/100 {
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

	group string
}

// startConfined starts pgorigin in a mode, or stunnel, in front of upstream and with little memory.
func startConfined(t *testing.T, peer, upstream string) confined {
	t.Helper()
	c := confined{group: makeGroup(t)}
	// A shell puts itself into the group, and becomes the program.
	script := filepath.Join(shared.lab.Dir(), "confine-"+peer)
	program := shared.binary
	if peer == "stunnel" {
		var err error
		if program, err = exec.LookPath("stunnel"); err != nil {
			t.Fatal(err)
		}
	}
	text := "#!/bin/sh\necho $$ > " + filepath.Join(c.group, "cgroup.procs") + " && exec " + program + ` "$@"` + "\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	var p *servers.Process
	var err error
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

// makeGroup makes a control group with a memory limit, of either version.
func makeGroup(t *testing.T) string {
	t.Helper()
	parent, limit := "/sys/fs/cgroup", "memory.max"
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err == nil {
		parent, limit = "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	}
	group, err := os.MkdirTemp(parent, "pgorigin-burst-")
	if err != nil {
		t.Fatalf("make a control group, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile(filepath.Join(group, limit), []byte(strconv.Itoa(memoryLimit)), 0o644); err != nil {
		t.Fatal(err)
	}
	return group
}

// memory reads what the group takes: "rss" is anonymous memory now, "peak" the most of all kinds so far. It
// is 0 if the kernel does not say.
func (c confined) memory(what string) int {
	if what == "rss" {
		text, _ := os.ReadFile(filepath.Join(c.group, "memory.stat")) // none is 0
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == "rss" || name == "anon" {
				n, _ := strconv.Atoi(value)
				return n
			}
		}
		return 0
	}
	for _, name := range []string{"memory.peak", "memory.max_usage_in_bytes"} {
		if text, err := os.ReadFile(filepath.Join(c.group, name)); err == nil {
			n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
			return n
		}
	}
	return 0
}
