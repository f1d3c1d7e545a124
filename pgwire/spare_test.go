package pgwire

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// spareRig is a rig whose DialSession returns spares.
type spareRig struct {
	*rig
	fresh    atomic.Int32 // calls of Replace
	loggedIn atomic.Int32 // calls of LoggedIn
	ready    atomic.Int32 // calls of UpstreamReady
}

func newSpareRig(t *testing.T, configure func(*Server)) *spareRig {
	r := &spareRig{rig: newRig(t, configure)}
	r.server.Trace.UpstreamReady = func(SessionInfo, net.Conn, time.Duration) { r.ready.Add(1) }
	r.server.DialSession = func(ctx context.Context, _ func(func())) (Opened, error) {
		conn, err := r.dial(ctx, nil)
		return Opened{
			Upstream: conn,
			Replace: func(ctx context.Context, _ error) (Opened, error) {
				r.fresh.Add(1)
				fresh, err := r.dial(ctx, nil)
				return Opened{Upstream: fresh}, err
			},
			LoggedIn: func() { r.loggedIn.Add(1) },
		}, err
	}
	return r
}

// next returns what was dialled last.
func (r *spareRig) next() *pgtest.Peer {
	<-r.targets
	return <-r.upstreams
}

// expectFresh fails unless Replace was called that often.
func (r *spareRig) expectFresh(n int32) {
	r.t.Helper()
	if got := r.fresh.Load(); got != n {
		r.t.Errorf("Replace was called %d times, want %d", got, n)
	}
}

// expire answers as pgbouncer answers a connection that is too old.
func expire(code, message string) func(*pgtest.Peer) {
	return func(p *pgtest.Peer) { p.Send(pgtest.ErrorResponse(code, message)); _ = p.Close() }
}

func TestDeadSpareIsReplaced(t *testing.T) {
	startup := pgtest.Startup("user", "app", "database", "db")
	reads := func(then func(*pgtest.Peer)) func(*pgtest.Peer) {
		return func(p *pgtest.Peer) { p.Expect(startup); then(p) }
	}
	closes := func(p *pgtest.Peer) { _ = p.Close() }
	for _, row := range []struct {
		name string
		dies func(*pgtest.Peer)
	}{
		{"before it is used", closes},
		{"without an answer", reads(closes)},
		{"within the first message", reads(func(p *pgtest.Peer) { p.Send([]byte("R\x00\x00\x00")); _ = p.Close() })},
		{"too old for pgbouncer", reads(expire("08P01", "client_login_timeout"))},
		{"with pgbouncer full", reads(expire("08P01", "no more connections allowed (max_client_conn)"))},
		{"with PostgreSQL full", reads(expire("53300", "sorry, too many clients already"))},
		{"with PostgreSQL starting up", reads(expire("57P03", "the database system is starting up"))},
	} {
		for _, binding := range []ChannelBinding{StripChannelBinding, BridgeChannelBinding} {
			t.Run(row.name+[]string{"", ", pass", ", bridge"}[binding], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newSpareRig(t, func(s *Server) { s.ChannelBinding, s.RequireAuth = binding, methodNone })
					client := r.connect()
					client.Send(startup)
					row.dies(r.next())

					fresh := r.next()
					fresh.Expect(startup)
					go fresh.Send(pgtest.Login("pid4key4"))
					client.Expect(pgtest.Login("pid4key4"))
					r.expectFresh(1)
					if n := r.loggedIn.Load(); n != 0 {
						t.Errorf("the dead one was told of %d logins", n)
					}
					if n := r.ready.Load(); n != 2 {
						t.Errorf("UpstreamReady ran %d times, want twice", n)
					}
					go client.Send(pgtest.Terminate())
					fresh.Expect(pgtest.Terminate())
					_ = client.Close()
					_ = fresh.Close()
					e := r.expectEnd(ReasonOK)
					if want := int64(len(startup) + len(pgtest.Terminate())); e.ToUpstream != want {
						t.Errorf("%d bytes went to the upstream, want %d", e.ToUpstream, want)
					}
				})
			})
		}
	}
}

// What a client sends behind its startup packet without being asked goes to the connection that lives, once
// and whole.
func TestPipelinedBytesSurviveADeadSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSpareRig(t, nil)
		client := r.connect()
		startup, early := pgtest.Startup("user", "app"), bytes.Repeat(pgtest.Message('p', "early\x00"), 100)
		go client.Send(startup, early)
		spare := r.next()
		spare.Expect(startup)
		_ = spare.Close()
		fresh := r.next()
		fresh.Expect(startup)
		go func() { _, _ = fresh.Write(pgtest.Login("pid4key4")) }()
		client.Expect(pgtest.Login("pid4key4"))
		fresh.Expect(early)
		_ = fresh.Close()
		client.ExpectError("08006")
		_ = client.Close()
		r.expectEnd(ReasonUpstreamGone)
		r.expectFresh(1)
	})
}

func TestLivingSpareIsAConnectionLikeAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSpareRig(t, nil)
		client := r.connect()
		startup := pgtest.Startup("user", "app")
		response, _ := loginMessage('q')
		go client.Send(startup, response)
		spare := r.next()
		spare.Expect(startup)
		go spare.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
		client.Expect(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
		spare.Expect(response) // sent before it was asked for, held back until the upstream asked
		if n := r.loggedIn.Load(); n != 0 {
			t.Error("that the login is over was said before it was")
		}
		challenge, _ := loginMessage('1')
		go spare.Send(challenge)
		client.Expect(challenge)
		go client.Send(pgtest.Message('p', "proof"))
		spare.Expect(pgtest.Message('p', "proof"))
		final, _ := loginMessage('2')
		go spare.Send(final, pgtest.Login("pid4key4"))
		client.Expect(final, pgtest.Login("pid4key4"))
		synctest.Wait()
		if n := r.loggedIn.Load(); n != 1 {
			t.Errorf("that the login is over was said %d times", n)
		}
		_ = spare.Close()
		client.ExpectError("08006") // no way back after the first message
		_ = client.Close()
		r.expectEnd(ReasonUpstreamGone)
		r.expectFresh(0)
	})
}

func TestRefusalsAreNotReplayed(t *testing.T) {
	startup := pgtest.Startup("user", "app")
	for _, row := range []struct {
		name   string
		answer []byte
		state  string
		reason Reason
	}{
		{"wrong user", pgtest.ErrorResponse("28000", "no pg_hba.conf entry"), "28000", ReasonAuthRejected},
		{"pgbouncer knows no such database", pgtest.ErrorResponse("08P01", "no such database: client_login_timeout"), "08P01", ReasonAuthRejected},
		{"no Postgres message", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "08P01", ReasonUpstreamProtocol},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newSpareRig(t, nil)
				client := r.connect()
				client.Send(startup)
				spare := r.next()
				spare.Expect(startup)
				go func() {
					_, _ = spare.Write(row.answer) // may be cut short by the end of the session
					_ = spare.Close()
				}()
				client.ExpectError(row.state)
				_ = client.Close()
				r.expectEnd(row.reason)
				r.expectFresh(0)
			})
		})
	}
}

func TestOneReplayOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newSpareRig(t, nil)
		client := r.connect()
		startup := pgtest.Startup("user", "app")
		client.Send(startup)
		_ = r.next().Close()
		fresh := r.next()
		fresh.Expect(startup)
		refusal := pgtest.ErrorResponse("57P03", "the database system is starting up")
		go func() { fresh.Send(refusal); _ = fresh.Close() }()
		client.Expect(refusal) // the upstream's own words, this time
		_ = client.Close()
		r.expectEnd(ReasonServerStarting)
		r.expectFresh(1)
	})
}

// rejecting is a connection whose upstream verifies the client certificate only when the handshake is done
// here.
type rejecting struct{ Upstream }

func (rejecting) Read([]byte) (int, error) {
	return 0, refusal{"client_cert_rejected", "08001", "upstream db:5432: rejected the client certificate"}
}

// What TLS 1.3 rejects on the first read may have been rotated since: the fresh connection decides, and its
// word is final.
func TestRejectedCertificateOnASpare(t *testing.T) {
	for _, again := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newSpareRig(t, nil)
			dial := r.server.DialSession
			r.server.DialSession = func(ctx context.Context, aside func(func())) (Opened, error) {
				spare, err := dial(ctx, aside)
				replace := spare.Replace
				spare.Replace = func(ctx context.Context, why error) (Opened, error) {
					fresh, err := replace(ctx, why)
					if again {
						fresh.Upstream = rejecting{fresh.Upstream}
					}
					return fresh, err
				}
				spare.Upstream = rejecting{spare.Upstream}
				return spare, err
			}
			client := r.connect()
			go client.Send(pgtest.Startup("user", "app"))
			first := r.next()
			go first.ExpectClosed()
			fresh := r.next()
			fresh.Expect(pgtest.Startup("user", "app"))
			if again {
				contains(t, client.ExpectError("08001").Message, "rejected the client certificate")
				_ = client.Close()
				r.expectEnd("client_cert_rejected")
			} else {
				go fresh.Send(pgtest.Login("pid4key4"))
				client.Expect(pgtest.Login("pid4key4"))
			}
			r.expectFresh(1)
			_ = client.Close()
		})
	}
}
