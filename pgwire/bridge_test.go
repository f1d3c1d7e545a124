package pgwire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/internal/scram"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// boundConn is an upstream leg with binding data; nil is for a certificate that names no hash.
type boundConn struct {
	Upstream
	endPoint []byte
}

func (c boundConn) CanBind() bool                   { return c.endPoint != nil }
func (c boundConn) ServerEndPoint() ([]byte, error) { return c.endPoint, nil }

// bridgeRig is a rig whose upstream connections have binding data.
func bridgeRig(t *testing.T, endPoint []byte, configure func(*Server)) *rig {
	return newTCPRig(t, func(s *Server) {
		s.ChannelBinding = BridgeChannelBinding
		dial := s.Dial
		s.Dial = func(ctx context.Context, target net.Addr) (Upstream, error) {
			conn, err := dial(ctx, target)
			return boundConn{conn, endPoint}, err
		}
		if configure != nil {
			configure(s)
		}
	})
}

// beginBridge sends a startup packet and returns the two peers.
func (r *rig) beginBridge(t *testing.T) (client *pgtest.Peer, upstream *pgtest.Peer) {
	t.Helper()
	client = r.connect()
	client.Send(pgtest.Startup("user", "app"))
	upstream = <-r.upstreams
	upstream.Expect(pgtest.Startup("user", "app"))
	return client, upstream
}

// Only the end of the session ends the wait for a password that an upstream, which is gone, has asked for.
func TestAwaitPassword(t *testing.T) {
	over := errors.New("the session is over")
	for name, row := range map[string]struct {
		first []byte // of the message
		ends  bool
	}{
		"reads are stopped before the message": {nil, false},
		"reads are stopped within the message": {[]byte("p\x00\x00"), false},
		"the session ends before the message":  {nil, true},
		"the session ends within the message":  {[]byte("p\x00\x00"), true},
		"the session ends within the password": {[]byte("p\x00\x00\x00\x0bsec"), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				ctx, end := context.WithCancelCause(context.Background())
				s := &session{ctx: ctx, end: end, client: newLeg(ctx, near), login: new(login)}
				result := make(chan error, 1)
				go func() { result <- s.awaitPassword() }()
				client := pgtest.NewPeer(t, far)
				if row.first != nil {
					client.Send(row.first)
				}
				synctest.Wait()
				began := time.Now()
				if row.ends {
					end(over)
					if err := <-result; !errors.Is(err, over) {
						t.Errorf("the result is %v", err)
					}
					since(t, began, 0)
					return
				}
				s.client.stopReads()
				synctest.Wait()
				client.Send(pgtest.Message('p', "secret\x00")[len(row.first):])
				if err := <-result; err != nil || *s.login.password != "secret" {
					t.Errorf("the result is %v", err)
				}
			})
		})
	}
}

var cleartextRequest = pgtest.Message('R', "\x00\x00\x00\x03")

// givePassword answers the bridge's question.
func givePassword(client *pgtest.Peer, password string) {
	client.Expect(cleartextRequest)
	client.Send(pgtest.Message('p', password+"\x00"))
}

func TestBridgeSCRAM(t *testing.T) {
	endPoint := bytes.Repeat([]byte{7}, 32)
	tests := map[string]struct {
		endPoint []byte
		offer    []string
		want     string
	}{
		"binds":                      {endPoint, []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}, "SCRAM-SHA-256-PLUS"},
		"only -PLUS is offered":      {endPoint, []string{"SCRAM-SHA-256-PLUS"}, "SCRAM-SHA-256-PLUS"},
		"nothing to bind to":         {nil, []string{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}, "SCRAM-SHA-256"},
		"the server does not offer":  {endPoint, []string{"SCRAM-SHA-256"}, "SCRAM-SHA-256"},
		"unknown mechanisms as well": {endPoint, []string{"OAUTHBEARER", "SCRAM-SHA-256"}, "SCRAM-SHA-256"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := bridgeRig(t, tt.endPoint, nil)
			client, upstream := r.beginBridge(t)
			server := &pgtest.SCRAMServer{Peer: upstream, Password: "pa,ss=word"}
			if strings.HasSuffix(tt.want, "-PLUS") {
				server.EndPoint = tt.endPoint
			}
			done := make(chan struct{})
			go func() { defer close(done); givePassword(client, server.Password) }()
			if !server.Authenticate(tt.want, tt.offer...) {
				t.Fatal("the server refuses")
			}
			<-done
			// Bytes that the client pipelines behind its password are kept.
			client.Send([]byte("pipelined"))
			upstream.Send(pgtest.Login("pid4key4"))
			client.Expect(pgtest.Login("pid4key4"))
			upstream.Expect([]byte("pipelined"))
		})
	}
}

// A man in the middle with a valid certificate of his own has another end
// point: what the client proves to him is of no use at the real server.
func TestBridgeToAnotherEndPoint(t *testing.T) {
	r := bridgeRig(t, []byte("the impostor's certificate hash"), nil)
	client, upstream := r.beginBridge(t)
	server := &pgtest.SCRAMServer{Peer: upstream, Password: "secret", EndPoint: []byte("the real server's hash")}
	go givePassword(client, "secret")
	if server.Authenticate(scram.SHA256Plus, scram.SHA256Plus, scram.SHA256) {
		t.Error("the proof for one certificate was good for another")
	}
}

