package pgwire

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/internal/scram"
	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// obedient is a client that answers whatever it is asked, as drivers do.
type obedient struct {
	loggedIn bool
	code     string // SQLSTATE of the last ErrorResponse
}

func (o *obedient) play(client *pgtest.Peer) {
	for {
		var head [5]byte
		if _, err := io.ReadFull(client, head[:]); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(head[1:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		switch head[0] {
		case 'Z':
			o.loggedIn = true
		case 'E':
			o.code = errorField(body, 'C')
			_ = client.Close()
			return
		case 'R':
			answers := map[byte]string{
				3: "secret\x00", 5: "md5secret\x00", 7: "token secret", 8: "token secret", 9: "token secret",
				10: "SCRAM-SHA-256\x00\x00\x00\x00\x03n,,", 11: "proof",
			}
			if strings.HasPrefix(string(body[4:]), "OAUTHBEARER\x00\x00") {
				answers[10] = "OAUTHBEARER\x00\x00\x00\x00\x0csecret token"
			}
			if answer, ok := answers[body[3]]; ok {
				_, _ = client.Write(pgtest.Message('p', answer))
			}
		}
	}
}

// TestHostileUpstream: a verified upstream says things out of turn, or asks for what was not allowed. It must
// get no secret that it is not to have, and the client must not take itself for logged in.
func TestHostileUpstream(t *testing.T) {
	tests := map[string]struct {
		mode     ChannelBinding
		required AuthMethods
		says     string // letters of loginMessage
		secret   bool   // it is allowed to have it
		reason   Reason
		code     string
	}{
		"ready without Ok":                {says: "Z", reason: ReasonUpstreamProtocol, code: "08P01"},
		"ready without Ok, SCRAM wanted":  {required: methodSCRAM, says: "Z", reason: ReasonUpstreamProtocol, code: "08P01"},
		"ready without Ok, bridge":        {mode: BridgeChannelBinding, says: "PkZ", reason: ReasonUpstreamProtocol, code: "08P01"},
		"ready behind an offer":           {says: "OZ", reason: ReasonUpstreamProtocol, code: "08P01"},
		"cleartext behind Ok":             {says: "KC", reason: ReasonUpstreamProtocol, code: "08P01"},
		"cleartext behind the key":        {required: methodNone, says: "KPkCZ", reason: ReasonUpstreamProtocol, code: "08P01"},
		"cleartext behind an offer":       {required: methodSCRAM, says: "OC", reason: ReasonUpstreamProtocol, code: "08P01"},
		"cleartext behind MD5":            {says: "5C", secret: true, reason: ReasonUpstreamProtocol, code: "08P01"},
		"SASL behind GSS":                 {says: "GOC", secret: true, reason: ReasonUpstreamProtocol, code: "08P01"},
		"SASL behind GSS, bridge":         {mode: BridgeChannelBinding, says: "GO", reason: ReasonAuthRejected, code: "28000"},
		"cleartext, bridge":               {mode: BridgeChannelBinding, says: "C", reason: ReasonAuthRejected, code: "28000"},
		"MD5, bridge":                     {mode: BridgeChannelBinding, says: "5", reason: ReasonAuthRejected, code: "28000"},
		"Ok without proof, bridge":        {mode: BridgeChannelBinding, says: "KPkZ", reason: ReasonAuthRejected, code: "28000"},
		"Ok without proof, SCRAM wanted":  {required: methodSCRAM, says: "KPkZ", reason: ReasonAuthRejected, code: "28000"},
		"Ok without the end of SCRAM":     {says: "O1KPkZ", reason: ReasonUpstreamProtocol, code: "08P01"},
		"end of SCRAM without its middle": {says: "O2KPkZ", reason: ReasonUpstreamProtocol, code: "08P01"},
		"two challenges":                  {says: "O11", reason: ReasonUpstreamProtocol, code: "08P01"},
		"two offers":                      {says: "OO", reason: ReasonUpstreamProtocol, code: "08P01"},
		"two Ok":                          {says: "KKZ", reason: ReasonUpstreamProtocol, code: "08P01"},
		"two keys":                        {says: "KkkZ", reason: ReasonUpstreamProtocol, code: "08P01"},
		"two versions":                    {says: "vvKZ", reason: ReasonUpstreamProtocol, code: "08P01"},
		"a version behind a request":      {says: "CvKZ", secret: true, reason: ReasonUpstreamProtocol, code: "08P01"},
		"a parameter before Ok":           {says: "PKZ", reason: ReasonUpstreamProtocol, code: "08P01"},
		"a login behind its refusal":      {says: "EKPkZ", reason: ReasonAuthRejected, code: "28P01"},
		"a refusal behind Ok":             {says: "KEPkZ", reason: ReasonAuthRejected, code: "28P01"},
		"a token for SCRAM":               {required: methodSCRAM, says: "T", reason: ReasonAuthRejected, code: "28000"},
		"a token for a bridge":            {mode: BridgeChannelBinding, says: "T", reason: ReasonAuthRejected, code: "28000"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := bridgeRig(t, nil, func(s *Server) { s.ChannelBinding, s.RequireAuth = tt.mode, tt.required })
			client, upstream := r.beginBridge(t)
			var o obedient
			played := make(chan struct{})
			go func() { defer close(played); o.play(client) }()
			for _, letter := range []byte(tt.says) {
				var message []byte
				if letter == 'T' {
					message = pgtest.AuthenticationSASL("OAUTHBEARER")
				} else {
					message, _ = loginMessage(letter)
				}
				if _, err := upstream.Write(message); err != nil {
					break
				}
			}
			_ = upstream.Conn.(*net.TCPConn).CloseWrite() // unless it has been left
			got := upstream.ExpectClosed()
			<-played
			if leaked := bytes.Contains(got, []byte("secret")); leaked && !tt.secret {
				t.Errorf("the upstream got %q", got)
			}
			if o.loggedIn {
				t.Error("the client takes itself for logged in")
			}
			if o.code != tt.code {
				t.Errorf("the client was told %q, want %s", o.code, tt.code)
			}
			r.expectEnd(tt.reason)
		})
	}
}

// TestHostileClient: what a client sends out of turn during a login reaches no upstream, and a part of a
// message waits until it is whole.
func TestHostileClient(t *testing.T) {
	first, _ := loginMessage('q')
	challenge, _ := loginMessage('1')
	startup := pgtest.Startup("user", "app", "database", "other")
	tests := map[string]struct {
		sends  [][]byte // behind its first response
		passes []byte   // of them
		reason Reason
	}{
		"a second startup packet": {[][]byte{startup}, nil, ReasonClientProtocol},
		"a query":                 {[][]byte{pgtest.Message('Q', "DROP TABLE x\x00")}, nil, ReasonClientProtocol},
		"an impossible length":    {[][]byte{[]byte("p\x00\x00\x00\x03")}, nil, ReasonClientProtocol},
		"a huge length":           {[][]byte{[]byte("p\x7f\xff\xff\xff")}, nil, ReasonClientProtocol},
		"a part of a message":     {[][]byte{[]byte("p\x00\x00\x00\x10half")}, nil, ReasonLoginAbandoned},
		"a message in pieces":     {[][]byte{[]byte("p\x00\x00"), []byte("\x00\x0aan"), []byte("swer")}, pgtest.Message('p', "answer"), ReasonClientGone},
		"a goodbye":               {[][]byte{pgtest.Terminate()}, pgtest.Terminate(), ReasonLoginAbandoned},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			r := newTCPRig(t, nil)
			client := r.connect()
			client.Send(pgtest.Startup("user", "app"))
			upstream := <-r.upstreams
			upstream.Expect(pgtest.Startup("user", "app"))
			upstream.Send(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
			client.Expect(pgtest.AuthenticationSASL("SCRAM-SHA-256"))
			client.Send(first)
			upstream.Expect(first)
			upstream.Send(challenge)
			client.Expect(challenge)
			for _, piece := range tt.sends {
				_, _ = client.Write(piece)
			}
			client.CloseWrite()
			if tt.reason == ReasonClientProtocol {
				client.ExpectError("08P01")
			}
			if got := upstream.ExpectClosed(); !bytes.Equal(got, tt.passes) {
				t.Errorf("the upstream got %q, want %q", got, tt.passes)
			}
			_ = client.Close()
			_ = upstream.Close()
			r.expectEnd(tt.reason)
		})
	}
}

