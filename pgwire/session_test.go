package pgwire

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

func TestSessionIsByteExact(t *testing.T) {
	r := newTCPRig(t, nil)
	client := r.connect()
	client.Send(pgtest.SSLRequest())
	client.Expect([]byte("N"))
	// Repeated and unknown parameters in this order, a future version, and an
	// answer that does not wait to be asked for.
	startup := pgtest.StartupVersion(3, 9999, "user", "app", "_pq_.x", "1", "user", "app", "options", "-c geqo=off", "database", "shop")
	password := pgtest.Message('p', "secret\x00")
	asked := pgtest.Message('R', "\x00\x00\x00\x03")
	client.Send(startup, password)

	upstream := <-r.upstreams
	upstream.Expect(startup)
	upstream.Send(asked)
	client.Expect(asked)
	upstream.Expect(password)
	upstream.Send(pgtest.Login("pid4key4"), []byte("coalesced"))
	client.Expect(pgtest.Login("pid4key4"), []byte("coalesced"))

	offer := pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS") // mere data by now
	upstream.Send(offer)
	client.Expect(offer)
	client.Send(offer, pgtest.Terminate())
	_ = client.Close()
	upstream.Expect(offer, pgtest.Terminate())
	upstream.ExpectEOF()
	_ = upstream.Close()

	e := r.expectEnd(ReasonOK)
	if e.User != "app" || e.Database != "shop" || e.SessionResult.Phase != PhaseRelay || e.Err != nil {
		t.Errorf("ended as %+v", e)
	}
	if want := int64(len(startup) + len(password) + len(offer) + 5); e.ToUpstream != want {
		t.Errorf("counted %d bytes to the upstream, want %d", e.ToUpstream, want)
	}
}

// A failed Dial reaches the client with code, cause, session and cure; the text
// of an error that does not vouch for itself does not.
func TestDialFailure(t *testing.T) {
	named := refusal{"cert_name_mismatch", "08001", `certificate is valid for "db.internal", not "pgbouncer.prod"`}
	tests := map[string]struct {
		err     error
		message string
		reason  Reason
	}{
		"described":         {named, "pgorigin: " + named.text, "cert_name_mismatch"},
		"described, nested": {errors.Join(errors.New("x"), named), "pgorigin: " + named.text, "cert_name_mismatch"},
		"anonymous":         {errors.New("peer says: EVIL"), "pgorigin: cannot establish a verified connection to the upstream", ReasonUpstreamUnreached},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newTCPRig(t, func(s *Server) {
				s.Hint = func(err error) string { return "set PGORIGIN_TLS_SERVER_NAME" }
			})
			r.dialError = tt.err
			client := r.connect()
			client.Send(pgtest.Startup("user", "app"), pgtest.Message('p', "pipelined\x00"))
			e := client.ExpectError("08001")
			client.ExpectEOF()
			_ = client.Close()
			if e.Severity != "FATAL" || e.Message != tt.message || e.Hint != "set PGORIGIN_TLS_SERVER_NAME" {
				t.Errorf("client was told %+v", e)
			}
			contains(t, e.Detail, "session 1")
			if got := r.expectEnd(tt.reason); got.SQLState != "08001" || got.SessionResult.Phase != PhaseDial || !errors.Is(got.Err, tt.err) {
				t.Errorf("ended as %+v", got)
			}
		})
	}
}

// How an upstream can fail during login, and what each side learns of it.
func TestLoginFailure(t *testing.T) {
	refused := pgtest.ErrorResponse("28P01", "password authentication failed")
	tests := map[string]struct {
		upstream []byte // said before it closes
		passes   []byte // what of it the client sees
		state    string // of pgorigin's own ErrorResponse, or ""
		want     Reason
		logged   string // SQLSTATE in the result
	}{
		"closes at once":            {state: "08006", want: ReasonUpstreamGone, logged: "08006"},
		"closes after the offer":    {pgtest.AuthenticationSASL("SCRAM-SHA-256"), pgtest.AuthenticationSASL("SCRAM-SHA-256"), "08006", ReasonUpstreamGone, "08006"},
		"closes within a message":   {pgtest.Message('N', "name\x00value\x00")[:9], nil, "08006", ReasonUpstreamGone, "08006"},
		"closes within a held one":  {pgtest.AuthenticationSASL("SCRAM-SHA-256")[:12], nil, "08006", ReasonUpstreamGone, "08006"},
		"refuses":                   {refused, refused, "", ReasonAuthRejected, "28P01"},
		"notice, then refuses":      {join(pgtest.Message('N', "SNOTICE\x00\x00"), refused), join(pgtest.Message('N', "SNOTICE\x00\x00"), refused), "", ReasonAuthRejected, "28P01"},
		"offers only PLUS":          {pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS"), nil, "28000", ReasonAuthChannelBinding, "28000"},
		"impossible length":         {[]byte("S\xff\xff\xff\xff"), nil, "08P01", ReasonUpstreamProtocol, "08P01"},
		"impossible behind a good":  {join(pgtest.AuthenticationOk(), []byte("S\x00\x00\x00\x01")), pgtest.AuthenticationOk(), "08P01", ReasonUpstreamProtocol, "08P01"},
		"unterminated SASL list":    {[]byte("R\x00\x00\x00\x0a\x00\x00\x00\x0aab"), nil, "08P01", ReasonUpstreamProtocol, "08P01"},
		"speaks HTTP inside of TLS": {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), nil, "08P01", ReasonUpstreamProtocol, "08P01"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newTCPRig(t, nil)
			client := r.connect()
			startup := pgtest.Startup("user", "app")
			client.Send(startup)
			upstream := <-r.upstreams
			upstream.Expect(startup)
			upstream.Send(tt.upstream)
			upstream.CloseWrite()
			client.Expect(tt.passes)
			if tt.state != "" {
				contains(t, client.ExpectError(tt.state).Message, "pgorigin: ")
			}
			client.ExpectEOF()
			_ = client.Close()
			if e := r.expectEnd(tt.want); e.SQLState != tt.logged || e.SessionResult.Phase != PhaseAuth {
				t.Errorf("ended as %+v", e)
			}
			if rest := upstream.ExpectClosed(); len(rest) > 0 {
				t.Errorf("the upstream was sent %q", rest)
			}
		})
	}
}

