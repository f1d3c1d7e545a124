package resolver

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// inPod is the resolv.conf of a pod.
const inPod = "search prod.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"

const (
	servFail = dnsmessage.RCodeServerFailure
	refused  = dnsmessage.RCodeRefused
)

func TestLookups(t *testing.T) {
	both := []string{"192.0.2.7", "2001:db8::7"}
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("192.0.2.%d", i))
	}
	for _, row := range []struct {
		name, conf, network, host string
		zone                      zone
		want                      string // addresses
		fails                     string // what the error says
		exists                    string
		notFound                  bool
	}{
		{name: "both families", host: "db.test", zone: zone{"db.test": {addrs: both}}, want: "192.0.2.7 2001:db8::7"},
		{name: "IPv4", network: "ip4", host: "db.test", zone: zone{"db.test": {addrs: both}}, want: "192.0.2.7"},
		{name: "IPv6", network: "ip6", host: "db.test", zone: zone{"db.test": {addrs: both}}, want: "2001:db8::7"},
		{name: "final dot", conf: inPod, host: "db.test.", zone: zone{"db.test": {addrs: both[:1]}}, want: "192.0.2.7"},
		{name: "upper case", host: "DB.Test", zone: zone{"db.test": {addrs: both[:1]}}, want: "192.0.2.7"},
		{name: "a service of the namespace", conf: inPod, host: "db", zone: zone{"db.prod.svc.cluster.local": {addrs: both[:1]}}, want: "192.0.2.7"},
		{name: "a service of another", conf: inPod, host: "db.other", zone: zone{"db.other.svc.cluster.local": {addrs: both[:1]}}, want: "192.0.2.7"},
		{name: "a name outside the cluster", conf: inPod, host: "db.example.com", zone: zone{"db.example.com": {addrs: both[:1]}}, want: "192.0.2.7"},
		{
			name: "the search list goes before the name", conf: inPod, host: "db.test",
			zone: zone{"db.test.cluster.local": {addrs: both[:1]}, "db.test": {addrs: both[1:]}}, want: "192.0.2.7",
		},
		{
			name: "the name goes before the search list", conf: "search example.com\n", host: "db.test",
			zone: zone{"db.test.example.com": {addrs: both[:1]}, "db.test": {addrs: both[1:]}}, want: "2001:db8::7",
		},
		{name: "the search list after the name", conf: "search example.com\n", host: "db.test", zone: zone{"db.test.example.com": {addrs: both[:1]}}, want: "192.0.2.7"},
		{
			name: "a domain that fails does not end the search", conf: inPod, host: "db.test",
			zone: zone{"db.test.svc.cluster.local": {code: servFail}, "db.test": {addrs: both[:1]}}, want: "192.0.2.7",
		},
		{
			name: "a domain that exists without an address does not end the search", conf: inPod, host: "db.test",
			zone: zone{"db.test.svc.cluster.local": {}, "db.test": {addrs: both[:1]}}, want: "192.0.2.7",
		},
		{name: "one family fails", host: "db.test", zone: zone{"db.test": {addrs: both[:1]}}, want: "192.0.2.7"},
		{name: "CNAME", host: "db.test", zone: zone{"db.test": {alias: "real.test", addrs: both}}, want: "192.0.2.7 2001:db8::7"},
		{name: "CNAME behind its address", host: "db.test", zone: zone{"db.test": {alias: "real.test", addrs: both[:1], late: true}}, want: "192.0.2.7"},
		{name: "CNAME without an address", host: "db.test", zone: zone{"db.test": {alias: "real.test"}}, fails: "no such host", notFound: true, exists: "db.test"},
		{name: "CNAME to itself", host: "db.test", zone: zone{"db.test": {alias: "db.test"}}, fails: "no such host", notFound: true, exists: "db.test"},
		{name: "too large for UDP", network: "ip4", host: "db.test", zone: zone{"db.test": {addrs: many}}, want: strings.Join(many, " ")},
		{name: "TCP only", conf: "options use-vc\n", host: "db.test", zone: zone{"db.test": {addrs: both[:1]}}, want: "192.0.2.7"},

		{name: "no such name", host: "db.test", fails: "no such host", notFound: true},
		{name: "no address", host: "db.test", zone: zone{"db.test": {}}, fails: "no such host", notFound: true, exists: "db.test"},
		{name: "no address of the family", network: "ip6", host: "db.test", zone: zone{"db.test": {addrs: both[:1]}}, fails: "no such host", notFound: true, exists: "db.test"},
		{
			name: "no address with a domain", conf: inPod, host: "db",
			zone: zone{"db.svc.cluster.local": {}}, fails: "no such host", notFound: true, exists: "db.svc.cluster.local",
		},
		{name: "the server fails", host: "db.test", zone: zone{"db.test": {code: servFail}}, fails: "it answered SERVFAIL"},
		{name: "the server refuses", host: "db.test", zone: zone{"db.test": {code: refused}}, fails: "it answered REFUSED"},
		{
			// Perhaps the name exists there: an earlier answer must stay.
			name: "a domain fails, and no other name exists", conf: inPod, host: "db.test",
			zone: zone{"db.test.svc.cluster.local": {code: servFail}}, fails: "it answered SERVFAIL",
		},
		{name: "a label that is too long", host: strings.Repeat("a", 64) + ".test", fails: "the name cannot be asked for"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			if row.network == "" {
				row.network = "ip"
			}
			r := asking(t, row.conf, startServer(t, row.zone))
			got, err := lookUp(t, r, row.network, row.host)
			switch {
			case got != row.want:
				t.Errorf("got %q, want %q (%v)", got, row.want, err)
			case err == nil && row.fails == "":
			case err == nil, err.Err.Err != row.fails, err.Err.IsNotFound != row.notFound, err.Exists != row.exists, err.Err.Name != row.host:
				t.Errorf("got %+v, want %q", err, row.fails)
			}
		})
	}
}

