//go:build switchover

package switchover

import (
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

// noticing is how long pgorigin may take to notice a bad address.
const noticing = time.Second

// steadyLimit is for the p99 of connecting to a name with a bad address that pgorigin has noticed. good, measured
// while all addresses are good, shows how busy the machine is.
func steadyLimit(good figures) time.Duration {
	// CI runs other suites beside this one. Without a memory of silent addresses, it is 4 s.
	const steady, busy = 300 * time.Millisecond, 3 * time.Second
	if *strict {
		return steady
	}
	return max(busy, 4*good.p99)
}

// stage is a time in which nothing changes.
type stage struct {
	name  string
	began time.Time
}

// TestRestarts restarts three pgbouncers behind one name, one after the other. One of them hangs, and another
// one vanishes, while the first one serves.
func TestRestarts(t *testing.T) {
	t.Parallel()
	const name = "bouncers.pgorigin.test"
	var ips []string
	var bouncers []*servers.PgBouncer
	for i := range 3 {
		ips = append(ips, ip(netRestarts, i+1))
		b, err := startBouncer(t.Context(), ips[i])
		must(t, err)
		t.Cleanup(func() { _ = b.Signal(syscall.SIGCONT) }) // it may be gone
		bouncers = append(bouncers, b)
	}
	shared.names.set(name, ips...)
	must(t, shared.dials.count(ips...))
	shared.dials.watch(t)
	o, err := startOrigin(t, name+":"+bouncerPort)
	must(t, err)
	load := load{connect: byPgx(through(o.Addr))}
	until := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { load.run(t.Context(), *rate, until) })

	var stages []stage
	last := func(name string, change func() error, lasts time.Duration) {
		stages = append(stages, stage{name, time.Now()})
		must(t, change())
		pause(t.Context(), lasts)
	}
	last("all work", func() error { return nil }, 3*time.Second)
	for i, b := range bouncers {
		last(fmt.Sprintf("%d is stopped", i+1), func() error { b.Stop(); return nil }, 2*time.Second)
		last(fmt.Sprintf("%d is back", i+1), func() error { return b.Start(t.Context()) }, 2*time.Second)
	}
	last("2 hangs", func() error { return bouncers[1].Signal(syscall.SIGSTOP) }, 5*time.Second)
	last("3 vanishes, too", func() error { return cut(silence, ips[2]) }, 5*time.Second)
	last("2 goes on", func() error { return bouncers[1].Signal(syscall.SIGCONT) }, 3*time.Second)
	last("3 is back", func() error { return mend(silence, ips[2]) }, 3*time.Second)
	stages = append(stages, stage{"end", time.Now()})
	close(until)
	running.Wait()

	tab := newTable("stage", "connects", "failed", "severed, lost", "first second p50/p99/max", "then p50/p99/max",
		"dials/s by address, mean")
	for i, s := range stages[:len(stages)-1] {
		end := stages[i+1].began
		// A connection that the change interrupts belongs to the first second, and to that of the next stage.
		first := sum(load.results, func(r result) bool {
			interrupted := begun(s.began.Add(-noticing), s.began)(r) && touching(s.began, end)(r)
			return interrupted || begun(s.began, s.began.Add(noticing))(r)
		})
		then := sum(load.results, func(r result) bool {
			interrupted := begun(end.Add(-noticing), end)(r) && !endedBy(end)(r)
			return !interrupted && begun(s.began.Add(noticing), end)(r)
		})
		var means []string
		for _, addr := range ips {
			mean, _ := shared.dials.between(addr, s.began, end)
			means = append(means, fmt.Sprintf("%.0f", mean))
		}
		count := func(what told) int { return first.told[what] + then.told[what] }
		tab.row(s.name, fmt.Sprint(first.n+then.n), fmt.Sprint(count(failed)), fmt.Sprint(count(severed)+count(lost)),
			first.times(), then.times(), strings.Join(means, ", "))
		if n := count(failed); n > 0 {
			t.Errorf("%s: %d connections failed, for instance: %v, %v", s.name, n, first.example, then.example)
		}
		if limit := steadyLimit(sum(load.results, endedBy(stages[1].began))); then.p99 > limit {
			t.Errorf("%s: after the first second, p99 is %s s, want %s s", s.name, seconds(then.p99), seconds(limit))
		}
	}
	t.Logf("\nthree pgbouncers behind one name, %d connections a second%s", *rate, tab)
}
