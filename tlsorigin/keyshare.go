package tlsorigin

import (
	"context"
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"time"
)

// learnedFor is how long a server's choice of a classical group is believed without asking again.
const learnedFor = time.Hour

// learn remembers the group that a verified server asked for by HelloRetryRequest, so that the next ClientHello has its
// key share and needs no second round trip: PostgreSQL up to 17 has nothing but P-256 unless told otherwise. crypto/tls
// sends the share of the first group of its own order, so those before have to be left out. The peer has proved its name,
// and it was offered the hybrids: nobody else has made this choice.
func (k *keyExchange) learn(e *path, state tls.ConnectionState, now time.Time) {
	if !state.HelloRetryRequest || k.policy == PostQuantumRequire {
		return
	}
	i := slices.Index(k.enabled, state.CurveID)
	if i < 0 {
		return // a hybrid, which comes with the next hello as it came with this one
	}
	e.groups, e.learned = k.enabled[i:], true
	if e.way != FallbackClassical {
		// The fallback keeps its own time.
		e.hold, e.due = learnedFor, now.Add(learnedFor)
	}
}

// background runs probes of a Dialer until it is closed.
type background struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func newBackground() *background {
	b := new(background)
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// start runs f in a goroutine. It returns false if b is closed.
func (b *background) start(f func(context.Context)) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.running.Go(func() { f(b.ctx) })
	}
	return !b.closed
}

func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.cancel()
	b.running.Wait()
}

// wake starts a probe of one address.
func (d *Dialer) wake(r route, addr net.Addr) {
	d.background.start(func(ctx context.Context) { d.reprobe(ctx, r, addr) })
}

// reprobe finds out whether the ClientHello of the configuration passes by now, in segments of the usual size. A probe is
// a whole verified handshake and nothing after it; no client waits for it, and no client's connection is put at risk.
func (d *Dialer) reprobe(ctx context.Context, r route, addr net.Addr) {
	a := newAttempt(r, d.state.Load(), d.timeout)
	a.choose = func(net.Addr) choice { return choice{fallible: d.exchange.classical != nil} }
	a.report.Probe = true
	conn, failure := d.run(withSegments(ctx, false), a)
	if conn != nil {
		_ = conn.Close()
	}
	if failure == nil && conn == nil {
		return // closed
	}
	d.paths.probed(addr, failure == nil, a.vanished != "")
}
