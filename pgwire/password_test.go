package pgwire

import (
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// A configured password needs no client that has one, and is asked for at each login.
func TestBridgeWithConfiguredPassword(t *testing.T) {
	passwords := []string{"first", "second"}
	r := bridgeRig(t, nil, func(s *Server) {
		s.RequireAuth = methodPassword
		s.Password = func() (string, error) {
			if len(passwords) == 0 {
				return "", errors.New("open /run/secrets/password: no such file")
			}
			next := passwords[0]
			passwords = passwords[1:]
			return next, nil
		}
	})
	for _, want := range []string{"first", "second"} {
		client, upstream := r.beginBridge(t)
		upstream.Send(cleartextRequest)
		upstream.Expect(pgtest.Message('p', want+"\x00"))
		upstream.Send(pgtest.Login("pid4key4"))
		client.Expect(pgtest.Login("pid4key4"))
	}
	client, upstream := r.beginBridge(t)
	upstream.Send(cleartextRequest)
	if e := client.ExpectError("28000"); strings.Contains(e.Message, "/run/secrets") {
		t.Errorf("the client was told %q", e.Message)
	}
}

// A password that the server no longer takes is pgorigin's own, also if a pooler says so.
func TestBridgeWithStalePassword(t *testing.T) {
	for name, refusal := range map[string][]byte{
		"PostgreSQL": fromPostgres(t, "28P01", `password authentication failed for user "app"`, "auth_failed"),
		"pgbouncer":  fromPgbouncer(t, "08P01", "SASL authentication failed"),
	} {
		t.Run(name, func(t *testing.T) {
			r := bridgeRig(t, nil, func(s *Server) {
				s.RequireAuth = methodPassword
				s.Password = func() (string, error) { return "old", nil }
			})
			client, upstream := r.beginBridge(t)
			upstream.Send(cleartextRequest)
			upstream.Expect(pgtest.Message('p', "old\x00"))
			upstream.Send(refusal)
			client.Expect(refusal)
			_ = client.Close()
			var own *Error
			if err := r.expectEnd(ReasonAuthRejected).Err; !errors.As(err, &own) || own.Case != CaseStalePassword {
				t.Errorf("ended as %+v", own)
			}
		})
	}
}

// A password in the clear is asked for where it cannot be overheard, or not at all.
func TestBridgeOnlyOnThisMachine(t *testing.T) {
	tests := map[string]struct {
		addr net.Addr
		want bool
	}{
		"IPv4 loopback": {&net.TCPAddr{IP: net.IPv4(127, 3, 2, 1)}, true},
		"IPv6 loopback": {&net.TCPAddr{IP: net.IPv6loopback}, true},
		"Unix socket":   {&net.UnixAddr{Name: "/run/.s.PGSQL.6432", Net: "unix"}, true},
		"pod address":   {&net.TCPAddr{IP: net.IPv4(10, 0, 0, 7)}, false},
		"unknown":       {pgtest.NewListener().Addr(), true},
		"pipe":          {pipeAddr{}, false},
	}
	for name, tt := range tests {
		if got := staysOnMachine(tt.addr); got != tt.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	r := newRig(t, func(s *Server) { s.ChannelBinding, s.RequireAuth = BridgeChannelBinding, methodPassword }) // over pipes, which are neither
	client := r.connect()
	client.Send(pgtest.Startup("user", "app"))
	upstream := <-r.upstreams
	upstream.Expect(pgtest.Startup("user", "app"))
	go upstream.Send(cleartextRequest)
	client.ExpectError("28000")
	_ = client.Close()
	r.expectEnd(ReasonAuthChannelBinding)
}

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
