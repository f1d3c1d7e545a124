package spares

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// spareRig is Pool in a bubble, in front of an upstream that does what a test says.
type spareRig struct {
	*Pool
	t      *testing.T
	script func(net.Conn)

	mu       sync.Mutex
	answered chan struct{}                 // if not nil, a dial waits for it
	refused  bool                          // dials fail
	addr     net.Addr                      // where dials lead
	sick     func(age time.Duration) error // what a probe finds
	linger   time.Duration                 // that a close takes
	dials    int
	open     int // connections that pgorigin has not closed
	most     int
	beside   int // connections that were open at the last dial

	// What the hooks were told.
	uses   map[Use]int
	ends   map[End]int
	ages   map[End][]time.Duration
	pauses []time.Duration
}

// pipedConn is a connection of a rig.
type pipedConn struct {
	net.Conn
	rig  *spareRig
	addr net.Addr
	once sync.Once
}

func (c *pipedConn) RemoteAddr() net.Addr { return c.addr }

func (c *pipedConn) Close() error {
	c.once.Do(func() {
		var linger time.Duration
		c.rig.do(func() { linger = c.rig.linger })
		time.Sleep(linger)
		c.rig.mu.Lock()
		defer c.rig.mu.Unlock()
		c.rig.open--
	})
	return c.Conn.Close()
}

// inSpareBubble runs a test with count spares, which begin to be made with Start.
func inSpareBubble(t *testing.T, count int, change func(*tlsorigin.Config), test func(t *testing.T, r *spareRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ca := tlstest.NewCA("Test Root", tlstest.P256) // here, for its dates are the bubble's
		r := &spareRig{
			t: t, script: peertest.PipeServer(ca), addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 6432},
			sick: func(time.Duration) error { return nil },
			uses: map[Use]int{}, ends: map[End]int{}, ages: map[End][]time.Duration{},
		}
		d := newTestDialer(t, ca, func(c *tlsorigin.Config) {
			c.NetDial = r.netDial
			if change != nil {
				change(c)
			}
		}, "db.test:6432", "db.test:6433")
		r.Pool = New(d, count, Trace{Used: r.noteUse, Discarded: r.noteEnd, Paused: r.notePause})
		r.probe = r.examine
		t.Cleanup(func() {
			if err := errors.Join(r.Close(), d.Close()); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
		test(t, r)
	})
}

// Dial returns a *Spare if the pool has one, else a *tlsorigin.Conn, as a session gets it.
func (r *spareRig) Dial(ctx context.Context) (net.Conn, error) {
	if spare := r.Take(); spare != nil {
		return spare, nil
	}
	return r.fresh(ctx)
}

// replace is what a session does that got a dead spare.
func (r *spareRig) replace(ctx context.Context, spare *Spare) (net.Conn, error) {
	spare.Dead(ctx)
	return r.fresh(ctx)
}

func (r *spareRig) fresh(ctx context.Context) (net.Conn, error) {
	conn, err := r.dialer.Dial(ctx, nil)
	if err != nil {
		r.Failed(err)
		return nil, err
	}
	return conn, nil
}

func newTestDialer(t testing.TB, ca *tlstest.CA, change func(*tlsorigin.Config), addrs ...string) *tlsorigin.Dialer {
	t.Helper()
	cfg := tlsorigin.Config{Addrs: addrs, ServerName: peertest.Name, CAPEM: string(ca.PEM())}
	if change != nil {
		change(&cfg)
	}
	d, err := tlsorigin.NewDialer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (r *spareRig) netDial(ctx context.Context, network, addr string) (net.Conn, error) {
	var answered chan struct{}
	if r.do(func() { answered = r.answered }); answered != nil {
		select {
		case <-answered:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if addr == "db.test:6433" { // the second address is never the one
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	r.dials++
	r.beside = r.open
	if r.refused {
		return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	}
	near, _ := peertest.PipeTo(r.script)(ctx, network, addr)
	r.open++
	r.most = max(r.most, r.open)
	return &pipedConn{Conn: near, rig: r, addr: r.addr}, nil
}

// examine stands in for (*tlsorigin.Conn).CheckIdle, which needs a socket.
func (r *spareRig) examine(c *tlsorigin.Conn) error {
	var age time.Duration
	for _, spare := range r.ready { // the caller holds Pool.mu
		if spare != nil && spare.Conn == c {
			age = time.Since(spare.born)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sick(age)
}

func (r *spareRig) noteUse(use Use) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.uses[use]++
}

func (r *spareRig) noteEnd(end End, age time.Duration, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[end]++
	r.ages[end] = append(r.ages[end], age)
}

func (r *spareRig) notePause(_ error, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pauses = append(r.pauses, wait)
}

// do changes or reads what the mutex guards.
func (r *spareRig) do(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
}

// ended returns how many spares were discarded for that cause.
func (r *spareRig) ended(end End) (n int) {
	r.do(func() { n = r.ends[end] })
	return n
}

// agesAt returns the ages at which spares were discarded for that cause.
func (r *spareRig) agesAt(end End) (ages []time.Duration) {
	r.do(func() { ages = slices.Clone(r.ages[end]) })
	return ages
}

// dialled returns how often the upstream was dialled, and how many connections were open at one time.
func (r *spareRig) dialled() (dials, most int) {
	r.do(func() { dials, most = r.dials, r.most })
	return dials, most
}

// limit returns how old spares may become now.
func (r *spareRig) limit() time.Duration {
	r.Pool.mu.Lock()
	defer r.Pool.mu.Unlock()
	return r.age.limit(time.Now())
}

// pausedFor returns the pauses that were announced.
func (r *spareRig) pausedFor() (pauses []time.Duration) {
	r.do(func() { pauses = slices.Clone(r.pauses) })
	return pauses
}

// pass lets time pass, and what is due then happen.
func (r *spareRig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// takeOne dials and closes what comes of it when the bubble ends.
func (r *spareRig) takeOne() net.Conn {
	r.t.Helper()
	conn, err := r.Dial(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = conn.Close() })
	if spare, ok := conn.(*Spare); ok {
		spare.LoggedIn()
		time.Sleep(refillDelay)
	}
	return conn
}

// expectReady fails unless n spares are ready.
func (r *spareRig) expectReady(n int) {
	r.t.Helper()
	synctest.Wait()
	if got := r.Ready(); got != n {
		r.t.Errorf("%d spares are ready, want %d", got, n)
	}
}

// expectUses fails unless the hooks were told of so many hits, misses and duds.
func (r *spareRig) expectUses(hits, misses, duds int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.uses[Hit] != hits || r.uses[Miss] != misses || r.uses[Dead] != duds {
		r.t.Errorf("uses %v, want %d hits, %d misses and %d duds", r.uses, hits, misses, duds)
	}
}

// expectEnds fails unless exactly that many spares were discarded, all for that cause.
func (r *spareRig) expectEnds(end End, n int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ends[end] != n || (n > 0 && len(r.ends) != 1) || (n == 0 && len(r.ends) > 0) {
		r.t.Errorf("discarded %v, want %d for %s and no others", r.ends, n, end)
	}
}

// expectBetween fails unless all of ds are from low to high.
func expectBetween(t *testing.T, what string, ds []time.Duration, low, high time.Duration) {
	t.Helper()
	if len(ds) == 0 {
		t.Errorf("%s: there are none", what)
	}
	for _, d := range ds {
		if d < low || d > high {
			t.Errorf("%s: %v is not from %v to %v", what, d, low, high)
		}
	}
}

var errSick = errors.New("it is dead")