// lateRejection is an upstream connection as a TLS 1.3 server leaves it that
// rejects the client certificate: what is written is lost, the first read says why.
type lateRejection struct{ Upstream }

// Write has noticed before Read that the server has closed.
func (lateRejection) Write([]byte) (int, error) {
	return 0, refusal{"upstream_gone", "08006", "the connection was lost"}
}

func (lateRejection) Read([]byte) (int, error) {
	return 0, refusal{"client_cert_rejected", "08001", "the upstream rejected the client certificate"}
}

func TestUpstreamErrorWithItsOwnReason(t *testing.T) {
	r := newTCPRig(t, func(s *Server) {
		dial := s.Dial
		s.Dial = func(ctx context.Context, target net.Addr) (Upstream, error) {
			conn, err := dial(ctx, target)
			return lateRejection{conn}, err
		}
	})
	client := r.connect()
	client.Send(pgtest.Startup("user", "app"))
	contains(t, client.ExpectError("08001").Message, "pgorigin: the upstream rejected the client certificate")
	client.ExpectEOF()
	_ = client.Close()
	r.expectEnd("client_cert_rejected")
}

func TestAllow(t *testing.T) {
	r := newTCPRig(t, func(s *Server) {
		s.Allow = func(client net.Conn) error {
			if client.RemoteAddr() == nil {
				t.Error("asked about a connection without an address")
			}
			return errors.New("uid 1000 may not connect here")
		}
	})
	client := r.connect()
	client.Send(pgtest.Startup("user", "app"))
	contains(t, client.ExpectError("28000").Message, "pgorigin: uid 1000 may not connect here")
	client.ExpectEOF()
	_ = client.Close()
	r.expectEnd(ReasonClientDenied)
	canceller := r.connect()
	canceller.Send(pgtest.CancelRequest("pid4key4"))
	canceller.ExpectEOF()
	_ = canceller.Close()
	r.expectEnd(ReasonClientDenied)
	r.expectNoDial()
}

func TestMaxSessions(t *testing.T) {
	r := newTCPRig(t, func(s *Server) { s.MaxSessions = 1 })
	client, upstream := r.login("pid4key4")

	extra := r.connect()
	extra.Send(pgtest.Startup("user", "app"))
	contains(t, extra.ExpectError("53300").Message, "1 of 1")
	extra.ExpectEOF()
	_ = extra.Close()
	failure := new(Error)
	if e := r.expectEnd(ReasonTooManySessions); !errors.As(e.SessionResult.Err, &failure) || failure.Case != CaseMaxSessions {
		t.Errorf("the case is %q", failure.Case)
	}
	r.expectNoDial()

	canceller := r.connect()
	canceller.Send(pgtest.CancelRequest("pid4key4"))
	_ = (<-r.upstreams).Close()
	<-r.targets
	canceller.ExpectClosed()
	<-r.ended

	client.Send(pgtest.Terminate())
	_ = client.Close()
	upstream.Expect(pgtest.Terminate())
	_ = upstream.Close()
	r.expectEnd(ReasonOK)
	if err := r.server.wait(t.Context(), func() bool { return r.server.admitted == 0 }); err != nil {
		t.Fatal(err)
	}
	r.login("pid4key4")
}

// fuzzSession plays one session over pipes and checks what reached the upstream.
func fuzzSession(ctx context.Context, t *testing.T, fromClient, fromUpstream []byte) {
	ln := pgtest.NewListener()
	var reached []byte
	var peers sync.WaitGroup
	server := &Server{
		Dial: func(context.Context, net.Addr) (Upstream, error) {
			near, far := net.Pipe()
			peers.Go(func() {
				_, _ = far.Write(fromUpstream)
				_ = far.Close()
			})
			return recorder{pgtest.NewUpstream(near), &reached}, nil
		},
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	near, far := net.Pipe()
	ln.Hand(near)
	go func() { _, _ = io.Copy(io.Discard, far) }()
	_, _ = far.Write(fromClient)
	_ = far.Close()
	if err := server.wait(ctx, func() bool { return len(server.sessions) == 0 }); err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	<-served
	peers.Wait()
	if !bytes.Contains(fromClient, reached) {
		t.Fatalf("the upstream got %q of a client that sent %q", reached, fromClient)
	}
}

// recorder keeps what is written and lets it pass for sent.
type recorder struct {
	Upstream
	reached *[]byte
}

func (r recorder) Write(p []byte) (int, error) {
	*r.reached = append(*r.reached, p...)
	return len(p), nil
}
