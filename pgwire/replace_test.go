package pgwire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// replaceRig is a rig whose connections can be replaced any number of times.
type replaceRig struct {
	*rig
	givesUp            func(why error) error // what Replace returns; nil means another connection
	whys               chan error            // of the calls of Replace
	answered, loggedIn atomic.Int32
}

func newReplaceRig(r *rig) *replaceRig {
	rr := &replaceRig{rig: r, whys: make(chan error, 1000), givesUp: func(error) error { return nil }}
	r.server.DialSession = func(ctx context.Context, _ func(func())) (Opened, error) {
		conn, err := r.server.Dial(ctx, nil)
		return rr.opened(conn), err
	}
	return rr
}

func (r *replaceRig) opened(conn Upstream) Opened {
	return Opened{
		Upstream: conn,
		Replace: func(ctx context.Context, why error) (Opened, error) {
			r.whys <- why
			if err := r.givesUp(why); err != nil {
				return Opened{}, err
			}
			again, err := r.server.Dial(ctx, nil)
			return r.opened(again), err
		},
		Answered: func() { r.answered.Add(1) },
		LoggedIn: func() { r.loggedIn.Add(1) },
	}
}

// next returns what was dialled last.
func (r *replaceRig) next() *pgtest.Peer {
	<-r.targets
	return <-r.upstreams
}

func (r *replaceRig) expectReplaced(n int) {
	r.t.Helper()
	if len(r.whys) != n {
		r.t.Errorf("Replace was called %d times, want %d", len(r.whys), n)
	}
}

// expectOneKey fails unless there is one key for cancel requests: that of the last connection.
func (r *rig) expectOneKey() {
	r.t.Helper()
	keys := &r.server.keys
	keys.mu.Lock()
	defer keys.mu.Unlock()
	if len(keys.owners) != 1 {
		r.t.Errorf("%d keys for cancel requests", len(keys.owners))
	}
}

// startups are packets that must be the same on each connection.
func startups() map[string][]byte {
	v32 := pgtest.Startup("user", "app", "_pq_.feature", "on", "options", "-c a=\x01", "x", strings.Repeat("y", 9000))
	v32[7] = 2
	return map[string][]byte{"plain": pgtest.Startup("user", "app", "database", "db"), "3.2 with options": v32}
}

// endings are ends of a connection of which the client has seen nothing.
func endings() map[string][]byte {
	negotiate := pgtest.Message('v', "\x00\x00\x00\x00\x00\x00\x00\x01_pq_.feature\x00")
	notice := pgtest.Message('N', "SNOTICE\x00Mlater\x00\x00")
	login := pgtest.Login("dead" + strings.Repeat("x", 200))
	starting := pgtest.ErrorResponse("57P03", "the database system is starting up")
	stopping := pgtest.ErrorResponse("57P01", "terminating connection due to administrator command")
	return map[string][]byte{
		"starting":                   starting,
		"stopping":                   stopping,
		"shutting down":              pgtest.ErrorResponse("57P03", "das Datenbanksystem fährt herunter"),
		"crashed":                    pgtest.ErrorResponse("57P02", "terminating connection because of crash of another server process"),
		"forwarded by a pooler":      fromPoolerOnly("08P01", "the database system is starting up"),
		"without a message":          nil,
		"within a header":            starting[:3],
		"within a message":           starting[:20],
		"starting, for 3.2":          join(negotiate, starting),
		"without a message, for 3.2": negotiate,
		"after a notice":             join(notice, stopping),
		"after AuthenticationOk":     join(pgtest.AuthenticationOk(), stopping),
		"before ReadyForQuery":       login[:len(login)-6],
		"within ReadyForQuery":       login[:len(login)-1],
	}
}

func fromPoolerOnly(state, text string) []byte {
	return pgtest.Message('E', "SFATAL\x00C"+state+"\x00M"+text+"\x00\x00")
}

