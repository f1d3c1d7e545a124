package tlsorigin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// town is a DNS and the machines behind its names, over pipes in a bubble of synctest, and a Dialer that leads
// there.
type town struct {
	*Dialer
	t     *testing.T
	begin time.Time
	good  func(net.Conn)

	mu       sync.Mutex
	names    map[string]func(context.Context) ([]netip.Addr, error)
	machines map[string]dialFunc // by IP address
	dialled  []string            // "IP at time", in order
	open     []*townConn
	changes  []string
	asked    int  // of DNS
	onlyIPv4 bool // DNS never answers questions for IPv6
}

// townConn is a connection to a machine. It notes what was sent, and whether it was closed.
type townConn struct {
	net.Conn
	town   *town
	addr   *net.TCPAddr
	sent   []byte
	closed bool
}

func (c *townConn) RemoteAddr() net.Addr { return c.addr }

func (c *townConn) Write(p []byte) (int, error) {
	c.town.locked(func() { c.sent = append(c.sent, p...) })
	return c.Conn.Write(p)
}

func (c *townConn) Close() error {
	c.town.locked(func() { c.closed = true })
	return c.Conn.Close()
}

func (w *town) locked(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// newTown leads to "db.test:6432" unless addrs say otherwise.
func newTown(t *testing.T, addrs ...string) *town {
	t.Helper()
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	w := &town{
		t: t, begin: time.Now(), good: peertest.PipeServer(ca),
		names: map[string]func(context.Context) ([]netip.Addr, error){}, machines: map[string]dialFunc{},
	}
	if addrs == nil {
		addrs = []string{"db.test:6432"}
	}
	w.Dialer = newTestDialer(t, ca, func(c *Config) {
		c.Trace = &Trace{AddressChanged: func(before, after AddressStatus) {
			ip := netip.MustParseAddrPort(after.Resolved).Addr()
			w.locked(func() { w.changes = append(w.changes, fmt.Sprintf("%s %s", ip, after.State)) })
		}}
	}, addrs...)
	w.resolve = func(ctx context.Context, network, host string) ([]netip.Addr, error) {
		var answer func(context.Context) ([]netip.Addr, error)
		w.locked(func() {
			answer = w.names[host]
			if network == "ip" {
				w.asked++
			}
		})
		if w.onlyIPv4 && network != "ip4" {
			<-ctx.Done()
			return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
		}
		if answer == nil {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		ips, err := answer(ctx)
		if errors.Is(err, errSlow) {
			<-ctx.Done()
			return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
		}
		return ips, err
	}
	w.netDial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		to := netip.MustParseAddrPort(addr)
		var machine dialFunc
		w.locked(func() {
			w.dialled = append(w.dialled, fmt.Sprintf("%s at %v", to.Addr(), time.Since(w.begin)))
			machine = w.machines[to.Addr().String()]
		})
		conn, err := machine(ctx, network, addr)
		if err != nil {
			return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(to), Err: err}
		}
		noted := &townConn{Conn: conn, town: w, addr: net.TCPAddrFromAddrPort(to)}
		w.locked(func() { w.open = append(w.open, noted) })
		return noted, nil
	}
	t.Cleanup(func() { w.Close() })
	return w
}

var errSlow = errors.New("the DNS server is silent")

// is makes name mean ips.
func (w *town) is(name string, ips ...string) {
	w.answers(name, 0, nil, ips...)
}

// answers makes DNS answer after a while.
func (w *town) answers(name string, after time.Duration, err error, ips ...string) {
	w.locked(func() {
		w.names[name] = func(ctx context.Context) ([]netip.Addr, error) {
			select {
			case <-time.After(after):
			case <-ctx.Done():
			}
			var all []netip.Addr
			for _, ip := range ips {
				all = append(all, netip.MustParseAddr(ip))
			}
			return all, err
		}
	})
}

// put puts a machine at ip.
func (w *town) put(ip string, machine dialFunc) { w.locked(func() { w.machines[ip] = machine }) }

func refuses(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }

func noRoute(context.Context, string, string) (net.Conn, error) { return nil, syscall.ENETUNREACH }

// late waits before each answer of script's peer, and before TCP.
func late(by time.Duration, script func(net.Conn)) dialFunc {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		select {
		case <-time.After(by):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		return peertest.PipeTo(func(conn net.Conn) { script(&slowWriter{conn, by}) })(ctx, network, addr)
	}
}

