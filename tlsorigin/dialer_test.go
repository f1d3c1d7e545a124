package tlsorigin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

func TestDialedConnectionCarriesBytesAndKnowsItsPeer(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P521)
	p := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	var attempts []Attempt
	d := newTestDialer(t, ca, func(c *Config) {
		c.Trace = &Trace{Attempt: func(a Attempt) { attempts = append(attempts, a) }}
	}, p.Addr)
	conn, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	peertest.CheckEcho(t, conn)
	state := conn.ConnectionState()
	if state.Version != tls.VersionTLS13 || state.VerifiedChains == nil || state.ServerName != testName || state.DidResume {
		t.Errorf("connection state %+v", state)
	}
	addr, ok := conn.RemoteAddr().(*Addr)
	if !ok || addr.Host != p.Addr || addr.String() != p.Addr || addr.Network() != "tcp" {
		t.Errorf("RemoteAddr is %#v", conn.RemoteAddr())
	}
	if conn.LocalAddr() == nil {
		t.Error("LocalAddr is nil")
	}
	if err := conn.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v, want net.ErrClosed", err)
	}
	peertest.CheckOnlyTLS(t, p.Received(t))
	if len(attempts) != 1 {
		t.Fatalf("%d attempts reported", len(attempts))
	}
	a := attempts[0]
	if a.Err != nil || a.Addr != p.Addr || a.Resolved.String() != p.Addr || a.Connect <= 0 || a.SSLRequest <= 0 || a.TLS <= 0 || !a.State.HandshakeComplete {
		t.Errorf("attempt %+v", a)
	}
}

// refusedAddr returns an address where nobody listens.
func refusedAddr(t *testing.T) string {
	ln := peertest.Listen(t, "127.0.0.1")
	defer ln.Close()
	return ln.Addr().String()
}

func TestConnectFailures(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	at := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 6432}
	op := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Addr: at, Err: err} }
	for _, row := range []struct {
		name   string
		err    error
		reason Reason
		want   string
	}{
		{"no such host", op(&net.DNSError{Err: "no such host", Name: "db.test", Server: "192.0.2.1", IsNotFound: true}), ReasonUpstreamDNS, "does not exist"},
		{"DNS timeout", op(&net.DNSError{Err: "i/o timeout", IsTimeout: true}), ReasonUpstreamDNS, "no answer for its name from DNS within 10s"},
		{"DNS failure", op(&net.DNSError{Err: "server misbehaving \x1b[2J"}), ReasonUpstreamDNS, "failed"},
		{"refused", op(os.NewSyscallError("connect", syscall.ECONNREFUSED)), ReasonUpstreamRefused, "10.0.0.1:6432 refused"},
		{"no route", op(os.NewSyscallError("connect", syscall.EHOSTUNREACH)), ReasonUpstreamUnreachable, "10.0.0.1:6432: no route to host"},
		{"network unreachable", op(os.NewSyscallError("connect", syscall.ENETUNREACH)), ReasonUpstreamUnreachable, "network is unreachable"},
		{"timeout of the kernel", op(os.NewSyscallError("connect", syscall.ETIMEDOUT)), ReasonUpstreamTimeout, "no TCP connection to 10.0.0.1:6432"},
		{"not permitted", op(os.NewSyscallError("connect", syscall.EPERM)), ReasonUpstreamUnreachable, "operation not permitted"},
		{"no descriptor", op(os.NewSyscallError("socket", syscall.EMFILE)), ReasonUpstreamUnreachable, "this machine has no file descriptor left"},
		{"no memory", op(os.NewSyscallError("connect", syscall.ENOBUFS)), ReasonUpstreamUnreachable, "this machine has no memory left"},
		{"no port", op(os.NewSyscallError("connect", syscall.EADDRNOTAVAIL)), ReasonUpstreamUnreachable, "this machine has no local port left"},
		{"no IPv6", &net.OpError{Op: "dial", Addr: &net.TCPAddr{IP: net.IPv6loopback}, Err: syscall.EADDRNOTAVAIL}, ReasonUpstreamUnreachable, "assign requested address"},
		{"a dialler's own error", errors.New("boom \x1b[2J"), ReasonUpstreamUnreachable, "no TCP connection"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := newTestDialer(t, ca, func(c *Config) {
				c.NetDial = func(context.Context, string, string) (net.Conn, error) { return nil, row.err }
			}, "db.test:6432")
			failure := dialFailure(t, d)
			if failure.Kind != row.reason || !strings.Contains(failure.Error(), row.want) {
				t.Errorf("got %s (%v), want %s with %q", failure.Kind, failure, row.reason, row.want)
			}
			local := strings.Contains(row.want, "this machine has")
			if state := failure.SQLState(); state != map[bool]string{true: "08001", false: "57P03"}[local] || failure.MayPass() == local {
				t.Errorf("SQLSTATE %s, may pass: %v", state, failure.MayPass())
			}
			if remembered := d.Addresses()[0]; local != (remembered.State == AddressUnknown) {
				t.Errorf("the address counts as %s", remembered.State)
			}
			if (failure.Case == CaseNoHost) != errors.Is(row.err, syscall.EHOSTUNREACH) {
				t.Errorf("the case is %q", failure.Case)
			}
			if !errors.Is(failure, row.err) {
				t.Errorf("%v does not unwrap to its cause", failure)
			}
			checkSafe(t, failure.Error())
		})
	}
}