func TestBridgeOtherMethods(t *testing.T) {
	tests := map[string]struct {
		request []byte
		want    []byte
	}{
		"cleartext": {cleartextRequest, pgtest.Message('p', "secret\x00")},
		// printf %s $(printf secretapp | md5sum | cut -c-32)salt | md5sum
		"MD5": {pgtest.Message('R', "\x00\x00\x00\x05salt"), pgtest.Message('p', "md57f097e06031b34893c20e25a0e68242c\x00")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := bridgeRig(t, nil, func(s *Server) { s.RequireAuth = allMethods })
			client, upstream := r.beginBridge(t)
			upstream.Send(tt.request)
			givePassword(client, "secret")
			upstream.Expect(tt.want)
			upstream.Send(pgtest.Login("pid4key4"))
			client.Expect(pgtest.Login("pid4key4"))
		})
	}
	t.Run("trust asks nobody", func(t *testing.T) {
		r := bridgeRig(t, nil, func(s *Server) { s.RequireAuth = allMethods })
		client, upstream := r.beginBridge(t)
		upstream.Send(pgtest.Login("pid4key4"))
		client.Expect(pgtest.Login("pid4key4"))
	})
	t.Run("GSS tokens pass", func(t *testing.T) {
		r := bridgeRig(t, nil, func(s *Server) { s.RequireAuth = allMethods })
		client, upstream := r.beginBridge(t)
		for _, request := range [][]byte{pgtest.Message('R', "\x00\x00\x00\x07"), pgtest.Message('R', "\x00\x00\x00\x08more")} {
			upstream.Send(request)
			client.Expect(request)
			client.Send(pgtest.Message('p', "token"))
			upstream.Expect(pgtest.Message('p', "token"))
		}
		upstream.Send(pgtest.Login("pid4key4"))
		client.Expect(pgtest.Login("pid4key4"))
	})
}

func TestBridgeFailures(t *testing.T) {
	refused := pgtest.ErrorResponse("28P01", `password authentication failed for user "app"`)
	scramFirst := pgtest.Message('R', "\x00\x00\x00\x0br=x,s=AAAA,i=4096")
	tests := map[string]struct {
		play   func(t *testing.T, client, upstream *pgtest.Peer)
		state  string // of pgorigin's own answer; "" if there is none
		reason Reason
	}{
		"wrong password reads as the server's refusal": {func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(cleartextRequest)
			givePassword(client, "wrong")
			upstream.Expect(pgtest.Message('p', "wrong\x00"))
			upstream.Send(refused)
			_ = upstream.Close()
			client.Expect(refused)
		}, "", ReasonAuthRejected},
		"empty password reads as the server's refusal, too": {func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(cleartextRequest)
			givePassword(client, "")
			upstream.Expect(pgtest.Message('p', "\x00"))
			upstream.Send(refused)
			client.Expect(refused)
		}, "", ReasonAuthRejected},
		"client has no password": {func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(cleartextRequest)
			client.Expect(cleartextRequest)
			client.CloseWrite()
		}, "", ReasonLoginAbandoned},
		"client answers with something else": {func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(cleartextRequest)
			client.Expect(cleartextRequest)
			client.Send(pgtest.Message('Q', "select 1\x00"))
		}, "08P01", ReasonClientProtocol},
		"client claims a huge password": {func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(cleartextRequest)
			client.Expect(cleartextRequest)
			client.Send([]byte("p\x7f\xff\xff\xff"))
		}, "08P01", ReasonClientProtocol},
		"server skips its proof": {func(t *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(pgtest.AuthenticationSASL(scram.SHA256))
			givePassword(client, "secret")
			(&pgtest.SCRAMServer{Peer: upstream}).ReadResponse()
			upstream.Send(pgtest.Login("pid4key4"))
		}, "08P01", ReasonUpstreamProtocol},
		"server has another nonce": {func(t *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(pgtest.AuthenticationSASL(scram.SHA256))
			givePassword(client, "secret")
			(&pgtest.SCRAMServer{Peer: upstream}).ReadResponse()
			upstream.Send(scramFirst)
		}, "08P01", ReasonUpstreamProtocol},
		"exchange out of nowhere": {func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(scramFirst)
		}, "08P01", ReasonUpstreamProtocol},
		"only -PLUS and nothing to bind to": {func(_ *testing.T, client, upstream *pgtest.Peer) {
			upstream.Send(pgtest.AuthenticationSASL(scram.SHA256Plus))
			givePassword(client, "secret")
		}, "28000", ReasonAuthChannelBinding},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := bridgeRig(t, nil, func(s *Server) { s.RequireAuth = allMethods })
			client, upstream := r.beginBridge(t)
			tt.play(t, client, upstream)
			if tt.state != "" {
				client.ExpectError(tt.state)
			}
			client.ExpectEOF()
			_ = client.Close()
			if e := r.expectEnd(tt.reason); strings.Contains(fmt.Sprint(e), "secret") {
				t.Errorf("the result repeats the Password: %v", e)
			}
		})
	}
}