// TestBridgeSaysWhetherItCouldBind: a man in the middle who strips -PLUS from the offer hears "y,,", by which
// the server knows him.
func TestBridgeSaysWhetherItCouldBind(t *testing.T) {
	hash := bytes.Repeat([]byte{7}, 32)
	for name, tt := range map[string]struct {
		endPoint []byte
		offer    []string
		want     string
	}{
		"stripped":               {hash, []string{scram.SHA256}, "SCRAM-SHA-256 y,,"},
		"offered":                {hash, []string{scram.SHA256Plus, scram.SHA256}, "SCRAM-SHA-256-PLUS p=tls-server-end-point,,"},
		"no hash":                {nil, []string{scram.SHA256}, "SCRAM-SHA-256 n,,"},
		"no hash, but offered":   {nil, []string{scram.SHA256Plus, scram.SHA256}, "SCRAM-SHA-256 n,,"},
		"the hash has been lost": {[]byte{}, []string{scram.SHA256Plus, scram.SHA256}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := bridgeRig(t, tt.endPoint, nil)
			client, upstream := r.beginBridge(t)
			upstream.Send(pgtest.AuthenticationSASL(tt.offer...))
			givePassword(client, "secret")
			if tt.want == "" {
				client.ExpectError("28000")
				if got := upstream.ExpectClosed(); len(got) > 0 {
					t.Errorf("the upstream got %q", got)
				}
				return
			}
			_, body := upstream.ReadMessage()
			mechanism, data, _ := strings.Cut(string(body), "\x00")
			if got := mechanism + " " + data[4:]; !strings.HasPrefix(got, tt.want) {
				t.Errorf("the bridge answered %q, want %q", got, tt.want)
			}
		})
	}
}

