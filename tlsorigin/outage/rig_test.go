package outage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin"
)

// health is how an address of the rig behaves.
type health string

const (
	fine     health = "fine"
	refused  health = "refused"  // TCP
	dropped  health = "dropped"  // nothing answers
	hung     health = "hung"     // TCP, and no more
	distrust health = "distrust" // its certificate is wrong
	starting health = "starting" // verified, and refuses logins
	ending   health = "ending"   // verified, and ends the connection
	mute     health = "mute"     // verified, and answers no login
	lacking  health = "lacking"  // this machine has no descriptor for it
)

const dialTimeout = 10 * time.Second

var (
	errStarting = errors.New("57P03: the database system is starting up")
	errEnded    = errors.New("ended without a message")
)

// rig is an upstream that does as it is told, and its clients.
type rig struct {
	*Line
	t *testing.T

	mu       sync.Mutex
	at       map[string]health // by address, which is a name
	unready  map[string]bool   // by address
	lastByte time.Time
	dnsGone  bool
	latency  time.Duration // of a dial that succeeds
	open     map[*tlsorigin.Conn]string
	probes   map[string][]time.Time
	dials    int   // of clients
	began    []int // clients, as they began to dial
	atOnce   int   // of these
	most     int   // of atOnce
	served   []int
	failed   map[int]error
	took     map[int]time.Duration
	arrivals map[int]uint64
	wide     func(int) // called with 1 at the begin of aside, with -1 at its end; may be nil
	lost     []int     // clients that ended with an error of their own context

	away, back, hopelessly int
	lasted                 time.Duration // of the latest outage that ended with back
	forgotten              atomic.Int32
	waits                  []error
	stop                   func() // ends heardEvery; may be nil
	clients                sync.WaitGroup
}

type name string

func (n name) Network() string { return "tcp" }
func (n name) String() string  { return string(n) }

func addr(of string) *tlsorigin.Addr { return &tlsorigin.Addr{TCP: name(of), Host: of} }

// inBubble runs a test with an upstream of these addresses. When it ends, nothing may be left.
func inBubble(t *testing.T, wait time.Duration, addresses []string, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := &rig{
			t: t, at: map[string]health{}, open: map[*tlsorigin.Conn]string{}, probes: map[string][]time.Time{},
			unready: map[string]bool{}, failed: map[int]error{}, arrivals: map[int]uint64{}, took: map[int]time.Duration{}, latency: 5 * time.Millisecond,
		}
		for _, a := range addresses {
			r.at[a] = fine
		}
		r.Line = newLine(r, Options{Wait: wait, Trace: r.trace()})
		test(t, r)
		_ = r.Close()
		if r.stop != nil {
			r.stop()
		}
		r.clients.Wait()
		if n := r.Waiting(); n != 0 {
			t.Errorf("%d clients wait at the end", n)
		}
		r.Line.mu.Lock()
		if r.queue.Len() > 0 || r.Line.pending.Len() > 0 || r.prober != nil {
			t.Errorf("%d in line, %d dial, prober %v", r.queue.Len(), r.Line.pending.Len(), r.prober)
		}
		r.Line.mu.Unlock()
		if len(r.open) > 0 {
			t.Errorf("%d connections are open at the end", len(r.open))
		}
	})
}

func (r *rig) trace() Trace {
	return Trace{
		Away: func(error) { r.away++ },
		Back: func(lasted time.Duration, _ int) {
			r.back++
			r.lasted = lasted
		},
		Forgotten: func(time.Duration) { r.forgotten.Add(1) },
		Hopeless:  func(*tlsorigin.Error, time.Duration, int) { r.hopelessly++ },
		Waited:    func(_ time.Duration, err error) { r.waits = append(r.waits, err) },
	}
}

// set makes all addresses behave like that.
func (r *rig) set(h health, of ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for a := range r.at {
		if len(of) == 0 || slices.Contains(of, a) {
			r.at[a] = h
		}
	}
}

// slow makes every dial that succeeds take so long.
func (r *rig) slow(latency time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.latency = latency
}

func (r *rig) health(of string) health {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.at[of]
}