type slowWriter struct {
	net.Conn
	by time.Duration
}

func (w *slowWriter) Write(p []byte) (int, error) {
	time.Sleep(w.by) // in the bubble's time
	return w.Conn.Write(p)
}

// eager lets script write without a reader: over a pipe, a client that refuses a certificate would wait for
// ever with its alert.
func eager(script func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		w := &eagerWriter{conn, make(chan []byte, 100)}
		go func() {
			for p := range w.out {
				conn.Write(p)
			}
		}()
		script(w)
		close(w.out)
	}
}

type eagerWriter struct {
	net.Conn
	out chan []byte
}

func (w *eagerWriter) Write(p []byte) (int, error) {
	w.out <- slices.Clone(p)
	return len(p), nil
}

// dial dials once. It returns the machine and the time, or the reason.
func (w *town) dial() (string, time.Duration) {
	w.t.Helper()
	began := time.Now()
	conn, err := w.Dial(w.t.Context(), nil)
	took := time.Since(began)
	var failure *Error
	switch {
	case err == nil:
		defer conn.Close()
		return conn.RemoteAddr().(*Addr).TCP.(*net.TCPAddr).IP.String(), took
	case errors.As(err, &failure):
		return string(failure.Kind), took
	}
	return err.Error(), took
}

// expect dials once.
func (w *town) expect(what string, took time.Duration) {
	w.t.Helper()
	if got, after := w.dial(); got != what || after != took {
		w.t.Errorf("got %s after %v, want %s after %v", got, after, what, took)
	}
}

// take returns and forgets which machines were dialled, and which states changed.
func (w *town) take() (dialled, changes string) {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.changes) // some are simultaneous
	dialled, changes = strings.Join(w.dialled, ", "), strings.Join(w.changes, ", ")
	w.dialled, w.changes = nil, nil
	return dialled, changes
}

// checkClosed checks that nothing is left open, and that no startup packet was sent.
func (w *town) checkClosed() {
	w.t.Helper()
	time.Sleep(time.Minute)
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		if !c.closed {
			w.t.Errorf("a connection to %v is open", c.addr)
		}
		if len(c.sent) < len(sslRequest) || string(c.sent[:len(sslRequest)]) != sslRequest {
			w.t.Errorf("%v got %q", c.addr, c.sent)
		} else if err := peertest.OnlyTLS(c.sent); err != nil {
			w.t.Errorf("%v: %v", c.addr, err)
		}
	}
}