// Whatever the upstream does, the client sees nothing of it and is logged in when the upstream is well again.
func TestLoginBeginsAgain(t *testing.T) {
	for ending, says := range endings() {
		for packet, startup := range startups() {
			for _, times := range []int{1, 3} {
				t.Run(fmt.Sprintf("%s, %s, %d times", ending, packet, times), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						r := newReplaceRig(newRig(t, nil))
						began := time.Now()
						client := r.connect()
						go client.Send(startup)
						for range times {
							upstream := r.next()
							upstream.Expect(startup)
							_, _ = upstream.Write(says) // the session may close it after a whole refusal
							_ = upstream.Close()
						}
						upstream := r.next()
						upstream.Expect(startup)
						key := "pid4" + strings.Repeat("k", 256)
						go upstream.Send(pgtest.Login(key))
						client.Expect(pgtest.Login(key))
						synctest.Wait()
						since(t, began, time.Duration(times-1)*replaceEvery)
						r.expectReplaced(times)
						if r.loggedIn.Load() != 1 {
							t.Errorf("logged in %d times", r.loggedIn.Load())
						}
						r.expectOneKey()
						go client.Send(pgtest.Terminate())
						upstream.Expect(pgtest.Terminate())
						_ = client.Close()
						_ = upstream.Close()
						e := r.expectEnd(ReasonOK)
						if want := int64(len(startup) + 5); e.ToUpstream != want || e.ToClient != int64(len(pgtest.Login(key))) {
							t.Errorf("%d bytes went up and %d down", e.ToUpstream, e.ToClient)
						}
					})
				})
			}
		}
	}
}

// If there is no other connection, the client sees what it would see without Replace.
func TestNotReplaced(t *testing.T) {
	startup := pgtest.Startup("user", "app")
	for ending, says := range endings() {
		for _, wraps := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, wrapped: %v", ending, wraps), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					play := func(r *rig) (seen []byte, e ended) {
						client := r.connect()
						go client.Send(startup)
						upstream := <-r.upstreams
						upstream.Expect(startup)
						go func() { _, _ = upstream.Write(says); _ = upstream.Close() }()
						seen = client.ExpectClosed()
						_ = client.Close()
						return seen, <-r.ended
					}
					r := newReplaceRig(newRig(t, nil))
					r.givesUp = func(why error) error {
						if wraps {
							return fmt.Errorf("waited for nothing: %w", why)
						}
						return why
					}
					seen, e := play(r.rig)
					want, wantEnd := play(newRig(t, nil))
					if !bytes.Equal(seen, want) || e.Reason != wantEnd.Reason || e.SQLState != wantEnd.SQLState || e.SessionResult.Phase != wantEnd.SessionResult.Phase ||
						e.Err.Error() != wantEnd.Err.Error() || e.ToUpstream != wantEnd.ToUpstream || e.ToClient != wantEnd.ToClient {
						t.Errorf("the client saw %q and the end is %+v;\nwithout Replace it is %q and %+v", seen, e.SessionResult, want, wantEnd.SessionResult)
					}
					r.expectReplaced(1)
				})
			})
		}
	}
}

// Any other error of Replace is one of dialling.
func TestReplaceFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplaceRig(newRig(t, nil))
		r.givesUp = func(error) error {
			return refusal{"cert_name_mismatch", "08001", "the certificate is for somebody else"}
		}
		client := r.connect()
		go client.Send(pgtest.Startup("user", "app"))
		upstream := r.next()
		upstream.Expect(pgtest.Startup("user", "app"))
		go upstream.Send(pgtest.ErrorResponse("57P03", "the database system is starting up"))
		contains(t, client.ExpectError("08001").Message, "somebody else")
		_ = client.Close()
		if e := r.expectEnd("cert_name_mismatch"); e.SessionResult.Phase != PhaseDial || r.answered.Load() != 0 {
			t.Errorf("ended in phase %v; answered %d times", e.SessionResult.Phase, r.answered.Load())
		}
	})
}

// Once the client has seen a byte of the upstream, there is no way back.
func TestNoWayBack(t *testing.T) {
	stopping := pgtest.ErrorResponse("57P01", "terminating connection due to administrator command")
	sasl := pgtest.AuthenticationSASL("SCRAM-SHA-256")
	var notices []byte
	for len(notices) <= maxHeld {
		notices = append(notices, pgtest.Message('N', "SNOTICE\x00M"+strings.Repeat("x", 8000)+"\x00\x00")...)
	}
	for name, row := range map[string]struct {
		says, then []byte
		hides      bool // says does not reach the client
		state      string
		reason     Reason
	}{
		"SASL, then the end":      {says: sasl, state: "08006", reason: ReasonUpstreamGone},
		"SASL, then a refusal":    {says: sasl, then: stopping, reason: ReasonUpstreamShutdown},
		"wrong user":              {says: pgtest.ErrorResponse("28P01", "password authentication failed"), reason: ReasonAuthRejected},
		"full after the login":    {says: join(pgtest.AuthenticationOk(), pgtest.ErrorResponse("53300", "too many connections for role")), reason: ReasonServerFull},
		"no Postgres server":      {says: []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), hides: true, state: "08P01", reason: ReasonUpstreamProtocol},
		"more than can be held":   {says: notices, state: "08006", reason: ReasonUpstreamGone},
		"more, and then stopping": {says: notices, then: stopping, reason: ReasonUpstreamShutdown},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReplaceRig(newTCPRig(t, nil))
			client := r.connect()
			client.Send(pgtest.Startup("user", "app"))
			upstream := r.next()
			upstream.Expect(pgtest.Startup("user", "app"))
			upstream.Send(row.says)
			if !row.hides {
				client.Expect(row.says)
			}
			_, _ = upstream.Write(row.then)
			_ = upstream.Close()
			client.Expect(row.then)
			if row.state != "" {
				client.ExpectError(row.state)
			}
			client.ExpectEOF()
			_ = client.Close()
			r.expectEnd(row.reason)
			r.expectReplaced(0)
		})
	}
}

