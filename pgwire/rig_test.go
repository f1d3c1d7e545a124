package pgwire

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// TestMain fails the package if a session leaves a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	left := leftovers()
	for wait := 0; len(left) > 0 && wait < 100; wait++ {
		<-time.After(20 * time.Millisecond)
		left = leftovers()
	}
	if len(left) > 0 {
		println("goroutines left behind:\n" + strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

// leftovers returns the stacks of goroutines that run our code, but for TestMain's own.
func leftovers() (left []string) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "pgorigin/pgwire") && !strings.Contains(stack, "pgwire.TestMain(") {
			left = append(left, stack)
		}
	}
	return left
}

// ended is what Trace.Ended was told.
type ended struct {
	SessionInfo
	SessionResult
}

// rig is a server with a scripted client and a scripted upstream at its sides.
type rig struct {
	t         *testing.T
	server    *Server
	ln        *pgtest.Listener
	pair      func() (near, far net.Conn)
	secure    func(net.Conn) Upstream // makes the near end what Dial returns; nil: pgtest.NewUpstream
	served    chan error
	upstreams chan *pgtest.Peer // what Dial connected to
	targets   chan net.Addr     // what Dial was asked for
	ended     chan ended
	dialError error // what Dial returns in place of a connection
}

// newRig serves over in-memory pipes, so that it works in a bubble.
func newRig(t *testing.T, configure func(*Server)) *rig {
	return startRig(t, halfClosablePipe, configure)
}

// newTCPRig serves over loopback connections, which can half-close.
func newTCPRig(t *testing.T, configure func(*Server)) *rig {
	return startRig(t, func() (net.Conn, net.Conn) { return pgtest.TCPPair(t) }, configure)
}

func startRig(t *testing.T, pair func() (net.Conn, net.Conn), configure func(*Server)) *rig {
	r := &rig{
		t: t, ln: pgtest.NewListener(), pair: pair, served: make(chan error, 1),
		upstreams: make(chan *pgtest.Peer, 16), targets: make(chan net.Addr, 16), ended: make(chan ended, 16),
	}
	r.server = &Server{
		Dial: r.dial,
		Trace: &Trace{Ended: func(i SessionInfo, res SessionResult) {
			r.ended <- ended{i, res}
		}},
	}
	if configure != nil {
		configure(r.server)
	}
	go func() { r.served <- r.server.Serve(r.ln) }()
	t.Cleanup(func() {
		_ = r.server.Close()
		if err := <-r.served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return r
}

func (r *rig) dial(ctx context.Context, target net.Addr) (Upstream, error) {
	r.targets <- target
	if r.dialError != nil {
		return nil, r.dialError
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	near, far := r.pair()
	r.upstreams <- pgtest.NewPeer(r.t, far)
	if r.secure != nil {
		return r.secure(near), nil
	}
	return pgtest.NewUpstream(near), nil
}

// connect returns the client's end of a new session.
func (r *rig) connect() *pgtest.Peer {
	near, far := r.pair()
	r.ln.Hand(near)
	return pgtest.NewPeer(r.t, far)
}

// login returns both ends of a session that has reached the relay.
func (r *rig) login(key string) (client, upstream *pgtest.Peer) {
	r.t.Helper()
	client = r.connect()
	startup := pgtest.Startup("user", "app")
	client.Send(startup)
	upstream = <-r.upstreams
	<-r.targets
	upstream.Expect(startup)
	hello := pgtest.Login(key)
	go func() { _, _ = upstream.Write(hello) }()
	client.Expect(hello)
	return client, upstream
}

// beginTransaction leaves a session idle in a transaction.
func (r *rig) beginTransaction(client, upstream *pgtest.Peer) {
	r.t.Helper()
	begin := pgtest.Message('Q', "begin\x00")
	go client.Send(begin)
	upstream.Expect(begin)
	begun := append(pgtest.Message('C', "BEGIN\x00"), pgtest.ReadyForQuery('T')...)
	go upstream.Send(begun)
	client.Expect(begun)
}

// expectEnd waits for the session's end and checks its reason.
func (r *rig) expectEnd(want Reason) ended {
	r.t.Helper()
	e := <-r.ended
	if e.Reason != want {
		r.t.Fatalf("session ended with reason %q in phase %v (%v), want %q", e.Reason, e.SessionResult.Phase, e.Err, want)
	}
	return e
}

// expectNoDial checks that nothing was sent anywhere.
func (r *rig) expectNoDial() {
	r.t.Helper()
	select {
	case <-r.targets:
		r.t.Fatal("the upstream was dialled")
	default:
	}
}

// refusal is an error as tlsorigin returns them.
type refusal struct{ reason, state, text string }

func (e refusal) Error() string    { return e.text }
func (e refusal) Reason() string   { return e.reason }
func (e refusal) SQLState() string { return e.state }

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%q does not say %q", text, p)
		}
	}
}

// pipeEnd adds a half-close to net.Pipe: one pipe for each direction.
type pipeEnd struct {
	net.Conn          // what this end reads from
	out      net.Conn // what it writes to
}

func halfClosablePipe() (near, far net.Conn) {
	a, b := net.Pipe()
	c, d := net.Pipe()
	return &pipeEnd{a, c}, &pipeEnd{d, b}
}

func (p *pipeEnd) Write(b []byte) (int, error) { return p.out.Write(b) }
func (p *pipeEnd) CloseWrite() error           { return p.out.Close() }
func (p *pipeEnd) Close() error                { return errors.Join(p.Conn.Close(), p.out.Close()) }
func (p *pipeEnd) SetDeadline(t time.Time) error {
	return errors.Join(p.Conn.SetDeadline(t), p.out.SetDeadline(t))
}

// eachRelay runs a test of the relay with copying goroutines and with event
// loops, where the system has them.
func eachRelay(t *testing.T, play func(t *testing.T, r *rig)) {
	t.Helper()
	for name, portable := range map[string]bool{"goroutines": true, "loop": false} {
		t.Run(name, func(t *testing.T) {
			play(t, newTCPRig(t, func(s *Server) { s.portable = portable }))
		})
	}
}