// TestRaces: which address wins, when, which are dialled, and what is remembered.
func TestRaces(t *testing.T) {
	const a, b, c, v6 = "10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"
	hang := peertest.PipeTo(swallow)
	wrong := peertest.PipeTo(eager(peertest.PipeServer(tlstest.NewCA("Other Root", tlstest.P256))))
	for _, row := range []struct {
		name    string
		ips     []string
		set     func(w *town)
		wins    string
		took    time.Duration
		dialled string
		changes string
	}{
		{"one", []string{a}, nil, a, 0, a + " at 0s", a + " good"},
		{"first is good", []string{a, b}, nil, a, 0, a + " at 0s", a + " good"},
		{"first is black", []string{a, b}, func(w *town) { w.put(a, blackHole) }, b, stagger, a + " at 0s, " + b + " at 250ms, " + a + " at 250ms", b + " good, " + a + " silent"},
		{"first hangs", []string{a, b}, func(w *town) { w.put(a, hang) }, b, stagger, a + " at 0s, " + b + " at 250ms, " + a + " at 250ms", b + " good, " + a + " silent"},
		{"first hangs after S", []string{a, b}, func(w *town) { w.put(a, peertest.PipeTo(peertest.Answers("S"))) }, b, stagger, a + " at 0s, " + b + " at 250ms, " + a + " at 250ms", b + " good, " + a + " silent"},
		{"first refuses", []string{a, b}, func(w *town) { w.put(a, refuses) }, b, 0, a + " at 0s, " + b + " at 0s", a + " refused, " + b + " good"},
		{"first closes", []string{a, b}, func(w *town) { w.put(a, peertest.PipeTo(hangUp)) }, b, 0, a + " at 0s, " + b + " at 0s", a + " refused, " + b + " good"},
		{"first has a wrong certificate", []string{a, b}, func(w *town) { w.put(a, wrong) }, b, 0, a + " at 0s, " + b + " at 0s", a + " failing, " + b + " good"},
		{"two are black", []string{a, b, c}, func(w *town) { w.put(a, blackHole); w.put(b, hang) }, c, 2 * stagger, a + " at 0s, " + b + " at 250ms, " + c + " at 500ms, " + a + " at 500ms, " + b + " at 500ms", c + " good, " + a + " silent, " + b + " silent"},
		{"first is slow but goes on", []string{a, b}, func(w *town) { w.put(a, late(200*time.Millisecond, w.good)) }, a, 600 * time.Millisecond, a + " at 0s", a + " good"},
		{"first is too slow, and wins", []string{a, b}, func(w *town) {
			w.put(a, late(300*time.Millisecond, w.good))
			w.put(b, late(500*time.Millisecond, w.good))
		}, a, 900 * time.Millisecond, a + " at 0s, " + b + " at 250ms", a + " good"},
		{"IPv6 first", []string{a, b, v6}, nil, v6, 0, v6 + " at 0s", v6 + " good"},
		{"no route for IPv6", []string{a, v6}, func(w *town) { w.put(v6, noRoute) }, a, 0, v6 + " at 0s, " + a + " at 0s", v6 + " unreachable, " + a + " good"},
		{"IPv6 is black", []string{a, v6}, func(w *town) { w.put(v6, blackHole) }, a, stagger, v6 + " at 0s, " + a + " at 250ms, " + v6 + " at 250ms", a + " good, " + v6 + " silent"},
		{"both are black", []string{a, b}, func(w *town) { w.put(a, blackHole); w.put(b, blackHole) }, "upstream_timeout", 10 * time.Second, a + " at 0s, " + b + " at 250ms", a + " silent, " + b + " silent"},
		{"both hang after S", []string{a, b}, func(w *town) {
			w.put(a, peertest.PipeTo(peertest.Answers("S")))
			w.put(b, peertest.PipeTo(peertest.Answers("S")))
		}, "tls_timeout", 10 * time.Second, a + " at 0s, " + b + " at 250ms, " + a + " at 3s, " + b + " at 3.25s", a + " failing, " + b + " failing"},
		{"both refuse", []string{a, b}, func(w *town) { w.put(a, refuses); w.put(b, refuses) }, "upstream_refused", 0, a + " at 0s, " + b + " at 0s", a + " refused, " + b + " refused"},
		{"twice the same", []string{a, a, "::ffff:10.0.0.1"}, func(w *town) { w.put(a, refuses) }, "upstream_refused", 0, a + " at 0s", a + " refused"},
		{"none", nil, nil, "dns_no_address", 0, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newTown(t)
				w.is("db.test", row.ips...)
				for _, ip := range row.ips {
					w.put(ip, peertest.PipeTo(w.good))
				}
				if row.set != nil {
					row.set(w)
				}
				w.expect(row.wins, row.took)
				dialled, changes := w.take()
				sorted := func(list string) []string { return slices.Sorted(strings.SplitSeq(list, ", ")) }
				// Each has its time, and two probes at the same time come in any order.
				if !slices.Equal(sorted(dialled), sorted(row.dialled)) {
					t.Errorf("dialled %s\nwant %s", dialled, row.dialled)
				}
				want := sorted(row.changes)
				if changes != strings.Join(want, ", ") {
					t.Errorf("changes %s\nwant %s", changes, row.changes)
				}
				w.checkClosed()
			})
		})
	}
}

// TestMiddleboxBeforeBothAddresses: a firewall that drops large hellos everywhere still leads to the fallback.
func TestMiddleboxBeforeBothAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t)
		w.is("db.test", "10.0.0.1", "10.0.0.2")
		boxed := func(conn net.Conn) {
			if !peertest.Answer(conn, "S") {
				return
			}
			first := make([]byte, 3000)
			n, err := conn.Read(first)
			if err != nil || n > oneSegment {
				swallow(conn)
				return
			}
			ours, theirs := net.Pipe() // the server reads its SSLRequest and the hello from here
			go func() {
				io.WriteString(theirs, sslRequest)
				io.ReadFull(theirs, make([]byte, 1))
				theirs.Write(first[:n])
				go io.Copy(conn, theirs)
				io.Copy(theirs, conn)
				theirs.Close()
			}()
			w.good(ours)
		}
		w.put("10.0.0.1", peertest.PipeTo(boxed))
		w.put("10.0.0.2", peertest.PipeTo(boxed))
		w.expect("10.0.0.1", maxPatience)
		w.expect("10.0.0.1", 0)
		w.checkClosed()
	})
}