// dial implements upstream. A dial of a client takes the first address that is well.
func (r *rig) dial(ctx context.Context, target net.Addr) (*tlsorigin.Conn, error) {
	if target != nil {
		r.mu.Lock()
		r.probes[target.String()] = append(r.probes[target.String()], time.Now())
		r.mu.Unlock()
		return r.dialOne(ctx, target.String())
	}
	r.mu.Lock()
	r.dials++
	r.atOnce++
	if id, ok := ctx.Value(idKey{}).(int); ok {
		r.began = append(r.began, id)
	}
	r.most = max(r.most, r.atOnce)
	all, gone := slices.Sorted(maps.Keys(r.at)), r.dnsGone
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.atOnce--
		r.mu.Unlock()
	}()
	if gone {
		return nil, r.failure(nil, tlsorigin.ReasonUpstreamDNS, "no such host")
	}
	best := all[0]
	for _, rank := range []health{fine, starting, ending, mute, dropped, hung, lacking, distrust} {
		known := func(unready bool) int {
			return slices.IndexFunc(all, func(a string) bool {
				r.mu.Lock()
				defer r.mu.Unlock()
				return r.at[a] == rank && r.unready[a] == unready
			})
		}
		i := known(false)
		if i < 0 {
			i = known(true)
		}
		if i >= 0 {
			best = all[i]
			break
		}
	}
	return r.dialOne(ctx, best)
}

func (r *rig) dialOne(ctx context.Context, at string) (*tlsorigin.Conn, error) {
	h := r.health(at)
	r.mu.Lock()
	take := r.latency
	r.mu.Unlock()
	if h == dropped || h == hung {
		take = dialTimeout
	}
	if h != dropped {
		if connected, ok := ctx.Value(connectedKey{}).(func()); ok {
			connected()
		}
	}
	timer := time.NewTimer(take)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return nil, fmt.Errorf("dial: %w", context.Cause(ctx))
	case <-timer.C:
	}
	switch h { //nolint:exhaustive // the others are verified
	case refused:
		return nil, r.failure(addr(at), tlsorigin.ReasonUpstreamRefused, "refused")
	case dropped:
		return nil, r.failure(addr(at), tlsorigin.ReasonUpstreamTimeout, "no TCP")
	case hung:
		return nil, r.failure(addr(at), tlsorigin.ReasonUpstreamSilent, "silent")
	case lacking:
		failure := r.failure(addr(at), tlsorigin.ReasonUpstreamUnreachable, "no file descriptor left")
		failure.Case = tlsorigin.CaseThisMachine
		return nil, failure
	case distrust:
		return nil, r.failure(addr(at), tlsorigin.ReasonCertExpired, "expired")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	conn := new(tlsorigin.Conn)
	r.open[conn] = at
	return conn, nil
}

type (
	connectedKey struct{}
	idKey        struct{}
)

func (r *rig) onConnected(ctx context.Context, f func()) context.Context {
	return context.WithValue(ctx, connectedKey{}, f)
}

func (r *rig) heard() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lastByte
}

func (r *rig) targets(context.Context) ([]*tlsorigin.Addr, *tlsorigin.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dnsGone {
		return nil, r.failure(nil, tlsorigin.ReasonUpstreamDNS, "no such host")
	}
	var all []*tlsorigin.Addr
	for _, a := range slices.Sorted(maps.Keys(r.at)) {
		all = append(all, addr(a))
	}
	return all, nil
}

func (r *rig) notReady(a *tlsorigin.Addr, why error) *tlsorigin.Error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unready[a.Host] = true
	return r.failure(a, tlsorigin.ReasonUpstreamLost, why.Error())
}

func (r *rig) ready(a *tlsorigin.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.unready, a.Host)
}

func (r *rig) elsewhere(*tlsorigin.Addr) (bool, *tlsorigin.Error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for a, h := range r.at {
		if !r.unready[a] && slices.Contains([]health{fine, starting, ending, mute}, h) {
			return true, nil
		}
	}
	return false, nil
}

func (r *rig) close(conn *tlsorigin.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.open[conn]; !ok {
		r.t.Error("closed a connection twice")
	}
	delete(r.open, conn)
}