func TestLookupFailures(t *testing.T) {
	d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), nil, "db.test:6432", "db:6432")
	const server = "192.0.2.1:53"
	missing := func(name string) error { return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true} }
	for _, row := range []struct {
		name   string
		err    error
		reason Reason
		which  Case
		want   string
	}{
		{"no such host", missing("db.test"), ReasonUpstreamDNS, "", "its name does not exist in DNS, or has no address there"},
		{"no such host, DNS was asked", &lookupError{err: missing("db.test"), checked: true}, ReasonUpstreamDNS, "", "its name does not exist in DNS"},
		{
			"no such host past the hosts file", &lookupError{err: missing("db.test"), checked: true, past: true}, ReasonUpstreamDNS, "",
			"its name does not exist in DNS, and pgorigin does not read the hosts file",
		},
		{"no such host of one word", missing("db"), ReasonUpstreamDNS, CaseShortName, "its name does not exist in DNS, or has no address there"},
		{"a name without an address", nil, ReasonDNSNoAddress, "", "its name has no address"},
		{
			"a name without an address, DNS was asked", &lookupError{err: missing("db"), checked: true, exists: "db.prod\x1b[2J"}, ReasonDNSNoAddress, "",
			"the name \"db.prod\ufffd[2J\" exists in DNS, but has no address there (neither IPv4 nor IPv6)",
		},
		{"DNS timeout", &net.DNSError{Err: "i/o timeout", IsTimeout: true, Server: server}, ReasonUpstreamDNS, CaseNameServer, "got no answer for its name from DNS server 192.0.2.1:53 within 7s"},
		{
			"DNS timeout of all servers", &lookupError{err: &net.DNSError{Err: "i/o timeout", IsTimeout: true}, servers: []string{server, "[2001:db8::1]:53", "odd"}},
			ReasonUpstreamDNS, CaseNameServer, "got no answer for its name from DNS servers 192.0.2.1:53, [2001:db8::1]:53 within 7s",
		},
		{"end of the context", context.DeadlineExceeded, ReasonUpstreamDNS, CaseNameServer, "got no answer for its name from DNS within 7s"},
		{"SERVFAIL or REFUSED", &net.DNSError{Err: "server misbehaving \x1b[2J", IsTemporary: true, Server: server}, ReasonUpstreamDNS, CaseNameServer, "DNS server 192.0.2.1:53 failed to look up this name (server misbehaving \ufffd[2J)"},
		{"DNS failure", &net.DNSError{Err: "server misbehaving \x1b[2J"}, ReasonUpstreamDNS, CaseNameServer, "DNS lookup of its name failed"},
		{"a resolver's own error", errors.New("boom \x1b[2J"), ReasonUpstreamDNS, CaseNameServer, "DNS lookup of its name failed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			addrs, failure := d.Resolve(t.Context(), "db.test:6432", 7*time.Second,
				func(context.Context, string, string) ([]netip.Addr, error) { return nil, row.err })
			if addrs != nil || failure == nil {
				t.Fatalf("got %v, %v", addrs, failure)
			}
			if failure.Kind != row.reason || failure.Case != row.which || failure.Text != row.want || !errors.Is(failure.Err, row.err) {
				t.Errorf("got %s %s: %s (%v), want %s", failure.Kind, failure.Case, failure.Text, failure.Err, row.want)
			}
			if row.which == CaseShortName && failure.Value != "db.NAMESPACE.svc" {
				t.Errorf("the cure names %q", failure.Value)
			}
		})
	}
}

func TestRefusedPort(t *testing.T) {
	addr := refusedAddr(t)
	failure := dialFailure(t, newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), nil, addr))
	if failure.Kind != ReasonUpstreamRefused || !errors.Is(failure, syscall.ECONNREFUSED) || !strings.Contains(failure.Error(), addr+" refused") {
		t.Errorf("got %s: %v", failure.Kind, failure)
	}
}