// TestBridgeNeedsBindingData: a connection that should have data to bind to and has none ends the login, and
// nothing is sent.
func TestBridgeNeedsBindingData(t *testing.T) {
	r := bridgeRig(t, []byte{}, nil)
	client, upstream := r.beginBridge(t)
	upstream.Send(pgtest.AuthenticationSASL(scram.SHA256Plus, scram.SHA256))
	givePassword(client, "secret")
	client.ExpectError("28000")
	if got := upstream.ExpectClosed(); len(got) > 0 {
		t.Errorf("the upstream got %q", got)
	}
	_ = client.Close()
	r.expectEnd(ReasonAuthChannelBinding)
}

// TestAbandonedLogin: a client that leaves while nobody reads from it is noticed long before LoginTimeout,
// and its upstream connection is closed.
func TestAbandonedLogin(t *testing.T) {
	left := func(client *pgtest.Peer) { _ = client.Close() }
	for name, tt := range map[string]struct {
		mode  ChannelBinding
		spare bool
		says  []byte // by the upstream, before it falls silent
		leave func(*pgtest.Peer)
	}{
		"strip":          {leave: left},
		"bridge":         {mode: BridgeChannelBinding, leave: left},
		"spare":          {spare: true, leave: left},
		"bridge, spare":  {mode: BridgeChannelBinding, spare: true, leave: left},
		"behind Ok":      {says: pgtest.AuthenticationOk(), leave: left},
		"with a goodbye": {leave: func(client *pgtest.Peer) { client.Send(pgtest.Terminate()); _ = client.Close() }},
		"by a reset": {leave: func(client *pgtest.Peer) {
			_ = client.Conn.(*net.TCPConn).SetLinger(0)
			_ = client.Close()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTCPRig(t, func(s *Server) { s.ChannelBinding = tt.mode })
			if tt.spare {
				r.server.DialSession = func(ctx context.Context, _ func(func())) (Opened, error) {
					conn, err := r.dial(ctx, nil)
					return Opened{Upstream: conn, Replace: func(context.Context, error) (Opened, error) {
						t.Error("dialled anew")
						return Opened{}, io.EOF
					}}, err
				}
			}
			client := r.connect()
			client.Send(pgtest.Startup("user", "app"))
			upstream := <-r.upstreams
			upstream.Expect(pgtest.Startup("user", "app"))
			upstream.Send(tt.says)
			client.Expect(tt.says)
			began := time.Now()
			tt.leave(client)
			upstream.ExpectClosed()
			if took := time.Since(began); took > r.server.loginTimeout()/2 {
				t.Errorf("noticed after %v", took)
			}
			r.expectEnd(ReasonClientGone)
		})
	}
	t.Run("dial", func(t *testing.T) {
		ended := make(chan struct{})
		r := newTCPRig(t, func(s *Server) {
			s.Dial = func(ctx context.Context, _ net.Addr) (Upstream, error) {
				<-ctx.Done()
				close(ended)
				return nil, ctx.Err()
			}
		})
		client := r.connect()
		client.Send(pgtest.Startup("user", "app"))
		_ = client.Close()
		<-ended
		r.expectEnd(ReasonClientGone)
	})
}

// A client that has sent more and half-closes has not left: it is served.
func TestHalfClosedPipelineIsServed(t *testing.T) {
	r := newTCPRig(t, nil)
	client := r.connect()
	early := pgtest.Message('Q', "select 1\x00")
	client.Send(pgtest.Startup("user", "app"), early)
	client.CloseWrite()
	upstream := <-r.upstreams
	upstream.Expect(pgtest.Startup("user", "app"))
	time.Sleep(3 * watchInterval)
	upstream.Send(pgtest.Login("pid4key4"))
	client.Expect(pgtest.Login("pid4key4"))
	upstream.Expect(early)
	upstream.ExpectEOF()
	upstream.Send(pgtest.ReadyForQuery('I'))
	_ = upstream.Close()
	client.Expect(pgtest.ReadyForQuery('I'))
}