// An upstream that refuses for ever, behind an opener that never waits, costs ten connections a second, within
// LoginTimeout.
func TestRefusedForEver(t *testing.T) {
	for name, says := range map[string][]byte{
		"starting": pgtest.ErrorResponse("57P03", "the database system is starting up"), "ends": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newReplaceRig(newRig(t, func(s *Server) { s.LoginTimeout = 5 * time.Second }))
				began := time.Now()
				client := r.connect()
				go client.Send(pgtest.Startup("user", "app"))
				stop := make(chan struct{})
				go func() {
					for {
						select {
						case <-r.targets:
						case upstream := <-r.upstreams:
							upstream.Expect(pgtest.Startup("user", "app"))
							_, _ = upstream.Write(says)
							_ = upstream.Close()
						case <-stop:
							return
						}
					}
				}()
				client.ExpectError("57014")
				_ = client.Close()
				since(t, began, 5*time.Second)
				r.expectEnd(ReasonLoginTimeout)
				close(stop)
				if n := len(r.whys); n < 45 || n > 51 {
					t.Errorf("%d connections were replaced in 5s", n)
				}
			})
		})
	}
}

// A drain that begins while the login goes on does not wait for another connection.
func TestNoReplacementWhileDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplaceRig(newRig(t, nil))
		client := r.connect()
		go client.Send(pgtest.Startup("user", "app"))
		upstream := r.next()
		upstream.Expect(pgtest.Startup("user", "app"))
		drained := make(chan error, 1)
		go func() { drained <- r.server.Shutdown(context.Background()) }()
		synctest.Wait()
		_ = upstream.Close()
		contains(t, client.ExpectError("57P03").Message, "no new sessions, because pgorigin shuts down")
		_ = client.Close()
		r.expectEnd(ReasonDraining)
		if err := <-drained; err != nil {
			t.Error(err)
		}
		r.expectReplaced(0)
	})
}

// What is told of the upstream's answer is not told too early: NegotiateProtocolVersion comes before 57P03.
func TestAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplaceRig(newRig(t, nil))
		client := r.connect()
		go client.Send(pgtest.Startup("user", "app"))
		upstream := r.next()
		upstream.Expect(pgtest.Startup("user", "app"))
		upstream.Send(pgtest.Message('v', "\x00\x00\x00\x00\x00\x00\x00\x00"), pgtest.Message('N', "SNOTICE\x00\x00"))
		synctest.Wait()
		if r.answered.Load() != 0 {
			t.Error("a version and a notice count as an answer")
		}
		go upstream.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
		client.Expect(pgtest.Message('v', "\x00\x00\x00\x00\x00\x00\x00\x00"), pgtest.Message('N', "SNOTICE\x00\x00"), pgtest.AuthenticationSASL("SCRAM-SHA-256"))
		if r.answered.Load() != 1 {
			t.Errorf("answered %d times", r.answered.Load())
		}
	})
}