func TestAddressesAreTriedInOrder(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	good := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	wrong := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{"db.internal"}})))
	plain := peertest.Start(t, peertest.Answers("N"))
	closes := peertest.Start(t, func(conn net.Conn) { conn.Close() })
	refused := refusedAddr(t)
	refusedToo := strings.Replace(refused, "127.0.0.1", "127.0.0.2", 1)
	for _, row := range []struct {
		name    string
		addrs   []string
		tried   int
		reason  Reason // empty: it connects to the last one tried
		reports string // the address that the error is about
	}{
		{"first works", []string{good.Addr, refused}, 1, "", ""},
		{"second works", []string{refused, good.Addr, wrong.Addr}, 2, "", ""},
		{"after a wrong certificate", []string{wrong.Addr, plain.Addr, good.Addr}, 3, "", ""},
		{"the certificate says most", []string{refused, plain.Addr, wrong.Addr, refusedToo}, 4, ReasonCertNameMismatch, wrong.Addr},
		{"then TLS", []string{refused, plain.Addr}, 2, ReasonTLSRefused, plain.Addr},
		{"then what accepted TCP", []string{refused, closes.Addr, refusedToo}, 3, ReasonUpstreamGone, closes.Addr},
	} {
		t.Run(row.name, func(t *testing.T) {
			var tried []string
			d := newTestDialer(t, ca, func(c *Config) {
				c.Trace = &Trace{Attempt: func(a Attempt) { tried = append(tried, a.Addr) }}
			}, row.addrs...)
			conn, err := d.Dial(t.Context(), nil)
			if !slices.Equal(tried, row.addrs[:row.tried]) {
				t.Errorf("tried %v, want the first %d of %v", tried, row.tried, row.addrs)
			}
			if row.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if got := conn.RemoteAddr().String(); got != good.Addr {
					t.Errorf("connected to %s", got)
				}
				return
			}
			var failure *Error
			if !errors.As(err, &failure) || failure.Kind != row.reason || failure.Addr != row.reports || len(failure.Others) != len(row.addrs)-1 {
				t.Fatalf("got %v, want %s of %s and the others", err, row.reason, row.reports)
			}
			for _, addr := range row.addrs {
				if !strings.Contains(failure.Error(), "upstream "+addr+": ") {
					t.Errorf("text %q lacks %s", failure, addr)
				}
			}
		})
	}
}

func TestManyFailedAddressesMakeABoundedText(t *testing.T) {
	var addrs []string
	_, port, _ := net.SplitHostPort(refusedAddr(t))
	for i := range 50 {
		addrs = append(addrs, fmt.Sprintf("127.0.0.%d:%s", i+1, port))
	}
	d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), nil, addrs...)
	if text := dialFailure(t, d).Error(); len(text) > 1000 || !strings.Contains(text, "45 more addresses") {
		t.Errorf("text is %q", text)
	}
}

func TestEachAddressProvesItsOwnHost(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	a := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{"b.test"}}))) // the wrong one
	b := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{"b.test"}})))
	d := newTestDialer(t, ca, func(c *Config) {
		c.ServerName = ""
		c.NetDial = dialByName(map[string]string{"a.test:6432": a.Addr, "b.test:6432": b.Addr})
	}, "a.test:6432", "b.test:6432")
	conn, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.RemoteAddr().(*Addr); got.Host != "b.test:6432" || got.String() != b.Addr {
		t.Errorf("connected to %+v", got)
	}
}

// dialByName returns a NetDial that looks addresses up in table, and dials what is not in it.
func dialByName(table map[string]string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		if resolved, ok := table[addr]; ok {
			addr = resolved
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
}

func TestTargetLeadsToTheVerySameAddress(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	pair := ca.Issue(tlstest.Leaf{DNSNames: []string{"b.test"}})
	first, second := peertest.Start(t, peertest.Presents(pair)), peertest.Start(t, peertest.Presents(pair))
	dns := map[string]string{"a.test:6432": refusedAddr(t), "b.test:6432": first.Addr}
	d := newTestDialer(t, ca, func(c *Config) { c.ServerName, c.NetDial = "", dialByName(dns) }, "a.test:6432", "b.test:6432")
	session, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()

	dns["b.test:6432"] = second.Addr // the name moves while the session goes on
	again, err := d.Dial(t.Context(), session.RemoteAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := again.RemoteAddr().(*Addr); got.String() != first.Addr || got.Host != "b.test:6432" {
		t.Errorf("target led to %+v, want %s", got, first.Addr)
	}
	if got := again.ConnectionState().ServerName; got != "b.test" {
		t.Errorf("proved %q, want the name of the session's address", got)
	}
	fresh, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if got := fresh.RemoteAddr().String(); got != second.Addr {
		t.Errorf("without target: %s, want the new address %s", got, second.Addr)
	}
}

func TestForeignTargetIsRefused(t *testing.T) {
	d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), nil, refusedAddr(t))
	tcp := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	for _, target := range []net.Addr{tcp, &Addr{TCP: tcp, Host: "evil.test:6432"}} {
		var failure *Error
		if _, err := d.Dial(t.Context(), target); err == nil || errors.As(err, &failure) {
			t.Errorf("target %v: %v, want an error before anything is dialled", target, err)
		}
	}
}

func TestDialsLeaveNoGoroutine(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	good := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	bad := peertest.Start(t, peertest.Answers("S"+peertest.PeerText))
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 20 {
		conn, err := newTestDialer(t, ca, nil, bad.Addr, good.Addr).Dial(ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		peertest.CheckEcho(t, conn)
		conn.Close()
		<-good.Got
		<-bad.Got
	}
	deadline := time.After(10 * time.Second)
	for tick := time.Tick(time.Millisecond); runtime.NumGoroutine() > before; {
		select {
		case <-tick:
		case <-deadline:
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
