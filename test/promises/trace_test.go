package promises

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
	"github.com/pgorigin/pgorigin/tlsorigin"
	"github.com/pgorigin/pgorigin/tlsorigin/spares"
	"github.com/pgorigin/pgorigin/tlsorigin/tlstest"
)

// road is one of the ways that a session can take to the upstream.
type road struct {
	goroutines bool          // the relay is kept off the event loop
	spares     int           // connections kept ready
	resumeFor  time.Duration // of TLS sessions
	before     int           // sessions that go first
	restarts   int32         // logins that the upstream refuses at first, because it starts
	trace      []string      // what each upstream connection sees while one client logs in and another cancels
}

func roads() map[string]road {
	const login, cancel = "dial verified login", "dial verified cancel"
	return map[string]road{
		"plain":      {goroutines: true, trace: []string{login, cancel}},
		"event loop": {trace: []string{login, cancel}},
		// The second spare takes the place of the first.
		"spare":       {spares: 1, trace: []string{login, "dial verified", cancel}},
		"resumed":     {resumeFor: time.Hour, before: 1, trace: []string{login, "dial verified resumed login", "dial verified resumed cancel"}},
		"restart":     {restarts: 2, trace: []string{login, login, login, cancel}},
		"known chain": {before: 1, trace: []string{login, login, cancel}},
	}
}

// TestNothingBeforeVerification is the one place to look for the promise that no byte of a client leaves before the
// upstream has proved itself. It records dial, verification and the first byte inside of TLS for every road, login and
// cancel. Then the upstream's certificate is revoked: from now on nothing but dials may be seen.
func TestNothingBeforeVerification(t *testing.T) {
	for name, r := range roads() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startStage(t, r, 24*time.Hour)
			s.play(t)
			s.check(t, r.trace)
			s.revoke(t)
			s.expectRefusals(t, tlsorigin.ReasonCertRevoked)
		})
	}
}

// A chain or a TLS session that was accepted once is not accepted for ever: when its revocation list runs out, the
// policy refuses what it took a moment ago, under the same trust.
func TestPolicyHoldsForWhatIsRemembered(t *testing.T) {
	for name, r := range roads() {
		if r.spares > 0 {
			continue // a spare was verified when it was made
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startStage(t, r, 2*time.Second)
			for life := 4 * time.Second; !s.tryPlay(t) && life < time.Minute; life *= 2 { // a busy machine
				s = startStage(t, r, life)
			}
			s.check(t, r.trace)
			time.Sleep(time.Until(s.dialer.CRLNextUpdate().Add(time.Millisecond)))
			s.expectRefusals(t, tlsorigin.ReasonCRLStale)
		})
	}
}

// stage is a client's way to a good upstream through both leaves, with everything recorded.
type stage struct {
	road
	recorder recorder
	ca       *tlstest.CA
	pair     *tlstest.Pair
	crlFile  string
	dialer   *tlsorigin.Dialer
	spares   *spares.Pool
	server   *pgwire.Server
	addr     string
	ended    chan pgwire.SessionResult
	refused  atomic.Int32 // logins, because the upstream starts
	session  *pgtest.Peer // the one that can be cancelled
}

const sessionKey = "pid4" + secret