// A bridge asks its client once, whatever the upstream does before AuthenticationOk.
func TestBridgeBeginsAgain(t *testing.T) {
	const password = "pa,ss=word"
	endPoint := bytes.Repeat([]byte{7}, 32)
	cut := map[string]func(t *testing.T, client, upstream *pgtest.Peer){
		"before it was asked": func(*testing.T, *pgtest.Peer, *pgtest.Peer) {},
		"while the client thinks": func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
			client.Expect(cleartextRequest)
			_ = upstream.Close()
			time.Sleep(3 * watchInterval / 2)
			client.Send(pgtest.Message('p', password+"\x00"))
		},
		"stopping while the client thinks": func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
			client.Expect(cleartextRequest)
			upstream.Send(pgtest.ErrorResponse("57P01", "server shutting down"))
			_ = upstream.Close()
			time.Sleep(3 * watchInterval / 2)
			client.Send(pgtest.Message('p', password+"\x00"))
		},
		"while the password comes": func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
			client.Expect(cleartextRequest)
			message := pgtest.Message('p', password+"\x00")
			client.Send(message[:7])
			_ = upstream.Close()
			time.Sleep(watchInterval)
			client.Send(message[7:])
		},
		"while the password begins to come": func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
			client.Expect(cleartextRequest)
			message := pgtest.Message('p', password+"\x00")
			client.Send(message[:2])
			_ = upstream.Close()
			time.Sleep(watchInterval)
			client.Send(message[2:])
		},
		"after AuthenticationSASL": func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
			givePassword(client, password)
			upstream.ReadMessage()
		},
		"after AuthenticationSASLContinue": func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
			givePassword(client, password)
			_, first := upstream.ReadMessage()
			nonce := string(first[bytes.Index(first, []byte("r="))+2:])
			upstream.Send(pgtest.Message('R', "\x00\x00\x00\x0br="+nonce+"x,s=c2FsdA==,i=4096"))
			upstream.ReadMessage()
		},
		"after AuthenticationOk, which was held back": func(t *testing.T, client, upstream *pgtest.Peer) {
			done := make(chan struct{})
			go func() { defer close(done); givePassword(client, password) }()
			if !(&pgtest.SCRAMServer{Peer: upstream, Password: password}).Authenticate("SCRAM-SHA-256", "SCRAM-SHA-256") {
				t.Error("refused")
			}
			<-done
			upstream.Send(pgtest.AuthenticationOk(), pgtest.ParameterStatus("a", "b"), pgtest.BackendKeyData("dead"+"key4"))
		},
		"with 57P01 after AuthenticationOk": func(t *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(cleartextRequest)
			givePassword(client, password)
			upstream.Expect(pgtest.Message('p', password+"\x00"))
			upstream.Send(pgtest.AuthenticationOk())
			upstream.Send(pgtest.ErrorResponse("57P01", "terminating connection due to administrator command"))
		},
	}
	for name, ends := range cut {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReplaceRig(bridgeRig(t, endPoint, func(s *Server) { s.RequireAuth = allMethods }))
			startup := pgtest.Startup("user", "app")
			client := r.connect()
			client.Send(startup)
			asked := name != "before it was asked"
			for range 2 {
				upstream := r.next()
				upstream.Expect(startup)
				if len(r.whys) == 0 {
					ends(t, client, upstream)
				}
				_ = upstream.Close()
			}
			upstream := r.next()
			upstream.Expect(startup)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if !asked {
					givePassword(client, password)
				}
			}()
			server := &pgtest.SCRAMServer{Peer: upstream, Password: password, EndPoint: endPoint}
			if !server.Authenticate("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256") {
				t.Fatal("the server refuses")
			}
			<-done
			upstream.Send(pgtest.Login("pid4key4"))
			client.Expect(pgtest.Login("pid4key4"))
			r.expectReplaced(2)
			r.expectOneKey()
			client.Send(pgtest.Terminate())
			upstream.Expect(pgtest.Terminate())
			_ = upstream.Close()
			_ = client.Close()
			e := r.expectEnd(ReasonOK)
			if e.Method != "scram-sha-256-plus" || strings.Contains(fmt.Sprintf("%+v", e), password) {
				t.Errorf("ended as %+v", e)
			}
		})
	}
}

// An upstream that ends each time it has the password may count failed logins. It gets the password twice.
func TestBridgeGivesThePasswordTwice(t *testing.T) {
	challenge := func(first []byte) []byte {
		return pgtest.Message('R', "\x00\x00\x00\x0br="+string(first[bytes.Index(first, []byte("r="))+2:])+"x,s=c2FsdA==,i=4096")
	}
	for name, scram := range map[string]bool{"cleartext": false, "SCRAM": true} {
		t.Run(name, func(t *testing.T) {
			r := newReplaceRig(bridgeRig(t, nil, func(s *Server) { s.RequireAuth, s.LoginTimeout = allMethods, 10*time.Second }))
			client := r.connect()
			client.Send(pgtest.Startup("user", "app"))
			for n := range 3 {
				upstream := r.next()
				upstream.Expect(pgtest.Startup("user", "app"))
				if n == 1 { // this one does not get it, and does not count
					_ = upstream.Close()
					continue
				}
				ask := cleartextRequest
				if scram {
					ask = pgtest.AuthenticationSASL("SCRAM-SHA-256")
				}
				upstream.Send(ask)
				if n == 0 {
					givePassword(client, "secret")
				}
				_, answer := upstream.ReadMessage()
				if scram {
					upstream.Send(challenge(answer))
					upstream.ReadMessage()
				}
				_ = upstream.Close()
			}
			client.ExpectError("08006")
			_ = client.Close()
			r.expectEnd(ReasonUpstreamGone)
			r.expectReplaced(2)
		})
	}
}

