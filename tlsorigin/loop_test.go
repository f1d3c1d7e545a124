package tlsorigin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/internal/resolver"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// own returns a listener that must not be dialled, and its port.
func own(t *testing.T) (addr netip.AddrPort, dialled *atomic.Int32) {
	dialled = new(atomic.Int32)
	peer := peertest.Start(t, func(net.Conn) { dialled.Add(1) })
	return netip.MustParseAddrPort(peer.Addr), dialled
}

// TestLoops: an address that leads back here is refused before it is dialled. No client waits for that to pass.
func TestLoops(t *testing.T) {
	self, dialled := own(t)
	port := strings.TrimPrefix(self.String(), self.Addr().String()+":")
	for _, row := range []struct {
		name, addr string
		past       bool // the hosts file is not read
		want       Case
		text       string
	}{
		{"an address", self.String(), false, "", "this address is pgorigin itself"},
		{"an address in the spelling of IPv6", "[::ffff:127.0.0.1]:" + port, false, "", "this address is pgorigin itself"},
		{"a name", "db.test:" + port, false, CaseLoop, "its name leads to pgorigin itself (" + self.String() + ")"},
		{"a name, by DNS", "db.test:" + port, true, CaseLoopPast, "DNS server 192.0.2.1:53 leads its name to pgorigin itself (" + self.String() + ")"},
	} {
		t.Run(row.name, func(t *testing.T) {
			var reported Attempt
			d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), func(c *Config) {
				c.OwnAddress = func(addr netip.AddrPort) bool { return addr == self }
				c.Trace = &Trace{Attempt: func(a Attempt) { reported = a }}
			}, row.addr)
			d.resolve = func(context.Context, string, string) ([]netip.Addr, error) { return []netip.Addr{self.Addr()}, nil }
			if row.past {
				d.asked = resolver.NewFor(netip.MustParseAddrPort("192.0.2.1:53"))
			}
			failure := dialFailure(t, d)
			if failure.Kind != ReasonUpstreamDNS || failure.Case != row.want || failure.Text != row.text {
				t.Errorf("got %s, %q: %s", failure.Kind, failure.Case, failure.Text)
			}
			if failure.MayPass() || failure.SQLState() != sqlStateCannotConnect || reported.Err == nil {
				t.Errorf("may pass: %v, SQLSTATE %s, reported %v", failure.MayPass(), failure.SQLState(), reported.Err)
			}
			if err := d.Probe(t.Context(), nil); !errors.Is(err, errOwnAddress) {
				t.Errorf("a probe: %v", err)
			}
		})
	}
	if n := dialled.Load(); n > 0 {
		t.Errorf("dialled itself %d times", n)
	}
}

// reaches dials, and expects that resolved address.
func reaches(t *testing.T, d *Dialer, want string) {
	t.Helper()
	conn, err := d.Dial(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := conn.RemoteAddr().String(); got != want {
		t.Errorf("connected to %s, want %s", got, want)
	}
}

// TestLoopsBesideServers: the other addresses of a list, and of a name, serve.
func TestLoopsBesideServers(t *testing.T) {
	self, dialled := own(t)
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	good := peertest.Start(t, peertest.Presents(ca.Issue(tlstest.Leaf{DNSNames: []string{testName}})))
	real := netip.MustParseAddrPort(good.Addr)
	d := newTestDialer(t, ca, func(c *Config) {
		c.OwnAddress = func(addr netip.AddrPort) bool { return addr == self }
	}, self.String(), good.Addr)
	reaches(t, d, good.Addr)
	// One name: this machine, and another one that has the same port.
	d = newTestDialer(t, ca, func(c *Config) {
		c.OwnAddress = func(addr netip.AddrPort) bool { return addr.Addr() != real.Addr() }
	}, net.JoinHostPort("db.test", strings.TrimPrefix(good.Addr, real.Addr().String()+":")))
	d.resolve = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.9"), real.Addr()}, nil
	}
	reaches(t, d, good.Addr)
	if n := dialled.Load(); n > 0 {
		t.Errorf("dialled itself %d times", n)
	}
}

// TestResolverOfConfig is who is asked.
func TestResolverOfConfig(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	d := newTestDialer(t, ca, func(c *Config) { c.Resolver = "127.0.0.1:1" }, "db.test:5432") // nobody listens there
	failure := dialFailure(t, d)
	want := "DNS server 127.0.0.1:1 failed to look up this name (connection refused)"
	if failure.Kind != ReasonUpstreamDNS || failure.Case != CaseNameServer || failure.Text != want {
		t.Errorf("got %s, %q: %s", failure.Kind, failure.Case, failure.Text)
	}
	for _, value := range []string{"dns.test:53", "127.0.0.1", "127.0.0.1:0", "hosts"} {
		_, err := NewDialer(Config{Addrs: []string{"db.test:5432"}, CAPEM: string(ca.PEM()), Resolver: value})
		var wrong *ConfigError
		if !errors.As(err, &wrong) || wrong.Field != "Resolver" {
			t.Errorf("%s: %v", value, err)
		}
	}
}