func (r *rig) remote(conn *tlsorigin.Conn) *tlsorigin.Addr {
	r.mu.Lock()
	defer r.mu.Unlock()
	return addr(r.open[conn])
}

func (r *rig) silent(a *tlsorigin.Addr, _ time.Time, reason tlsorigin.Reason, text string) *tlsorigin.Error {
	return r.failure(a, reason, text)
}

func (r *rig) unanswered(text string) *tlsorigin.Error {
	return r.failure(nil, tlsorigin.ReasonUpstreamSilent, text)
}

func (r *rig) failure(a *tlsorigin.Addr, reason tlsorigin.Reason, text string) *tlsorigin.Error {
	if a == nil {
		a = addr("db")
	}
	return &tlsorigin.Error{Kind: reason, Addr: a.Host, Text: text}
}

// client begins a session that ends when it is logged in.
func (r *rig) client(ctx context.Context, id int) {
	r.clients.Go(func() {
		began := time.Now()
		err := r.logIn(ctx, id)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.took[id] = time.Since(began)
		switch {
		case err == nil:
			r.served = append(r.served, id)
		case ctx.Err() != nil:
			r.lost = append(r.lost, id)
		default:
			r.failed[id] = err
		}
	})
}

// logIn is a session, from its first dial to ReadyForQuery.
func (r *rig) logIn(ctx context.Context, id int) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	conn, place, err := r.Dial(context.WithValue(ctx, idKey{}, id), r.aside)
	if place != nil {
		r.mu.Lock()
		r.arrivals[id] = place.arrival
		r.mu.Unlock()
	}
	for err == nil {
		at := r.remote(conn).Host
		h := r.health(at)
		if h == mute {
			select {
			case <-ctx.Done():
			case <-time.After(dialTimeout):
			}
			r.close(conn)
			return errEnded
		}
		r.close(conn)
		switch why := error(nil); {
		case place == nil:
			return nil
		case h == starting:
			why = fmt.Errorf("%w (%p)", errStarting, place)
			if conn, err = place.Refused(ctx, why); errors.Is(err, why) {
				return err
			}
		case h != fine: // it ended, or ends now
			if conn, err = place.Ended(ctx, errEnded); errors.Is(err, errEnded) {
				return err
			}
		default:
			place.Answered()
			place.LoggedIn()
			return nil
		}
	}
	return err
}

func (r *rig) aside(wait func()) {
	count := func(d int) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.wide != nil {
			r.wide(d)
		}
	}
	count(1)
	wait()
	count(-1)
}

// pass lets time pass, and what is due then happen.
func (r *rig) pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// arrive lets clients come every so often.
func (r *rig) arrive(first, count int, every time.Duration) {
	for i := range count {
		r.client(r.t.Context(), first+i)
		time.Sleep(every)
	}
	synctest.Wait()
}

// heardEvery lets any dial get a byte every so often, for as long as the test goes on.
func (r *rig) heardEvery(ctx context.Context, every time.Duration) {
	ctx, end := context.WithCancel(ctx)
	r.t.Cleanup(end)
	r.stop = end
	r.clients.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(every):
			}
			r.mu.Lock()
			r.lastByte = time.Now()
			r.mu.Unlock()
		}
	})
}

// expectPace fails if an address was probed more than ten times in any second.
func (r *rig) expectPace() {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for a, times := range r.probes {
		for i := range times {
			if i >= 10 && times[i].Sub(times[i-10]) < time.Second {
				r.t.Errorf("%s: eleven probes in %v", a, times[i].Sub(times[i-10]))
			}
		}
	}
}

// probed returns how often db was probed.
func (r *rig) probed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.probes["db"])
}

// expectServed fails unless n clients were served and none failed.
func (r *rig) expectServed(n int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.served) != n || len(r.failed) > 0 || len(r.lost) > 0 {
		r.t.Errorf("%d clients were served, want %d; failures %v; %d left", len(r.served), n, r.failed, len(r.lost))
	}
}

// slowest returns the longest time that a client took.
func (r *rig) slowest() (longest time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, took := range r.took {
		longest = max(longest, took)
	}
	return longest
}