func startStage(t *testing.T, r road, listLife time.Duration) *stage {
	t.Helper()
	s := &stage{road: r, ca: tlstest.NewCA("the CA", tlstest.P256), ended: make(chan pgwire.SessionResult, 1)}
	s.pair = s.ca.Issue(tlstest.Leaf{DNSNames: []string{serverName}})
	s.crlFile = filepath.Join(t.TempDir(), "crl.pem")
	s.writeList(t, tlstest.CRL{NextUpdate: time.Now().Add(listLife)})
	upstreams := listen(t)
	go s.serveUpstream(upstreams)
	var err error
	s.dialer, err = tlsorigin.NewDialer(tlsorigin.Config{
		Addrs: []string{upstreams.Addr().String()}, ServerName: serverName, CAPEM: string(s.ca.PEM()), CRLFile: s.crlFile,
		ResumeFor: r.resumeFor, Trace: &tlsorigin.Trace{Attempt: s.recorder.attempt},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.spares = spares.New(s.dialer, r.spares, spares.Trace{})
	s.spares.Start()
	s.server = &pgwire.Server{
		Dial: s.dial, DialSession: s.dialSession,
		Trace: &pgwire.Trace{Ended: func(_ pgwire.SessionInfo, r pgwire.SessionResult) { s.ended <- r }},
	}
	clients := listen(t)
	s.addr = clients.Addr().String()
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(clients) }()
	t.Cleanup(func() {
		go func() {
			for range s.ended { // sessions that Close ends
			}
		}()
		_ = s.server.Close()
		<-served
		close(s.ended)
		_ = s.spares.Close()
		_ = s.dialer.Close()
	})
	return s
}

func (s *stage) dial(ctx context.Context, target net.Addr) (pgwire.Upstream, error) {
	return s.upstream(s.dialer.Dial(ctx, target))
}

func (s *stage) dialSession(ctx context.Context, _ func(func())) (pgwire.Opened, error) {
	if s.restarts > 0 {
		return s.replaceable(ctx, nil)
	}
	spare := s.spares.Take()
	if spare == nil {
		return s.dialAnew(ctx)
	}
	return pgwire.Opened{
		Upstream: spare.Conn,
		Replace: func(ctx context.Context, _ error) (pgwire.Opened, error) {
			spare.Dead(ctx)
			return s.dialAnew(ctx)
		},
		LoggedIn: spare.LoggedIn,
	}, nil
}

func (s *stage) dialAnew(ctx context.Context) (pgwire.Opened, error) {
	upstream, err := s.upstream(s.dialer.Dial(ctx, nil))
	return pgwire.Opened{Upstream: upstream}, err
}

// replaceable dials a connection in whose place another one may be dialled.
func (s *stage) replaceable(ctx context.Context, _ error) (pgwire.Opened, error) {
	opened, err := s.dialAnew(ctx)
	opened.Replace = s.replaceable
	return opened, err
}

// upstream hides from pgwire what an event loop needs, if the road is to have none.
func (s *stage) upstream(conn *tlsorigin.Conn, err error) (pgwire.Upstream, error) {
	if err != nil {
		return nil, err
	}
	if s.goroutines {
		return withoutSocket{conn}, nil
	}
	return conn, nil
}

// withoutSocket is a connection that no event loop can relay.
type withoutSocket struct{ *tlsorigin.Conn }

func (withoutSocket) Socket() net.Conn { return nil }

func (s *stage) writeList(t *testing.T, list tlstest.CRL) {
	t.Helper()
	if err := os.WriteFile(s.crlFile, tlstest.CRLPEM(s.ca.CRL(list)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// revoke puts the upstream's certificate on the list.
func (s *stage) revoke(t *testing.T) {
	t.Helper()
	s.writeList(t, tlstest.CRL{Revoked: []*x509.Certificate{s.pair.Leaf}})
	if _, err := s.dialer.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// serveUpstream is a server that everybody may log in to.
func (s *stage) serveUpstream(ln net.Listener) {
	config := &tls.Config{Certificates: []tls.Certificate{s.pair.TLS()}}
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		number := s.recorder.dialled()
		go func() {
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			tap := &wiretap{Conn: conn}
			says("S")(tap)
			server := tls.Server(tap, config)
			if server.Handshake() == nil {
				s.recorder.handshake(number, server.ConnectionState())
			}
			s.answer(number, server)
			if strings.Contains(tap.seen.String(), user) || strings.Contains(tap.seen.String(), secret) {
				s.recorder.add(number, "plaintext")
			}
		}()
	}
}

// answer records what comes first inside of TLS, lets a login in and takes a cancel request.
func (s *stage) answer(number int, server net.Conn) {
	var head [8]byte
	if _, err := io.ReadFull(server, head[:1]); err != nil {
		return
	}
	_, _ = io.ReadFull(server, head[1:])
	if binary.BigEndian.Uint32(head[4:]) == 80877102 {
		s.recorder.add(number, "cancel")
		return
	}
	s.recorder.add(number, "login")
	_, _ = io.CopyN(io.Discard, server, int64(binary.BigEndian.Uint32(head[:]))-8)
	if s.refused.Add(1) <= s.restarts {
		_, _ = server.Write(pgtest.ErrorResponse("57P03", "the database system is starting up"))
		return
	}
	_, _ = server.Write(pgtest.Login(sessionKey))
	_, _ = io.Copy(io.Discard, server)
}

// connect is a client that has a minute.
func (s *stage) connect(t *testing.T) *pgtest.Peer {
	t.Helper()
	return (&world{addr: s.addr}).connect(t)
}

// play is what happens on every road: a client logs in and stays, another cancels.
func (s *stage) play(t *testing.T) {
	t.Helper()
	if !s.tryPlay(t) {
		t.Fatal("the upstream was refused")
	}
}

// tryPlay is play that returns false when the upstream is refused.
func (s *stage) tryPlay(t *testing.T) bool {
	t.Helper()
	for range s.before {
		client, ok := s.logIn(t)
		if !ok {
			return false
		}
		client.Send(pgtest.Terminate())
		_ = client.Close()
		<-s.ended
	}
	s.awaitSpares(t)
	client, ok := s.logIn(t)
	if !ok {
		return false
	}
	s.session = client
	s.awaitSpares(t)
	s.checkOffLoop(t)
	return s.cancel(t).Reason == pgwire.ReasonOK
}

// checkOffLoop checks what relays the session. The client may see the end of the login before the session gets there.
func (s *stage) checkOffLoop(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	for end := time.Now().Add(10 * time.Second); s.goroutines && s.server.SessionsOffLoop() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if off := s.server.SessionsOffLoop(); (off == 1) != s.goroutines {
		t.Errorf("%d sessions are off the event loop", off)
	}
}

// logIn returns a client whose session relays, or false if the upstream was refused.
func (s *stage) logIn(t *testing.T) (*pgtest.Peer, bool) {
	t.Helper()
	client := s.connect(t)
	client.Send(pgtest.Startup("user", user))
	for {
		switch kind, _ := client.ReadMessage(); kind {
		case 'E':
			_ = client.Close()
			<-s.ended
			return nil, false
		case 'Z':
			return client, true
		}
	}
}

func (s *stage) cancel(t *testing.T) pgwire.SessionResult {
	t.Helper()
	client := s.connect(t)
	client.Send(pgtest.CancelRequest(sessionKey))
	client.ExpectEOF()
	_ = client.Close()
	return <-s.ended
}

// awaitSpares waits until there are as many as there should be.
func (s *stage) awaitSpares(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); s.spares.Ready() < s.road.spares; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no spare is ready")
		}
	}
}

// expectRefusals sees a login and a cancel request end for that reason. No upstream connection gets a byte of them: those
// of before get nothing new, those that are new get a dial.
func (s *stage) expectRefusals(t *testing.T, reason tlsorigin.Reason) {
	t.Helper()
	client := s.connect(t)
	client.Send(pgtest.Startup("user", user))
	client.ExpectError("08001")
	client.ExpectEOF()
	_ = client.Close()
	if ended := <-s.ended; ended.Reason != pgwire.Reason(reason) {
		t.Errorf("the session ended with reason %s, want %s", ended.Reason, reason)
	}
	if ended := s.cancel(t); ended.Reason != pgwire.Reason(reason) {
		t.Errorf("the cancel request ended with reason %s, want %s", ended.Reason, reason)
	}
	traces := s.recorder.traces()
	dials := len(s.trace)
	if refused := len(traces) - dials; refused < 2 {
		t.Errorf("the upstream saw %d more connections, want 2", refused)
	}
	for _, trace := range traces[min(dials, len(traces)):] {
		if trace != "dial" {
			t.Errorf("an upstream that must be refused saw %q", trace)
		}
	}
	s.check(t, s.trace, traces[:min(dials, len(traces))]...)
}

// check compares traces, or those recorded so far, with what is wanted.
func (s *stage) check(t *testing.T, want []string, traces ...string) {
	t.Helper()
	if traces == nil {
		traces = s.recorder.traces()
	}
	if !slices.Equal(traces, want) {
		t.Errorf("the upstream connections saw %q, want %q", traces, want)
	}
}

// recorder notes what happens to upstream connections, in one order for all.
type recorder struct {
	mu     sync.Mutex
	dials  int
	events []event
	number map[string]int // of a connection, by a secret that only its two ends know
}

// event is something that happened to a connection, known by number or, on our side, by its secret.
type event struct {
	number       int
	secret, what string
}

// dialled notes another connection and returns its number.
func (r *recorder) dialled() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dials++
	r.events = append(r.events, event{number: r.dials, what: "dial"})
	return r.dials
}