// TestMiddleboxIsNoOutage: while a hello may have vanished, the upstream is not silent.
func TestMiddleboxIsNoOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		l.box = above(swallow)
		began := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.dialled(t)
		}()
		time.Sleep(maxPatience - 1)
		if quiet := time.Since(l.Heard()); quiet != 0 {
			t.Errorf("silent for %v", quiet)
		}
		<-done
		if heard := l.Heard().Sub(began); heard != maxPatience {
			t.Errorf("last heard of after %v", heard)
		}
		l.locked(func() { l.box = func(conn net.Conn, _ []byte) bool { swallow(conn); return true } })
		began = time.Now() // a machine that was verified hangs
		go l.Dial(t.Context(), nil)
		time.Sleep(time.Second)
		if quiet := time.Since(l.Heard()); quiet != time.Second {
			t.Errorf("after %v it counts as silent for %v", time.Since(began), quiet)
		}
		time.Sleep(time.Minute)
	})
}

// TestManyAddresses: a name with thousands of addresses costs a bounded number of dials.
func TestManyAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ips []string
		for i := range 4000 {
			ips = append(ips, fmt.Sprintf("10.0.%d.%d", i>>8, i&0xff))
		}
		w := newTown(t)
		w.is("db.test", ips...)
		running, most := 0, 0
		for _, ip := range ips {
			w.put(ip, func(ctx context.Context, network, addr string) (net.Conn, error) {
				w.locked(func() { running++; most = max(most, running) })
				defer w.locked(func() { running-- })
				return blackHole(ctx, network, addr)
			})
		}
		// The first gives up when the 13th begins, so the others follow faster.
		if got, took := w.dial(); got != "upstream_timeout" || took > 15*stagger+silentGrace {
			t.Errorf("got %s after %v", got, took)
		}
		dialled, _ := w.take()
		if n := len(strings.Split(dialled, ", ")); n != maxPerName || most > maxRacers {
			t.Errorf("%d dials, %d at one time", n, most)
		}
		w.put(ips[15], peertest.PipeTo(w.good))
		if got, took := w.dial(); got != ips[15] || took > 15*stagger {
			t.Errorf("got %s after %v", got, took)
		}
		w.expect(ips[15], 0)
		w.checkClosed()
	})
}

// TestArranged: IPv6 first, then in turn; the order of DNS stays.
func TestArranged(t *testing.T) {
	for _, row := range []struct{ ips, want string }{
		{"", "[]"},
		{"1.0.0.1 1.0.0.2", "[1.0.0.1 1.0.0.2]"},
		{"1.0.0.2 1.0.0.1 fd::2 fd::1 1.0.0.3", "[fd::2 1.0.0.2 fd::1 1.0.0.1 1.0.0.3]"},
		{"::ffff:1.0.0.1 1.0.0.1 fd::1 fd::1", "[fd::1 1.0.0.1]"},
	} {
		var ips []netip.Addr
		for _, ip := range strings.Fields(row.ips) {
			ips = append(ips, netip.MustParseAddr(ip))
		}
		if got := fmt.Sprint(arranged(slices.Concat(ips, ips))); got != row.want {
			t.Errorf("%s: got %s, want %s", row.ips, got, row.want)
		}
	}
}

// The next address may be under way before the race has heard of a failure. That failure starts no other one.
func TestFailureOfAnEarlierAddress(t *testing.T) {
	earlier, latest := new(racer), new(racer)
	r := &race{running: []*racer{earlier, latest}, latest: latest}
	r.lost(finish{earlier, outcome{failure: new(Error)}})
	if r.due {
		t.Error("it starts another address at once")
	}
	r.lost(finish{latest, outcome{failure: new(Error)}})
	if !r.due {
		t.Error("the failure of the latest address does not start another one")
	}
}