// What a bridge is refused after another connection is refused as ever.
func TestBridgeGivesUp(t *testing.T) {
	wrong := pgtest.ErrorResponse("28P01", `password authentication failed for user "app"`)
	for name, row := range map[string]struct {
		play   func(r *replaceRig, client *pgtest.Peer)
		reason Reason
		which  Case
	}{
		"wrong password": {func(r *replaceRig, client *pgtest.Peer) {
			upstream := r.next()
			upstream.Send(cleartextRequest)
			givePassword(client, "wrong")
			_ = upstream.Close()
			upstream = r.next()
			upstream.Expect(pgtest.Startup("user", "app"))
			upstream.Send(cleartextRequest)
			upstream.Expect(pgtest.Message('p', "wrong\x00"))
			upstream.Send(wrong)
			client.Expect(wrong)
		}, ReasonAuthRejected, CasePoolerPassword}, // it names no routine
		"the client leaves, asked by an upstream that is gone": {func(r *replaceRig, client *pgtest.Peer) {
			upstream := r.next()
			upstream.Send(cleartextRequest)
			client.Expect(cleartextRequest)
			_ = upstream.Close()
			time.Sleep(3 * watchInterval / 2)
			_ = client.Close()
		}, ReasonLoginAbandoned, CaseAskedByBridge},
		"the client sends half of its password to an upstream that is gone": {func(r *replaceRig, client *pgtest.Peer) {
			upstream := r.next()
			upstream.Send(cleartextRequest)
			client.Expect(cleartextRequest)
			client.Send([]byte("p\x00\x00\x00\x10half"))
			_ = upstream.Close()
			contains(r.t, client.ExpectError("08P01").Message, "did not wait for the rest")
		}, ReasonClientProtocol, ""},
		"the client is silent, asked by an upstream that is gone": {func(r *replaceRig, client *pgtest.Peer) {
			upstream := r.next()
			upstream.Send(cleartextRequest)
			client.Expect(cleartextRequest)
			_ = upstream.Close()
			contains(r.t, client.ExpectError("57014").Message, "the client has not answered")
		}, ReasonLoginTimeout, CaseClientSilent},
		"the client leaves while another connection is opened": {func(r *replaceRig, client *pgtest.Peer) {
			dialling := make(chan struct{})
			dial := r.server.DialSession
			r.server.DialSession = func(ctx context.Context, aside func(func())) (Opened, error) {
				opened, err := dial(ctx, aside)
				opened.Replace = func(ctx context.Context, _ error) (Opened, error) {
					close(dialling)
					<-ctx.Done()
					return Opened{}, ctx.Err()
				}
				return opened, err
			}
			client.Send(pgtest.Startup("user", "app"))
			upstream := r.next()
			upstream.Send(cleartextRequest)
			givePassword(client, "secret")
			upstream.Expect(pgtest.Startup("user", "app"), pgtest.Message('p', "secret\x00"))
			_ = upstream.Close()
			<-dialling
			_ = client.Close()
		}, ReasonClientGone, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReplaceRig(bridgeRig(t, nil, func(s *Server) { s.RequireAuth, s.LoginTimeout = allMethods, 3*time.Second }))
			client := r.connect()
			if row.reason != ReasonClientGone {
				client.Send(pgtest.Startup("user", "app"))
			}
			row.play(r, client)
			_ = client.Close()
			var own *Error
			if e := r.expectEnd(row.reason); !errors.As(e.Err, &own) || own.Case != row.which || strings.Contains(fmt.Sprintf("%+v", e), "secret") {
				t.Errorf("ended as %+v", e)
			}
		})
	}
}

// saysGoodbye is a connection whose Close waits for room, as that of TLS does for close_notify.
type saysGoodbye struct{ Upstream }

func (c saysGoodbye) Close() error {
	_, err := c.Write([]byte("goodbye"))
	return errors.Join(err, c.Upstream.Close())
}

// An upstream that refuses and reads nothing more holds up the next connection for a moment only.
func TestReplacedConnectionIsClosedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReplaceRig(newRig(t, nil))
		r.secure = func(conn net.Conn) Upstream { return saysGoodbye{pgtest.NewUpstream(conn)} }
		client := r.connect()
		go client.Send(pgtest.Startup("user", "app"))
		upstream := r.next()
		upstream.Expect(pgtest.Startup("user", "app"))
		began := time.Now()
		upstream.Send(pgtest.ErrorResponse("57P03", "the database system is starting up"))
		r.next().Expect(pgtest.Startup("user", "app"))
		since(t, began, closeTimeout)
	})
}