func (r *recorder) add(number int, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event{number: number, what: what})
}

// handshake links the upstream's end of a connection to ours.
func (r *recorder) handshake(number int, state tls.ConnectionState) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.number == nil {
		r.number = map[string]int{}
	}
	r.number[sharedSecret(state)] = number
}

// attempt is the hook of tlsorigin that says what came of a dial.
func (r *recorder) attempt(a tlsorigin.Attempt) {
	if a.Err != nil {
		return // the session's end says why
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	what := "verified"
	if a.State.DidResume {
		what += " resumed"
	}
	r.events = append(r.events, event{secret: sharedSecret(a.State), what: what})
}

// sharedSecret is the same on both sides of a TLS connection and on no other.
func sharedSecret(state tls.ConnectionState) string {
	material, err := state.ExportKeyingMaterial("EXPORTER-test", nil, 16)
	if err != nil {
		return fmt.Sprint(errors.Join(errors.New("no secret"), err))
	}
	return string(material)
}

// traces returns what happened to each connection, in the order of their dials.
func (r *recorder) traces() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	traces := make([]string, r.dials)
	for _, e := range r.events {
		if e.number == 0 {
			e.number = r.number[e.secret]
		}
		if e.number == 0 {
			return []string{"verified a connection that the upstream does not have"}
		}
		traces[e.number-1] = strings.TrimSpace(traces[e.number-1] + " " + e.what)
	}
	return traces
}
