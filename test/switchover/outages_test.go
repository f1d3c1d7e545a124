//go:build switchover

package switchover

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/test/servers"
)

const (
	// gone is how long each upstream is away.
	gone = 6 * time.Second
	// gently is the number of connections a second. All outages are side by side.
	gently = 8
)

// outage is one way of being away.
type outage struct {
	name string
	// begin takes the upstream away, and end brings it back.
	begin, end func() error
	// host is how clients know the upstream; empty means by its address.
	host string
	// addr is what pgorigin dials; empty means the upstream itself.
	addr string
}

// TestOutages takes an upstream away in different ways.
func TestOutages(t *testing.T) {
	t.Parallel()
	shared.dials.watch(t)
	makers := []func(t *testing.T, addr string, b *servers.PgBouncer) outage{
		func(t *testing.T, _ string, b *servers.PgBouncer) outage {
			return outage{
				name:  "stopped (refused)",
				begin: func() error { b.Stop(); return nil }, end: func() error { return b.Start(t.Context()) },
			}
		},
		func(_ *testing.T, addr string, _ *servers.PgBouncer) outage {
			return outage{
				name:  "silence (DROP)",
				begin: func() error { return cut(silence, addr) }, end: func() error { return mend(silence, addr) },
			}
		},
		func(_ *testing.T, addr string, _ *servers.PgBouncer) outage {
			return outage{
				name:  "unreachable (ICMP)",
				begin: func() error { return cut(unreachable, addr) }, end: func() error { return mend(unreachable, addr) },
			}
		},
		func(t *testing.T, _ string, b *servers.PgBouncer) outage {
			t.Cleanup(func() { _ = b.Signal(syscall.SIGCONT) })
			return outage{
				name:  "hang (SIGSTOP)",
				begin: func() error { return b.Signal(syscall.SIGSTOP) }, end: func() error { return b.Signal(syscall.SIGCONT) },
			}
		},
		func(t *testing.T, addr string, _ *servers.PgBouncer) outage {
			balancer := addr[:strings.LastIndex(addr, ".")] + ".8"
			b := startBalancer(t, balancer+":"+bouncerPort, addr+":"+bouncerPort)
			return outage{
				name: "load balancer without servers (reset)", addr: balancer,
				begin: func() error { b.empty.Store(true); return nil }, end: func() error { b.empty.Store(false); return nil },
			}
		},
		func(_ *testing.T, addr string, _ *servers.PgBouncer) outage {
			const host = "outage.pgorigin.test"
			shared.names.set(host, addr)
			return outage{
				name: "name does not exist (DNS)", host: host,
				begin: func() error { shared.names.set(host); return nil },
				end:   func() error { shared.names.set(host, addr); return nil },
			}
		},
	}
	rows := make([][]string, len(makers))
	var all sync.WaitGroup
	for i, make := range makers {
		addr := ip(netOutages+i, 1)
		b, err := startBouncer(t.Context(), addr)
		must(t, err)
		o := make(t, addr, b)
		if o.addr == "" {
			o.addr = addr
		}
		must(t, shared.dials.count(o.addr))
		all.Go(func() { rows[i] = o.run(t) })
	}
	all.Wait()
	tab := newTable("outage", "away", "connects", "failed", "severed", "before p50/p99/max", "away p50/p99/max", "back p50/p99/max",
		"dials/s, mean (peak)")
	for _, row := range rows {
		tab.row(row...)
	}
	t.Logf("\n%d connections a second%s", gently, tab)
}

func (o outage) run(t *testing.T) []string {
	host := o.host
	if host == "" {
		host = o.addr
	}
	origin, err := startOrigin(t, host+":"+bouncerPort)
	if err != nil {
		t.Error(err)
		return nil
	}
	load := load{connect: byPgx(through(origin.Addr))}
	until := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() { load.run(t.Context(), gently, until) })
	pause(t.Context(), warmUp)
	began := time.Now()
	err = o.begin()
	pause(t.Context(), gone)
	err = errors.Join(err, o.end())
	ended := time.Now()
	pause(t.Context(), settled)
	close(until)
	over := time.Now()
	running.Wait()

	lasted := ended.Sub(began)
	before, away := sum(load.results, endedBy(began)), sum(load.results, touching(began, ended))
	all := sum(load.results, begun(time.Time{}, over))
	mean, peak := shared.dials.between(o.addr, began.Add(time.Second), ended)
	if err != nil {
		t.Errorf("%s: %v", o.name, err)
	}
	if n := all.told[failed]; n > 0 {
		t.Errorf("%s: %d connections failed, for instance: %v", o.name, n, all.example)
	}
	if limit := limit(lasted, away.n, gently); away.p99 > limit {
		t.Errorf("%s: p99 is %s s, want at most %s s", o.name, seconds(away.p99), seconds(limit))
	}
	if peak > dialsBound {
		t.Errorf("%s: %.0f dials in one second, want %d", o.name, peak, dialsGoal)
	}
	return []string{
		o.name, seconds(lasted), fmt.Sprint(all.n), fmt.Sprint(all.told[failed]), fmt.Sprint(all.told[severed]),
		before.times(), away.times(), sum(load.results, begun(ended, over)).times(), fmt.Sprintf("%.1f (%.0f)", mean, peak),
	}
}

// balancer hands connections on. While it is empty, it resets them.
type balancer struct{ empty atomic.Bool }

func startBalancer(t *testing.T, addr, server string) *balancer {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	must(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	b := &balancer{}
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			go b.serve(client, server)
		}
	}()
	return b
}

func (b *balancer) serve(client net.Conn, server string) {
	defer func() { _ = client.Close() }()
	if tcp, ok := client.(*net.TCPConn); ok && b.empty.Load() {
		_ = tcp.SetLinger(0) // Close sends a reset
		return
	}
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer func() { _ = upstream.Close() }()
	go func() {
		_, _ = io.Copy(upstream, client)
		_ = upstream.Close()
	}()
	_, _ = io.Copy(client, upstream)
}