// TestNamesAreAskedInOrder as resolv.conf(5) says.
func TestNamesAreAskedInOrder(t *testing.T) {
	for _, row := range []struct{ conf, host, want string }{
		{"", "db", "db."},
		{"search a.test b.test.\n", "db", "db.a.test. db.b.test. db."},
		{"search a.test\n", "db.x", "db.x. db.x.a.test."},
		{"search a.test\noptions ndots:2\n", "db.x", "db.x.a.test. db.x."},
		{"search a.test\noptions ndots:0\n", "db", "db. db.a.test."},
		{"search a.test\n", "db.", "db."},
		{"search .\n", "db", "db."},
		{"search a.test\ndomain c.test\n", "db", "db.c.test. db."},
		{"search " + strings.Repeat("a.", 125) + "test\n", "db.test", "db.test."},
	} {
		c := parseConf(row.conf, "")
		if got := strings.Join(c.names(row.host), " "); got != row.want {
			t.Errorf("%q, %s: got %s, want %s", row.conf, row.host, got, row.want)
		}
	}
}

// TestNextServer: what one server cannot say, another one may know.
func TestNextServer(t *testing.T) {
	good := zone{"db.test": {addrs: []string{"192.0.2.7"}}}
	for name, first := range map[string]func(network string, question []byte) [][]byte{
		"SERVFAIL": code(servFail),
		"REFUSED":  code(refused),
		"NOTIMP":   code(dnsmessage.RCodeNotImplemented),
		"lame": func(_ string, question []byte) [][]byte {
			return change(question, func(m *dnsmessage.Message) { m.RecursionAvailable = false })
		},
		"garbage over TCP": func(network string, question []byte) [][]byte {
			if network == "tcp" {
				return [][]byte{{0, 3, 1, 2, 3}}
			}
			return change(question, func(m *dnsmessage.Message) { m.Truncated = true })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad, second := startServer(t, nil), startServer(t, good)
			bad.answerBy(first)
			if got, err := lookUp(t, asking(t, "", bad, second), "ip4", "db.test"); got != "192.0.2.7" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
	t.Run("NXDOMAIN is an answer", func(t *testing.T) {
		first, second := startServer(t, nil), startServer(t, good)
		if _, err := lookUp(t, asking(t, "", first, second), "ip4", "db.test"); err == nil || !err.Err.IsNotFound || len(second.questions()) > 0 {
			t.Errorf("got %+v, and the second server was asked %v", err, second.questions())
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		closed := &server{addr: "127.0.0.1:1"}
		if got, err := lookUp(t, asking(t, "", closed, startServer(t, good)), "ip4", "db.test"); got != "192.0.2.7" {
			t.Errorf("got %q, %v", got, err)
		}
		_, err := lookUp(t, asking(t, inPod, closed), "ip4", "db.test")
		if err == nil || err.Err.Err != "connection refused" || err.Err.IsTimeout || !slices.Equal(err.Servers, []string{"192.0.2.1:53"}) {
			t.Errorf("got %+v", err)
		}
	})
}

// TestServersWithoutEDNS get a plain question.
func TestServersWithoutEDNS(t *testing.T) {
	for name, repeats := range map[string]bool{"with its question": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t, nil)
			s.answerBy(func(network string, question []byte) [][]byte {
				var m dnsmessage.Message
				m.Unpack(question)
				if len(m.Additionals) == 0 {
					return [][]byte{zone{"db.test": {addrs: []string{"192.0.2.7"}}}.reply(network, m)}
				}
				return change(question, func(m *dnsmessage.Message) {
					if m.RCode = dnsmessage.RCodeFormatError; !repeats {
						m.Questions = nil
					}
				})
			})
			if got, err := lookUp(t, asking(t, "", s), "ip4", "db.test"); got != "192.0.2.7" {
				t.Errorf("got %q, %v", got, err)
			}
		})
	}
}

// TestLocalhost is known without DNS.
func TestLocalhost(t *testing.T) {
	s := startServer(t, nil)
	r := asking(t, "", s)
	for host, want := range map[string]string{"localhost": "127.0.0.1 ::1", "Localhost.": "127.0.0.1 ::1", "db.localhost": "127.0.0.1 ::1"} {
		if got, _ := lookUp(t, r, "ip", host); got != want {
			t.Errorf("%s: %s", host, got)
		}
	}
	if got, _ := lookUp(t, r, "ip6", "localhost"); got != "::1" || len(s.questions()) > 0 {
		t.Errorf("got %s, and asked %v", got, s.questions())
	}
}

// code is a server that answers with a code.
func code(c dnsmessage.RCode) func(string, []byte) [][]byte {
	return func(_ string, question []byte) [][]byte {
		return change(question, func(m *dnsmessage.Message) { m.RCode = c })
	}
}

// change returns an answer without records, changed.
func change(question []byte, to func(*dnsmessage.Message)) [][]byte {
	var m dnsmessage.Message
	m.Unpack(question)
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	to(&m)
	packed, _ := m.Pack()
	return [][]byte{packed}
}
