package pgwire

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pgorigin/pgorigin/pgwire/pgtest"
)

// TestLoginAbandoned: a client that leaves when it is asked for something is not one that just left.
func TestLoginAbandoned(t *testing.T) {
	oauth := pgtest.AuthenticationSASL("OAUTHBEARER")
	for name, row := range map[string]struct {
		asks    []byte
		binding ChannelBinding
		shown   []byte // nil means asks
		want    Reason // "" means login_abandoned
		which   Case
		method  string
	}{
		"nothing asked":        {pgtest.Message('N', "SNOTICE\x00\x00"), StripChannelBinding, nil, ReasonClientGone, "", ""},
		"cleartext":            {cleartextRequest, StripChannelBinding, nil, "", "", "password"},
		"MD5":                  {pgtest.Message('R', "\x00\x00\x00\x05salt"), StripChannelBinding, nil, "", "", "md5"},
		"SCRAM":                {pgtest.AuthenticationSASL("SCRAM-SHA-256"), StripChannelBinding, nil, "", "", "scram-sha-256"},
		"SCRAM, bound":         {pgtest.AuthenticationSASL("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"), PassChannelBinding, nil, "", CaseAskedForBound, "scram-sha-256-plus"},
		"OAuth":                {oauth, StripChannelBinding, nil, "", CaseAskedForOAuth, "oauth"},
		"another mechanism":    {pgtest.AuthenticationSASL("X-NEW"), StripChannelBinding, nil, "", "", "other"},
		"GSSAPI":               {pgtest.Message('R', "\x00\x00\x00\x07"), StripChannelBinding, nil, "", CaseAskedForToken, "gss"},
		"password of a bridge": {pgtest.AuthenticationSASL("SCRAM-SHA-256"), BridgeChannelBinding, cleartextRequest, "", CaseAskedByBridge, "password"},
	} {
		for leaving, leave := range map[string]func(*pgtest.Peer){
			"closes":       func(client *pgtest.Peer) { _ = client.Close() },
			"says goodbye": func(client *pgtest.Peer) { client.Send(pgtest.Terminate()); _ = client.Close() },
		} {
			t.Run(name+", "+leaving, func(t *testing.T) {
				r := newTCPRig(t, func(s *Server) { s.ChannelBinding = row.binding })
				client := r.connect()
				client.Send(pgtest.Startup("user", "app"))
				upstream := <-r.upstreams
				upstream.Expect(pgtest.Startup("user", "app"))
				upstream.Send(row.asks)
				if row.shown == nil {
					row.shown = row.asks
				}
				client.Expect(row.shown)
				leave(client)
				upstream.ExpectClosed()
				_ = upstream.Close()
				want := row.want
				if want == "" {
					want = ReasonLoginAbandoned
				}
				e := r.expectEnd(want)
				var own *Error
				if !errors.As(e.Err, &own) || own.Case != row.which || e.Method != row.method || e.SQLState != "" {
					t.Errorf("case %v, method %q; want %q, %q", e.Err, e.Method, row.which, row.method)
				}
			})
		}
	}
}

// TestLoginTimeoutSaysWhoIsSlow: the cure depends on it.
func TestLoginTimeoutSaysWhoIsSlow(t *testing.T) {
	for name, row := range map[string]struct {
		says  []byte
		which Case
	}{
		"the upstream":             {nil, ""},
		"the client":               {cleartextRequest, CaseClientSilent},
		"a server behind a pooler": {pgtest.Message('R', "\x00\x00\x00\x00"), CasePoolerWaits},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, func(s *Server) { s.LoginTimeout = 7 * time.Second })
				client := r.connect()
				go client.Send(pgtest.Startup("user", "app"))
				upstream := <-r.upstreams
				upstream.Expect(pgtest.Startup("user", "app"))
				go upstream.Send(row.says)
				client.Expect(row.says)
				client.ExpectError("57014")
				_ = client.Close()
				_ = upstream.Close()
				var own *Error
				if err := r.expectEnd(ReasonLoginTimeout).Err; !errors.As(err, &own) || own.Case != row.which {
					t.Errorf("ended as %+v", own)
				}
			})
		})
	}
}

// TestUpstreamDoesNotWait: PostgreSQL closes without a word when the client does not answer.
func TestUpstreamDoesNotWait(t *testing.T) {
	for name, row := range map[string]struct {
		says  []byte
		which Case
	}{
		"before it has asked": {pgtest.Message('N', "SNOTICE\x00\x00"), ""},
		"after it has asked":  {cleartextRequest, CaseClientSilent},
	} {
		t.Run(name, func(t *testing.T) {
			r := newTCPRig(t, nil)
			client := r.connect()
			client.Send(pgtest.Startup("user", "app"))
			upstream := <-r.upstreams
			upstream.Expect(pgtest.Startup("user", "app"))
			upstream.Send(row.says)
			client.Expect(row.says)
			_ = upstream.Close()
			client.ExpectError("08006")
			client.ExpectEOF()
			_ = client.Close()
			var own *Error
			if err := r.expectEnd(ReasonUpstreamGone).Err; !errors.As(err, &own) || own.Case != row.which {
				t.Errorf("ended as %+v", own)
			}
		})
	}
}
