package listentls

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// TestMain fails the package if a session leaves a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	var left string
	for range 100 {
		stacks := make([]byte, 1<<20)
		left = ""
		for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
			if strings.Contains(stack, "pgorigin/") && !strings.Contains(stack, "listentls.TestMain(") {
				left += stack + "\n\n"
			}
		}
		if left == "" {
			break
		}
		<-time.After(20 * time.Millisecond)
	}
	if left != "" {
		println("goroutines left behind:\n" + left)
		code = 1
	}
	os.Exit(code)
}

// end is what Trace.Ended was told.
type end struct {
	pgwire.SessionInfo
	pgwire.SessionResult
}

// rig is a pgwire.Server with TLS on loopback, in front of a scripted upstream.
type rig struct {
	t         *testing.T
	server    *pgwire.Server
	address   string
	trusted   *x509.CertPool
	upstreams chan *pgtest.Peer
	ended     chan end
}

func newRig(t *testing.T, configure func(*pgwire.Server)) *rig {
	t.Helper()
	authority, err := NewAuthority(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := authority.NewLeaf([]string{"localhost", "127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{
		t: t, address: listener.Addr().String(), trusted: x509.NewCertPool(),
		upstreams: make(chan *pgtest.Peer, 16), ended: make(chan end, 16),
	}
	r.trusted.AppendCertsFromPEM(authority.PEM())
	r.server = &pgwire.Server{
		StartTLS: NewServer(leaf.Certificate).Start,
		Dial: func(context.Context, net.Addr) (pgwire.Upstream, error) {
			near, far := pgtest.TCPPair(t)
			r.upstreams <- pgtest.NewPeer(t, far)
			return pgtest.NewUpstream(near), nil
		},
		Trace: &pgwire.Trace{Ended: func(i pgwire.SessionInfo, res pgwire.SessionResult) { r.ended <- end{i, res} }},
	}
	if configure != nil {
		configure(r.server)
	}
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(listener) }()
	t.Cleanup(func() {
		_ = r.server.Close()
		<-served
	})
	return r
}

// dial opens a TCP connection.
func (r *rig) dial() *pgtest.Peer {
	r.t.Helper()
	conn, err := net.Dial("tcp", r.address)
	if err != nil {
		r.t.Fatal(err)
	}
	return pgtest.NewPeer(r.t, conn)
}

// config is that of a client which verifies everything.
func (r *rig) config() *tls.Config { return &tls.Config{RootCAs: r.trusted, ServerName: "localhost"} }

// secure sends SSLRequest and begins TLS.
func (r *rig) secure(config *tls.Config) *pgtest.Peer {
	r.t.Helper()
	raw := r.dial()
	raw.Send(pgtest.SSLRequest())
	raw.Expect([]byte("S"))
	return r.handshake(raw, config)
}

// direct begins TLS at once.
func (r *rig) direct(config *tls.Config) *pgtest.Peer {
	r.t.Helper()
	config.NextProtos = []string{protocolName}
	return r.handshake(r.dial(), config)
}

func (r *rig) handshake(raw net.Conn, config *tls.Config) *pgtest.Peer {
	r.t.Helper()
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	return pgtest.NewPeer(r.t, conn)
}

// login takes a client to the relay.
func (r *rig) login(client *pgtest.Peer) (upstream *pgtest.Peer) {
	r.t.Helper()
	startup, hello := pgtest.Startup("user", "app"), pgtest.Login("pid4key4")
	client.Send(startup)
	upstream = <-r.upstreams
	upstream.Expect(startup)
	upstream.Send(hello)
	client.Expect(hello)
	return upstream
}

// expectEnd waits for the end of a session.
func (r *rig) expectEnd(want pgwire.Reason) end {
	r.t.Helper()
	e := <-r.ended
	if e.Reason != want {
		r.t.Errorf("ended with %q (%v), want %q", e.Reason, e.Err, want)
	}
	return e
}

// expectNoUpstream checks that nothing was sent on.
func (r *rig) expectNoUpstream() {
	r.t.Helper()
	select {
	case <-r.upstreams:
		r.t.Error("the upstream was dialled")
	default:
	}
}
