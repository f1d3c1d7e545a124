package tlsorigin

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/peertest"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// dnsServer answers each question with the code that codes has for its name, and without a record. Names that
// are not there do not exist. A negative code stands for silence. It returns a dial function that leads to it.
func dnsServer(t *testing.T, codes map[string]int) dialFunc {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			var seen dnsAnswers
			buf[2], buf[3] = 0x81, 0x80
			seen.note(buf[:n])
			code, ok := codes[seen.names[0]]
			switch {
			case !ok:
				code = 3
			case code < 0:
				continue
			}
			buf[3] |= byte(code)
			server.WriteTo(buf[:n], from)
		}
	}()
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}
}

// TestNamesWithoutAddress: package net reports the same error for a name that does not exist and for one
// without an address.
func TestNamesWithoutAddress(t *testing.T) {
	notFound := &net.DNSError{Err: "no such host", Name: "db.invalid", IsNotFound: true}
	for _, row := range []struct {
		name   string
		err    error
		codes  map[string]int
		asked  bool
		exists string
	}{
		{"does not exist", notFound, nil, true, ""},
		{"exists", notFound, map[string]int{"db.invalid": 0}, true, "db.invalid"},
		{"the server fails now", notFound, map[string]int{"db.invalid": 2}, false, ""},
		{"another failure", &net.DNSError{Err: "server misbehaving", Name: "db.invalid"}, map[string]int{"db.invalid": 0}, false, ""},
		{"no failure of DNS", errors.New("boom"), nil, false, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := explainLookup(t.Context(), row.err, dnsServer(t, row.codes))
			more := new(lookupError)
			errors.As(err, &more)
			if more.checked != row.asked || more.exists != row.exists || !errors.Is(err, row.err) {
				t.Errorf("got %#v", err)
			}
		})
	}
	if err := explainLookup(t.Context(), nil, nil); err != nil {
		t.Errorf("without an error: %v", err)
	}
}

// TestSilentServersAreNamed: when the time is up, package net does not say which servers were asked. They are
// those of this machine; nobody is asked for their names.
func TestSilentServersAreNamed(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	silent := &net.DNSError{Err: "i/o timeout", Name: "db.test", IsTimeout: true}
	var more *lookupError
	if err := explainLookup(ctx, silent, nil); !errors.As(err, &more) || len(more.servers) == 0 || more.checked {
		t.Errorf("got %#v", err)
	}
}

// TestExistingNames: with search domains, one question becomes several.
func TestExistingNames(t *testing.T) {
	for _, row := range []struct {
		names []string
		want  string
	}{
		{nil, ""},
		{[]string{"db.prod.svc.cluster.local", "db.prod.svc.cluster.local", "db.example"}, "db.prod.svc.cluster.local"},
		{[]string{"db.prod.example", "DB.prod"}, "DB.prod"},
	} {
		if got := (&dnsAnswers{names: row.names}).existing("db.prod."); got != row.want {
			t.Errorf("of %v it says %q", row.names, got)
		}
	}
}

// TestBrokenDNSAnswers must not be taken for anything.
func TestBrokenDNSAnswers(t *testing.T) {
	var seen dnsAnswers
	header := "\x00\x01\x81\x80\x00\x01\x00\x00\x00\x00\x00\x00"
	for _, message := range []string{"", header[:11], header, header + "\x02db", header + "\x3fdb\x00", strings.Repeat("\xff", 600)} {
		seen.note([]byte(message))
	}
	if seen.names != nil {
		t.Errorf("noted %q", seen.names)
	}
	seen.note([]byte(header + "\x02db\x00\x00\x01\x00\x01"))
	if len(seen.names) != 1 || seen.names[0] != "db" {
		t.Errorf("noted %q", seen.names)
	}
}

// TestFailuresNameTheirAddress: a name may have several addresses.
func TestFailuresNameTheirAddress(t *testing.T) {
	ca := tlstest.NewCA("Test Root", tlstest.P256)
	plain := peertest.Start(t, peertest.Answers("N"))
	d := newTestDialer(t, ca, func(c *Config) { c.NetDial = dialByName(map[string]string{"db.test:6432": plain.Addr}) }, "db.test:6432")
	want := "upstream db.test:6432 (127.0.0.1): refuses TLS"
	if failure := dialFailure(t, d); !strings.HasPrefix(failure.Error(), want) {
		t.Errorf("got %v, want %s", failure, want)
	}
	d = newTestDialer(t, ca, nil, plain.Addr)
	if failure := dialFailure(t, d); !strings.HasPrefix(failure.Error(), "upstream "+plain.Addr+": refuses TLS") {
		t.Errorf("got %v", failure)
	}
}

// TestEveryAddressThatWasTried is in the error.
func TestEveryAddressThatWasTried(t *testing.T) {
	addr := refusedAddr(t)
	_, port, _ := net.SplitHostPort(addr)
	_, err := net.Dial("tcp", addr)
	if got := connectFailure(err, 0).text; got != "TCP connection to "+addr+" refused" {
		t.Errorf("got %s", got)
	}
	host := net.JoinHostPort("localhost", port)
	d := newTestDialer(t, tlstest.NewCA("Test Root", tlstest.P256), nil, host)
	d.resolve = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}, nil
	}
	want := "upstream " + host + ": TCP connection to 127.0.0.1:" + port + " refused; upstream " + host +
		": TCP connection to 127.0.0.2:" + port + " refused"
	if text := dialFailure(t, d).Error(); text != want {
		t.Errorf("localhost: %s", text)
	}
}
